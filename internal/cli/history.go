package cli

import (
	"encoding/json"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// historyCmd shows the events of one entity.
type historyCmd struct {
	output
	Entity string `arg:"" help:"Id of an entity, as in light.kitchen."`
	Since  when   `placeholder:"WHEN" help:"Only what was recorded after this: a time, 2h, '3d ago' or @POSITION."`
	Until  when   `placeholder:"WHEN" help:"Only what was recorded up to this."`
	Limit  int    `short:"n" default:"50" placeholder:"N" help:"Only the newest N events; 0 shows all."`
}

// Help implements [kong.HelpProvider].
func (*historyCmd) Help() string {
	return `Oldest first. With -o json one event per line is printed.

Examples:

    statehouse history light.kitchen
    statehouse history sensor.attic_temperature --since 2h -n 0
    statehouse history lock.front_door --since 2026-01-31 --until '2026-01-31 18:00'
    statehouse history light.kitchen --since @1204331 -o json`
}

// Run implements the command.
func (c *historyCmd) Run(a *app) error {
	if c.Limit < 0 {
		return usagef("--limit %d: write 0 or more", c.Limit)
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if eventstore.CheckEntityID(c.Entity) != nil {
		return noEntity(a.ctx, s, c.Entity)
	}
	q, err := a.between(s, c.Since, c.Until)
	if err != nil {
		return err
	}
	q.Entities = []string{c.Entity}
	events, older, err := a.newest(s, q, c.Limit)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return c.nothing(a, s)
	}
	if c.json() {
		for _, e := range events {
			if err := printJSONLine(a.stdout, e); err != nil {
				return err
			}
		}
		return nil
	}
	if err := c.print(a, events); err != nil {
		return err
	}
	if older > 0 {
		a.notef("%s before these; --limit 0 shows all", counted(older, "event"))
	}
	return nil
}

// between is the query for the events between two places.
func (a *app) between(s source, since, until when) (q eventstore.Query, err error) {
	if since.given() {
		if q.After, err = positionOf(a.ctx, s, since, a.now()); err != nil {
			return q, err
		}
	}
	if until.given() {
		if q.Until, err = positionOf(a.ctx, s, until, a.now()); err != nil {
			return q, err
		}
	} else if q.Until, err = s.Head(a.ctx); err != nil {
		return q, err
	}
	return q, nil
}

// newest are the last events that match, and how many there are before them.
func (a *app) newest(s source, q eventstore.Query, limit int) (events []api.Event, older int, err error) {
	if q.Until <= q.After { // to the log, Until 0 means no end
		return nil, 0, nil
	}
	for e, err := range s.Events(a.ctx, q) {
		if err != nil {
			return nil, 0, err
		}
		events = append(events, e)
		if limit > 0 && len(events) >= 2*limit {
			older += len(events) - limit
			events = append(events[:0], events[len(events)-limit:]...)
		}
	}
	if limit > 0 && len(events) > limit {
		older += len(events) - limit
		events = events[len(events)-limit:]
	}
	return events, older, nil
}

// nothing tells an entity without events in the time from one that does not exist.
func (c *historyCmd) nothing(a *app, s source) error {
	for _, err := range s.Events(a.ctx, eventstore.Query{Entities: []string{c.Entity}}) {
		if err != nil {
			return err
		}
		if !c.json() {
			a.notef("no events of %s in that time", c.Entity)
		}
		return nil
	}
	return noEntity(a.ctx, s, c.Entity)
}

func (c *historyCmd) print(a *app, events []api.Event) error {
	t := table{columns: []column{
		{title: "POSITION", right: true}, {title: "TIME"}, {title: "AGE", right: true}, {title: "WHAT", shrink: true},
		{title: "DETAILS", shrink: true, sparse: true}, {title: "SOURCE", shrink: true},
	}}
	now := a.now()
	var before json.RawMessage
	for _, e := range events {
		detail := ""
		if e.Kind == eventstore.KindStateChanged {
			detail = details(before, e.Data)
			before = e.Data
		}
		t.add(cell{count(e.Position), dim}, cell{text: e.Timestamp.Local().Format("2006-01-02 15:04:05.000")},
			cell{age(now, e.Timestamp), dim}, eventCell(e), cell{detail, dim}, cell{e.Source, dim})
	}
	return t.write(a.stdout, a.term)
}

// eventCell says what happened in an event.
func eventCell(e api.Event) cell {
	if e.Kind == eventstore.KindStateChanged {
		return cell{e.State, stateStyle(api.State{State: e.State})}
	}
	text := map[eventstore.Kind]string{
		eventstore.KindStateReported:      "heard of, unchanged",
		eventstore.KindEntityRegistered:   "registered",
		eventstore.KindEntityUnregistered: "removed",
		eventstore.KindEntityRenamed:      "renamed",
	}[e.Kind]
	if text == "" {
		text = string(e.Kind)
	}
	return cell{text, dim}
}

// clock is a time of day for lines that are read as they come.
func clock(t time.Time) string { return t.Local().Format("15:04:05.000") }
