package cli

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/api"
)

// listCmd lists entities.
type listCmd struct {
	output
	Entity []string `arg:"" optional:"" help:"Only these: ids, domains, or patterns as in 'sensor.*_battery'."`
	placeFilter
}

// placeFilter are the flags that choose entities by what they are and where.
type placeFilter struct {
	Domain []string `placeholder:"DOMAIN" help:"Only entities of these domains."`
	Area   []string `placeholder:"AREA" help:"Only entities in these areas, by id or name."`
	Device []string `placeholder:"DEVICE" help:"Only entities of these devices, by id or name."`
	Where  string   `placeholder:"EXPR" help:"Only entities of which this is true, as in 'state.light.on && age > duration(\"30m\")'; docs/filters.md has the names."`
}

// where is the expression of --where.
func (c *placeFilter) where() (api.Where, error) {
	w, err := api.ParseWhere(c.Where)
	if err != nil {
		return w, usagef("--where: %v", err)
	}
	return w, nil
}

// Help implements [kong.HelpProvider].
func (*listCmd) Help() string {
	return `With -o json one document is printed: the position that all states are of, and the states, sorted by id.

Examples:

    statehouse list
    statehouse list light switch
    statehouse list 'sensor.*_temperature' --area kitchen
    statehouse list --where 'domain == "light" && state.light.on && age > duration("30m")'
    statehouse list -o json | jq -r '.states[] | select(.state == "unavailable").entity_id'`
}

// Run implements the command.
func (c *listCmd) Run(a *app) error {
	where, err := c.where()
	if err != nil {
		return err
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	keep, err := c.filter(a, s, c.Entity, api.At{})
	if err != nil {
		return err
	}
	all, err := s.States(a.ctx, api.At{}, where)
	if err != nil {
		return err
	}
	all.States = slices.DeleteFunc(all.States, func(s api.State) bool { return !keep(s) })
	if c.json() {
		return printJSON(a.stdout, all)
	}
	if len(all.States) == 0 {
		a.notef("no entities%s", map[bool]string{true: " yet", false: " match"}[c.everything()])
		return nil
	}
	now := a.now()
	return a.printStates(all.States, func(s api.State) string { return age(now, s.ChangedAt) }, now)
}

// printStates prints a table of states; changed says when one changed, and now is when they were so.
func (a *app) printStates(states []api.State, changed func(api.State) string, now time.Time) error {
	t := table{columns: []column{
		{title: "ENTITY", shrink: true}, {title: "STATE", shrink: true}, {title: "NAME", shrink: true},
		{title: "AREA", shrink: true, sparse: true}, {title: "CHANGED", right: true},
		{title: "PENDING", shrink: true, sparse: true},
	}}
	for _, s := range states {
		t.add(cell{text: s.EntityID}, cell{withUnit(s), stateStyle(s)}, cell{text: s.Name}, cell{text: s.AreaName},
			cell{changed(s), dim}, cell{pendingWords(now, s.Pending), yellow})
	}
	return t.write(a.stdout, a.term)
}

func (c *listCmd) everything() bool {
	return len(c.Entity)+len(c.Domain)+len(c.Area)+len(c.Device)+len(c.Where) == 0
}

// filter says which states to list, out of those that match the patterns; names that nothing had in the moment are errors.
func (c *placeFilter) filter(a *app, s source, patterns []string, at api.At) (func(api.State) bool, error) {
	for _, pattern := range patterns {
		if err := checkPattern(pattern); err != nil {
			return nil, err
		}
	}
	areas, devices := map[string]bool{}, map[string]bool{}
	if len(c.Area)+len(c.Device) > 0 {
		r, err := s.Registry(a.ctx, at)
		if err != nil {
			return nil, err
		}
		for _, name := range c.Area {
			id, err := areaID(r, name)
			if err != nil {
				return nil, err
			}
			areas[id] = true
		}
		for _, name := range c.Device {
			id, err := deviceID(r, name)
			if err != nil {
				return nil, err
			}
			devices[id] = true
		}
	}
	return func(s api.State) bool {
		domain, _, _ := strings.Cut(s.EntityID, ".")
		return (len(patterns) == 0 || matchesAny(patterns, s.EntityID)) &&
			(len(c.Domain) == 0 || slices.Contains(c.Domain, domain)) &&
			(len(areas) == 0 || areas[s.Area]) && (len(devices) == 0 || devices[s.Device])
	}, nil
}

// checkPattern refuses a pattern that is none.
func checkPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return usagef("%q is no pattern: write an id, a domain, or an id with * and ?", pattern)
	}
	return nil
}

// matchesAny says that an id is one of, belongs to a domain of, or matches a pattern of a list.
func matchesAny(patterns []string, id string) bool {
	domain, _, _ := strings.Cut(id, ".")
	for _, p := range patterns {
		if ok, _ := path.Match(p, id); ok || p == id || p == domain {
			return true
		}
	}
	return false
}

// areaID is the id of the area that somebody calls so.
func areaID(r api.Registry, name string) (string, error) {
	var names []string
	for _, area := range r.Areas {
		if area.ID == name || strings.EqualFold(area.Name, name) {
			return area.ID, nil
		}
		names = append(names, area.ID, area.Name)
	}
	return "", markf(statehouse.ErrNotFound, "there is no area %s%s", clean(name), didYouMean(name, names))
}

// deviceID is the id of the device that somebody calls so.
func deviceID(r api.Registry, name string) (string, error) {
	var found, names []string
	for _, d := range r.Devices {
		if d.ID == name {
			return d.ID, nil
		}
		if strings.EqualFold(d.Name, name) || strings.EqualFold(d.Address, name) {
			found = append(found, d.ID)
		}
		names = append(names, d.ID, d.Name)
	}
	switch len(found) {
	case 0:
		return "", markf(statehouse.ErrNotFound, "there is no device %s%s", clean(name), didYouMean(name, names))
	case 1:
		return found[0], nil
	}
	return "", usagef("%q is the name of several devices; write the id of one: %s", name, strings.Join(found, ", "))
}
