package cli

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// exportCmd writes the log out.
type exportCmd struct {
	Format string   `enum:"jsonl,csv" default:"jsonl" placeholder:"FORMAT" help:"jsonl or csv."`
	After  when     `placeholder:"WHEN" help:"Only events after this: a time, 2h, '3d ago' or @POSITION."`
	Until  when     `placeholder:"WHEN" help:"Only events up to this."`
	Entity []string `placeholder:"ID" help:"Only events about these entities."`
	Kind   []string `placeholder:"KIND" help:"Only events of these kinds, as in state_changed."`
	File   string   `short:"f" placeholder:"FILE" help:"Write to this file, instead of the standard output; a regular file is written whole or not at all."`
}

// Help implements [kong.HelpProvider].
func (*exportCmd) Help() string {
	return `Events in the order of their positions. An event exports to the same bytes whenever and wherever it is exported.

Examples:

    statehouse export -f house.jsonl
    statehouse export --after @120000 | jq -c 'select(.kind == "state_changed")'
    statehouse export --format csv --entity sensor.attic_temperature --after 7d`
}

// Run implements the command.
func (c *exportCmd) Run(a *app) error {
	for _, id := range c.Entity {
		if err := eventstore.CheckEntityID(id); err != nil {
			return usagef("--entity: %w", err)
		}
	}
	for _, k := range c.Kind {
		if !slices.Contains(kinds, k) && !strings.Contains(k, ".") {
			return usagef("--kind %s: there is no such kind of event%s; there are %s", k, didYouMean(k, kinds), strings.Join(kinds, ", "))
		}
	}
	s, err := a.open()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	q, err := a.between(s, c.After, c.Until)
	if err != nil {
		return err
	}
	q.Entities = c.Entity
	for _, k := range c.Kind {
		q.Kinds = append(q.Kinds, eventstore.Kind(k))
	}
	if c.File == "" {
		_, err := c.write(a, s, q, a.stdout)
		return err
	}
	n := 0
	err = a.writeFile(c.File, func(to io.Writer) (err error) {
		n, err = c.write(a, s, q, to)
		return err
	})
	if err != nil {
		return fmt.Errorf("export to %s: %w", c.File, err)
	}
	a.notef("wrote %s to %s", counted(n, "event"), c.File)
	return nil
}

// kinds are the kinds of events that are not other programs' own, which have a dot.
var kinds = []string{
	string(eventstore.KindStateChanged), string(eventstore.KindStateReported), string(eventstore.KindEntityRegistered),
	string(eventstore.KindEntityUnregistered), string(eventstore.KindEntityRenamed), string(eventstore.KindDeviceRegistered),
	string(eventstore.KindDeviceUnregistered), string(eventstore.KindAreaRegistered),
	string(eventstore.KindAreaUnregistered), string(eventstore.KindCommandIssued), string(eventstore.KindCommandSettled),
	string(eventstore.KindSystem), string(eventstore.KindHistoryRemoved),
}

func (c *exportCmd) write(a *app, s source, q eventstore.Query, to io.Writer) (n int, err error) {
	out := bufio.NewWriterSize(to, 64<<10)
	row := func(e api.Event) error { return printJSONLine(out, e) }
	if c.Format == "csv" {
		row = csvRows(out)
	}
	if q.Until > q.After { // to the log, Until 0 means no end
		for e, err := range s.Events(a.ctx, q) {
			if err == nil {
				err = row(e)
			}
			if err != nil {
				return n, errors.Join(err, out.Flush())
			}
			n++
		}
	}
	return n, out.Flush()
}

// csvRows writes the heading and returns what writes an event.
func csvRows(out io.Writer) func(api.Event) error {
	w := csv.NewWriter(out)
	// An error stays in the writer and comes back with the next flush.
	_ = w.Write([]string{"position", "recorded_at", "timestamp", "kind", "entity_id", "source", "correlation_id",
		"cause_position", "state", "data"})
	w.Flush()
	return func(e api.Event) error {
		cause := ""
		if e.CausePosition != 0 {
			cause = strconv.FormatUint(uint64(e.CausePosition), 10)
		}
		_ = w.Write([]string{
			strconv.FormatUint(uint64(e.Position), 10), e.RecordedAt.Format(time.RFC3339Nano),
			e.Timestamp.Format(time.RFC3339Nano), string(e.Kind), e.EntityID, e.Source, e.CorrelationID, cause,
			e.State, string(e.Data),
		})
		w.Flush()
		return w.Error()
	}
}
