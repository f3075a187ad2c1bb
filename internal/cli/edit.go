package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/api"
)

// entityCmd is what can be done with entities.
type entityCmd struct {
	Set entitySetCmd `cmd:"" help:"Change an entity's name, area or id, or whether it is recorded."`
}

type entitySetCmd struct {
	Entity  string  `arg:"" help:"Id of the entity, as in light.kitchen."`
	Name    *string `placeholder:"NAME" help:"The name to give it; an empty one goes back to the source's."`
	Area    *string `placeholder:"AREA" help:"The area to put it in, by id or name; an empty one goes back to its device's."`
	ID      *string `name:"id" placeholder:"ID" help:"Another id in the same domain; its past stays under the old one."`
	Disable bool    `xor:"able" help:"Stop recording its state."`
	Enable  bool    `xor:"able" help:"Start recording its state."`
}

// Help implements [kong.HelpProvider].
func (*entitySetCmd) Help() string {
	return `What is changed becomes an event. A running daemon is asked through the socket beside its database. What a device shall do, "statehouse set" says.

Examples:

    statehouse entity set light.0x00158d0010000017 --id light.kitchen --name 'Kitchen lamp'
    statehouse entity set light.kitchen --area kitchen
    statehouse entity set sensor.attic_linkquality --disable`
}

// Run implements the command.
func (c *entitySetCmd) Run(a *app) error {
	edit := statehouse.EntityEdit{Name: c.Name, ID: c.ID}
	if c.Disable || c.Enable {
		edit.Disabled = &c.Disable
	}
	if c.Area == nil && edit == (statehouse.EntityEdit{}) {
		return usagef("nothing to set; give --name, --area, --id, --disable or --enable")
	}
	return a.edit("entity "+c.Entity, func(s source) (span api.Span, err error) {
		if edit.AreaID, err = a.area(s, c.Area); err != nil {
			return span, err
		}
		span, err = s.EditEntity(a.ctx, c.Entity, edit)
		if errors.Is(err, statehouse.ErrNotFound) {
			err = noEntity(a.ctx, s, c.Entity)
		}
		return span, err
	})
}

// deviceCmd is what can be done with devices.
type deviceCmd struct {
	List deviceListCmd `cmd:"" help:"List devices."`
	Set  deviceSetCmd  `cmd:"" help:"Change a device's name or area."`
}

type deviceListCmd struct {
	output
}

// Help implements [kong.HelpProvider].
func (*deviceListCmd) Help() string {
	return `Examples:

    statehouse device list
    statehouse device list -o json`
}

// Run implements the command.
func (c *deviceListCmd) Run(a *app) error {
	r, err := a.registry()
	if err != nil {
		return err
	}
	if c.json() {
		return printJSON(a.stdout, r.Devices)
	}
	if len(r.Devices) == 0 {
		a.notef("there are no devices yet")
		return nil
	}
	t := table{columns: []column{
		{title: "DEVICE", shrink: true}, {title: "NAME", shrink: true}, {title: "AREA", shrink: true, sparse: true},
		{title: "MANUFACTURER", shrink: true}, {title: "MODEL", shrink: true},
	}}
	for _, d := range r.Devices {
		t.add(cell{text: d.ID}, cell{text: d.Name}, cell{text: d.Area}, cell{text: d.Manufacturer}, cell{text: d.Model})
	}
	return t.write(a.stdout, a.term)
}

type deviceSetCmd struct {
	Device string  `arg:"" help:"Id, name or address of the device."`
	Name   *string `placeholder:"NAME" help:"The name to give it; an empty one goes back to the source's."`
	Area   *string `placeholder:"AREA" help:"The area to put it in, by id or name; an empty one takes it out of any."`
}

// Help implements [kong.HelpProvider].
func (*deviceSetCmd) Help() string {
	return `What is changed becomes an event. A running daemon is asked through the socket beside its database.

Examples:

    statehouse device set couch_lamp --area living_room
    statehouse device set 0x00158d0010000017 --name 'Couch lamp'`
}

