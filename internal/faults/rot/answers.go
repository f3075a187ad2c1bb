package rot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/timeline"
)

// answers are what a house says of itself. What it would not say is not among them, and the error is.
type answers struct {
	facts map[string]string
	// moments are the state and the registry at each position, 0 first.
	moments map[eventstore.Position]string
	events  map[eventstore.Position]string
	// reports are what it said of damage: errors, findings, faults and notices.
	reports []string
}

func newAnswers() *answers {
	return &answers{
		facts: map[string]string{}, moments: map[eventstore.Position]string{}, events: map[eventstore.Position]string{},
	}
}

func (a *answers) report(where string, err error) {
	a.reports = append(a.reports, where+": "+err.Error())
}

// fact notes an answer or why there is none.
func (a *answers) fact(what, value string, err error) {
	if err != nil {
		a.report(what, err)
		return
	}
	a.facts[what] = value
}

// differs says what of the answers is not as it was, nil if all that was answered is.
func (a *answers) differs(was *answers) error {
	for what, value := range a.facts {
		if value != was.facts[what] {
			return fmt.Errorf("%s is %s and was %s", what, value, was.facts[what])
		}
	}
	for at, m := range a.moments {
		if m != was.moments[at] {
			return fmt.Errorf("the house as of position %d is not what it was", at)
		}
	}
	for at, e := range a.events {
		if e != was.events[at] {
			return fmt.Errorf("the event at position %d is not what it was", at)
		}
	}
	return nil
}

// size is how many answers there are.
func (a *answers) size() [3]int { return [...]int{len(a.facts), len(a.moments), len(a.events)} }

// asker asks houses.
type asker struct {
	// last is the position of the last event of the undamaged house.
	last eventstore.Position
	// deep says that everything is asked for at every position.
	deep bool
}

// ask asks a house everything.
func (q *asker) ask(ctx context.Context, h *statehouse.House) *answers {
	a := newAnswers()
	r := h.Recovered()
	for _, err := range slices.Concat(r.Faults, r.Notices) {
		a.report("start", err)
	}
	if err := h.Damage(); err != nil {
		a.report("damage", err)
	}
	a.facts["uuid"] = h.Store().UUID()
	now := h.Now()
	text, err := momentText(now)
	if err != nil {
		a.report("now", err)
	} else {
		a.moments[now.Position()] = text
	}
	if h.Damage() == nil {
		a.facts["head"] = fmt.Sprint(h.Store().Head())
		a.facts["now"] = fmt.Sprint(now.Position())
	}
	q.askLog(ctx, h, a)
	q.askPast(ctx, h, a)
	q.askBeside(ctx, h, a)
	n := 0
	_, err = h.Verify(ctx, eventstore.InspectOptions{Found: func(f eventstore.Finding) {
		if n++; n <= 3 {
			a.report("verify", f.Err())
		}
	}})
	if err != nil {
		a.report("verify", err)
	}
	return a
}

// askLog reads the log: forward and backward, so that what is behind a damage is read as well, and the histories of entities.
func (q *asker) askLog(ctx context.Context, h *statehouse.House, a *answers) {
	for _, backward := range [...]bool{false, true} {
		at := eventstore.Position(0)
		if backward {
			at = h.Store().Head() + 1
		}
		for e, err := range h.Read(ctx, eventstore.Query{Backward: backward}) {
			if err != nil {
				a.report("read", err)
				break
			}
			if backward && e.Position != at-1 || !backward && e.Position != at+1 {
				a.facts["a gap before"] = fmt.Sprint(e.Position)
			}
			at = e.Position
			a.events[at] = eventText(e)
		}
	}
	entities := []string{"sensor.a", ""}
	if q.deep {
		entities = append(entities, "sensor.b", "sensor.c", "sensor.d", "sensor.none")
	}
	for _, id := range entities {
		for _, backward := range [...]bool{false, true} {
			var b strings.Builder
			var err error
			var e eventstore.Event
			for e, err = range h.Read(ctx, eventstore.Query{Entities: []string{id}, Backward: backward}) {
				if err != nil {
					break
				}
				fmt.Fprintf(&b, "%d ", e.Position)
			}
			if h.Damage() == nil {
				a.fact(fmt.Sprintf("history of %q, backward %t", id, backward), b.String(), err)
			}
		}
	}
}

