package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// atCmd shows the house as it was.
type atCmd struct {
	output
	When   when     `arg:"" help:"A moment: a time, 'yesterday 18:00', '2h ago' or @POSITION."`
	Entity []string `arg:"" optional:"" help:"Only these: ids, domains, or patterns as in 'sensor.*_battery'; of ids alone everything is shown that was known."`
	placeFilter
}

// Help implements [kong.HelpProvider].
func (*atCmd) Help() string {
	return `Names and areas are those of then. A time means the last event that was recorded at it or before it; which position that is, is said on stderr, and is what to note down: a position means the same for good.

Times are in the local zone: 2026-01-31, '2026-01-31 18:00', 18:00 (the last one), 'yesterday 18:00', 'monday 7:30' (the last one), 2h, '3d ago', or RFC 3339 with a zone. "oldest" is the oldest moment that there is, also where history has been removed.

With -o json one document is printed, as "list" does, or one per entity, as "get" does.

Examples:

    statehouse at 'yesterday 18:00'
    statehouse at '2h ago' --area kitchen
    statehouse at 'yesterday 23:00' --where 'state.light.on'
    statehouse at 2026-01-31T18:00:00Z light.kitchen
    statehouse at @1204331 'sensor.*_temperature' -o json`
}

// Run implements the command.
func (c *atCmd) Run(a *app) error {
	where, err := c.where()
	if err != nil {
		return err
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	as, err := s.Position(a.ctx, c.When.at(a.now()))
	if err != nil {
		return err
	}
	at := api.AtPosition(as.Position)
	keep, err := c.filter(a, s, c.Entity, at)
	if err != nil {
		return err
	}
	all, err := s.States(a.ctx, at, where)
	if err != nil {
		return err
	}
	all.AsOf = as // by a position everything is final
	if c.single() {
		return c.printEach(a, s, all)
	}
	all.States = slices.DeleteFunc(all.States, func(s api.State) bool { return !keep(s) })
	if c.json() {
		return printJSON(a.stdout, all)
	}
	a.sayAsOf(c.When, as)
	if len(all.States) == 0 {
		a.notef("no entities then")
		return nil
	}
	then := a.now()
	if as.RecordedAt != nil {
		then = *as.RecordedAt
	}
	return a.printStates(all.States, func(s api.State) string { return s.ChangedAt.Local().Format("2006-01-02 15:04:05") }, then)
}

// single says that only ids of entities were given, each of which is then shown whole.
func (c *atCmd) single() bool {
	return len(c.Entity) > 0 && len(c.Domain)+len(c.Area)+len(c.Device)+len(c.Where) == 0 &&
		!slices.ContainsFunc(c.Entity, func(id string) bool { return eventstore.CheckEntityID(id) != nil })
}

// printEach prints each of the entities that were given.
func (c *atCmd) printEach(a *app, s source, all api.States) error {
	if !c.json() {
		a.sayAsOf(c.When, all.AsOf)
	}
	var missing []error
	for i, id := range c.Entity {
		n, ok := slices.BinarySearchFunc(all.States, id, func(s api.State, id string) int {
			return strings.Compare(s.EntityID, id)
		})
		if !ok {
			missing = append(missing, wasNoEntity(a.ctx, s, id, all.AsOf))
			continue
		}
		st := all.States[n]
		var err error
		if c.json() {
			st.AsOf = &all.AsOf
			err = printJSON(a.stdout, st)
		} else {
			if i > 0 {
				_ = a.printf("\n")
			}
			err = a.printState(st)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(missing...)
}
