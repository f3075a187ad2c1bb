package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/api"
)

// getCmd shows single entities with everything that is known of them.
type getCmd struct {
	output
	Entity []string `arg:"" help:"Ids of entities, as in light.kitchen."`
}

// Help implements [kong.HelpProvider].
func (*getCmd) Help() string {
	return `With -o json one document per entity is printed.

Examples:

    statehouse get light.kitchen
    statehouse get sensor.attic_temperature sensor.attic_humidity
    statehouse get light.kitchen -o json | jq .attributes.brightness`
}

// Run implements the command.
func (c *getCmd) Run(a *app) error {
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	all, err := s.States(a.ctx, api.At{}, api.Where{})
	if err != nil {
		return err
	}
	var missing []error
	for i, id := range c.Entity {
		at, ok := slices.BinarySearchFunc(all.States, id, func(s api.State, id string) int {
			return strings.Compare(s.EntityID, id)
		})
		if !ok {
			missing = append(missing, c.missing(a, s, id))
			continue
		}
		if c.json() {
			err = printJSON(a.stdout, all.States[at])
		} else {
			if i > 0 {
				_ = a.printf("\n")
			}
			err = a.printState(all.States[at])
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(missing...)
}

// missing says why an entity has no state.
func (c *getCmd) missing(a *app, s source, id string) error {
	r, err := s.Registry(a.ctx, api.At{})
	if err != nil {
		return err
	}
	for _, e := range r.Entities {
		if e.ID == id && e.Disabled {
			return markf(statehouse.ErrNotFound, "%s is disabled and has no state; \"statehouse entity set %s --enable\" starts to record it", id, id)
		}
	}
	return noEntity(a.ctx, s, id)
}

// printState prints a state as a list of what is known.
func (a *app) printState(s api.State) error {
	now := a.now()
	if err := a.printf("%s  %s\n", a.term.paint(bold, s.EntityID), a.term.paint(stateStyle(s), clean(withUnit(s)))); err != nil {
		return err
	}
	rows := [][2]string{
		{"name", s.Name},
		{"area", nameAndID(s.AreaName, s.Area)},
		{"device", nameAndID(s.DeviceName, s.Device)},
		{"class", s.DeviceClass},
		{"changed", moment(now, s.ChangedAt)},
		{"updated", moment(now, s.UpdatedAt) + by(s.UpdatedBy)},
		{"position", count(s.Position)},
		{"pending", pendingWords(now, s.Pending)},
	}
	attributes, err := flatAttributes(s.Attributes)
	if err != nil {
		return err
	}
	rows = append(rows, attributes...)
	width := 0
	for _, row := range rows {
		if row[1] != "" {
			width = max(width, textWidth(clean(row[0])))
		}
	}
	for _, row := range rows {
		if row[1] == "" {
			continue
		}
		key := clean(row[0])
		pad := strings.Repeat(" ", width-textWidth(key))
		value := clean(row[1])
		if a.term.width > 0 {
			value = cut(value, max(a.term.width-width-4, 20))
		}
		line := strings.TrimRight("  "+a.term.paint(dim, key)+pad+"  "+value, " ")
		if err := a.printf("%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

// flatAttributes are the attributes as names and values, in their order; nested values stay JSON.
func flatAttributes(attributes json.RawMessage) ([][2]string, error) {
	var rows [][2]string
	d := json.NewDecoder(strings.NewReader(string(attributes)))
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("attributes: %w", err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("attributes: %w", err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("attributes: %w", err)
		}
		text := string(value)
		var s string
		if json.Unmarshal(value, &s) == nil {
			text = s
		}
		rows = append(rows, [2]string{"  " + fmt.Sprint(key), text})
	}
	if len(rows) > 0 {
		rows = append([][2]string{{"attributes", " "}}, rows...)
	}
	return rows, nil
}

// withUnit is the state as a person reads it.
func withUnit(s api.State) string {
	if s.Unit == "" || s.State == "unknown" || s.State == "unavailable" {
		return s.State
	}
	return s.State + " " + s.Unit
}

// stateStyle is the look of a state.
func stateStyle(s api.State) style {
	switch s.State {
	case "unknown":
		return dim
	case "unavailable":
		return red
	case "on", "open", "unlocked", "home":
		return yellow
	}
	return cyan
}

func nameAndID(name, id string) string {
	if name == "" || name == id {
		return id
	}
	return name + " (" + id + ")"
}

func by(source string) string {
	if source == "" {
		return ""
	}
	return ", by " + source
}

// moment is a time and how long ago it was.
func moment(now, t time.Time) string {
	if t.Unix() <= 0 {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05") + " (" + age(now, t) + ")"
}