func (q *asker) askPast(ctx context.Context, h *statehouse.House, a *answers) {
	step := eventstore.Position(1)
	if !q.deep {
		step = q.last/2 + 1
	}
	for at := eventstore.Position(0); at <= q.last; at += step {
		m, err := h.AsOf(ctx, at)
		var text string
		if err == nil {
			text, err = momentText(m)
		}
		if err != nil {
			a.report(fmt.Sprintf("as of %d", at), err)
			continue
		}
		a.moments[at] = text
		e, err := h.Store().Event(ctx, max(at, 1))
		var found eventstore.Position
		if err == nil {
			found, err = h.Store().PositionAt(ctx, e.RecordedAt)
		}
		if h.Damage() == nil {
			a.fact(fmt.Sprintf("position at the time of %d", max(at, 1)), fmt.Sprint(found), err)
		}
	}
}

// askBeside asks for cursors and keys.
func (q *asker) askBeside(ctx context.Context, h *statehouse.House, a *answers) {
	if h.Damage() != nil {
		q.askToWrite(ctx, h, a)
		return // what is served may be older than they are
	}
	all, err := h.Store().Cursors(ctx)
	a.fact("cursors", fmt.Sprint(all), err)
	for _, name := range consumers {
		c, err := h.Consumer(ctx, name, eventstore.Query{})
		if err != nil {
			a.report("consumer "+name, err)
			continue
		}
		a.facts["consumer "+name] = fmt.Sprint(c.Acked())
		c.Close()
	}
	for _, key := range keys {
		span, err := h.AppendBatch(ctx, statehouse.Batch{Key: key, Events: []eventstore.Event{keyed(key)}})
		a.fact("key "+key.ID, fmt.Sprint(span), err)
	}
}

// askToWrite asks a damaged house for what it must refuse.
func (q *asker) askToWrite(ctx context.Context, h *statehouse.House, a *answers) {
	_, first := h.Append(ctx, keyed(keys[0]))
	for _, err := range [...]error{first, h.Snapshot(ctx), h.Store().DeleteCursor(ctx, consumers[0])} {
		if !errors.Is(err, eventstore.ErrReadOnly) {
			a.facts["a damaged house was asked to write"] = fmt.Sprint(err)
		}
	}
}

func eventText(e eventstore.Event) string {
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(e.Payload)
	return fmt.Sprint(e.Position, e.RecordedAt, e.Timestamp, e.Kind, e.Entity, e.Source, e.CorrelationID, e.CausePosition, hex.EncodeToString(payload), err)
}

// momentText is a hash of everything that there is in a moment.
func momentText(m timeline.Moment) (string, error) {
	var lines []string
	for id, s := range m.State.Entities.All() {
		attributes, err := proto.MarshalOptions{Deterministic: true}.Marshal(s.Attributes)
		if err != nil {
			return "", err
		}
		lines = append(lines, fmt.Sprint(id, s.EntityID, s.Position, s.UpdatedAt, s.ChangedAt, s.UpdatedBy, hex.EncodeToString(attributes)))
	}
	for id, e := range m.Registry.Entities.All() {
		text, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
		if err != nil {
			return "", err
		}
		lines = append(lines, fmt.Sprint("entity", id, hex.EncodeToString(text)))
	}
	slices.Sort(lines)
	return sum(m.Position(), m.Registry.Position, lines), nil
}

func sum(values ...any) string {
	h := sha256.New()
	_, _ = fmt.Fprint(h, values...)
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// open opens the house in a directory.
func open(ctx context.Context, dir string, readOnlyIfDamaged bool) (*statehouse.House, error) {
	return statehouse.OpenContext(ctx, filepath.Join(dir, name), statehouse.Options{
		ReadOnlyIfDamaged: readOnlyIfDamaged,
		// Some hours after the last event: its keys are still known.
		Clock: func() time.Time { return time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC) },
	})
}