// Run implements the command.
func (c *deviceSetCmd) Run(a *app) error {
	if c.Name == nil && c.Area == nil {
		return usagef("nothing to set; give --name or --area")
	}
	return a.edit("device "+c.Device, func(s source) (api.Span, error) {
		r, err := s.Registry(a.ctx, api.At{})
		if err != nil {
			return api.Span{}, err
		}
		id, err := deviceID(r, c.Device)
		if err != nil {
			return api.Span{}, err
		}
		area, err := a.area(s, c.Area)
		if err != nil {
			return api.Span{}, err
		}
		return s.EditDevice(a.ctx, id, statehouse.DeviceEdit{Name: c.Name, AreaID: area})
	})
}

// areaCmd is what can be done with areas.
type areaCmd struct {
	List   areaListCmd   `cmd:"" help:"List areas."`
	Set    areaSetCmd    `cmd:"" help:"Create an area or rename it."`
	Remove areaRemoveCmd `cmd:"" help:"Remove an area; what was in it is in none."`
}

type areaListCmd struct {
	output
}

// Help implements [kong.HelpProvider].
func (*areaListCmd) Help() string {
	return `Examples:

    statehouse area list`
}

// Run implements the command.
func (c *areaListCmd) Run(a *app) error {
	r, err := a.registry()
	if err != nil {
		return err
	}
	if c.json() {
		return printJSON(a.stdout, r.Areas)
	}
	if len(r.Areas) == 0 {
		a.notef("there are no areas yet; \"statehouse area set\" creates one")
		return nil
	}
	t := table{columns: []column{{title: "AREA", shrink: true}, {title: "NAME", shrink: true}}}
	for _, area := range r.Areas {
		t.add(cell{text: area.ID}, cell{text: area.Name})
	}
	return t.write(a.stdout, a.term)
}

type areaSetCmd struct {
	ID   string `arg:"" help:"Id of the area, as in living_room."`
	Name string `arg:"" optional:"" help:"Its name (default: made of the id)."`
}

// Help implements [kong.HelpProvider].
func (*areaSetCmd) Help() string {
	return `Examples:

    statehouse area set living_room
    statehouse area set attic 'Under the roof'`
}

// Run implements the command.
func (c *areaSetCmd) Run(a *app) error {
	if strings.Trim(c.ID, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || c.ID == "" {
		return usagef("area id %q: write a-z, 0-9 and _ only, as in living_room", c.ID)
	}
	name := c.Name
	if name == "" {
		name = strings.ReplaceAll(c.ID, "_", " ")
		name = strings.ToUpper(name[:1]) + name[1:]
	}
	return a.edit("area "+c.ID, func(s source) (api.Span, error) { return s.SetArea(a.ctx, c.ID, name) })
}

type areaRemoveCmd struct {
	Area string `arg:"" help:"Id or name of the area."`
}

// Help implements [kong.HelpProvider].
func (*areaRemoveCmd) Help() string {
	return `Examples:

    statehouse area remove attic`
}

// Run implements the command.
func (c *areaRemoveCmd) Run(a *app) error {
	return a.edit("area "+c.Area, func(s source) (api.Span, error) {
		r, err := s.Registry(a.ctx, api.At{})
		if err != nil {
			return api.Span{}, err
		}
		id, err := areaID(r, c.Area)
		if err != nil {
			return api.Span{}, err
		}
		return s.SetArea(a.ctx, id, "")
	})
}

// edit runs a change and says what became of it.
func (a *app) edit(what string, change func(s source) (api.Span, error)) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	span, err := change(s)
	switch {
	case err != nil:
		return err
	case span.First == 0:
		return a.printf("%s: nothing to change\n", clean(what))
	case span.First == span.Last:
		return a.printf("%s: changed, position %s\n", clean(what), count(span.First))
	}
	return a.printf("%s: changed, positions %s to %s\n", clean(what), count(span.First), count(span.Last))
}

// area is the id of an area that somebody wrote; nil and "" stay what they are.
func (a *app) area(s source, name *string) (*string, error) {
	if name == nil || *name == "" {
		return name, nil
	}
	r, err := s.Registry(a.ctx, api.At{})
	if err != nil {
		return nil, err
	}
	id, err := areaID(r, *name)
	if err != nil {
		return nil, fmt.Errorf("%w; \"statehouse area set\" creates one", err)
	}
	return &id, nil
}

func (a *app) registry() (api.Registry, error) {
	s, err := a.open()
	if err != nil {
		return api.Registry{}, err
	}
	defer func() { _ = s.Close() }()
	return s.Registry(a.ctx, api.At{})
}
