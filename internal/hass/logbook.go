package hass

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/walk"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// logbookQuery is what the logbook is asked for: states that became others. Numbers that go up and down are not told.
type logbookQuery struct {
	start, end time.Time
	// ids are the entities, nil for all.
	ids []string
	// cause asks for what an event did, and for what it caused; 0 for everything.
	cause eventstore.Position
}

// entry is an entry of the logbook.
type entry struct {
	position eventstore.Position
	when     time.Time

	id, name, state, user string
}

// logbookEntry is an entry as it is sent; When is seconds in a WebSocket and a stamp in REST.
type logbookEntry struct {
	When   any    `json:"when"`
	Name   string `json:"name"`
	State  string `json:"state"`
	Entity string `json:"entity_id"`
	User   string `json:"context_user_id,omitempty"`
}

func (e entry) compressed() logbookEntry {
	return logbookEntry{seconds(e.when), e.name, e.state, e.id, e.user}
}

func (e entry) rest() logbookEntry {
	return logbookEntry{stamp(e.when), e.name, e.state, e.id, e.user}
}

const maxLogbookEntries = 100_000

func errTooManyEntries() error {
	return &failure{http.StatusRequestEntityTooLarge, codeError, "the logbook is too long for one answer; ask for less time or fewer entities"}
}

// logbook are the entries that somebody may see, in a span, oldest first.
func (v *view) logbook(ctx context.Context, who *access.Identity, q logbookQuery, s span) ([]entry, error) {
	from, to := s.from, s.to
	if from.Position() >= to.Position() {
		return nil, nil
	}
	if q.ids != nil {
		return v.logbookOf(ctx, who, q, from, to)
	}
	var all []entry
	k := walk.New(func() timeline.Moment { return to }, from)
	for e, err := range v.house.Read(ctx, eventstore.Query{After: from.Position(), Until: to.Position()}) {
		if err != nil {
			return nil, err
		}
		for _, w := range k.Next(e).Touched {
			if w.Has && who.May(access.Read, w.ID) && q.tells(to.Registry, e, w.Was, w.Is, w.Had) {
				all = append(all, newEntry(to.Registry, e, w.Is))
			}
		}
		if len(all) > maxLogbookEntries {
			return nil, errTooManyEntries()
		}
	}
	return all, nil
}

// logbookOf is logbook for some entities, whose histories cost less than the whole log.
func (v *view) logbookOf(ctx context.Context, who *access.Identity, q logbookQuery, from, to timeline.Moment) ([]entry, error) {
	var all []entry
	for _, id := range q.ids {
		if !who.May(access.Read, id) {
			continue
		}
		for step, err := range v.house.Timeline().History(ctx, id, from.Position(), to.Position()) {
			if err != nil {
				return nil, err
			}
			if step.After.EntityID != "" && q.tells(to.Registry, step.Event, step.Before, step.After, step.Before.EntityID != "") {
				all = append(all, newEntry(to.Registry, step.Event, step.After))
			}
			if len(all) > maxLogbookEntries {
				return nil, errTooManyEntries()
			}
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.position, b.position) })
	return all, nil
}

// asksFor says whether what an event changed is asked for.
func (q *logbookQuery) asksFor(e eventstore.Event) bool {
	return q.cause == 0 || e.Position == q.cause || e.CausePosition == q.cause
}

// tells says whether a change is an entry: as in Home Assistant, that an entity is new is none.
func (q *logbookQuery) tells(r registry.Revision, e eventstore.Event, was, is state.State, had bool) bool {
	return q.asksFor(e) && had && !continuous(r, is.EntityID) && state.Text(was.Attributes) != state.Text(is.Attributes)
}

// continuous says that an entity's states are numbers that go up and down.
func continuous(r registry.Revision, id string) bool {
	entity, _ := r.Entity(id)
	switch domainOf(id) {
	case "number":
		return true
	case "sensor":
		return entity.GetUnit() != "" || entity.GetStateClass() != 0
	default:
		return false
	}
}

func newEntry(r registry.Revision, e eventstore.Event, s state.State) entry {
	return entry{
		position: e.Position, when: s.ChangedAt, id: s.EntityID, name: r.DisplayName(s.EntityID),
		state: state.Text(s.Attributes), user: userOf(e.Source),
	}
}

// logbookMessage is an event of logbook/event_stream.
type logbookMessage struct {
	Events []logbookEntry `json:"events"`
	Start  *seconds       `json:"start_time,omitempty"`
	End    *seconds       `json:"end_time,omitempty"`
}

func compressEntries(all []entry) []logbookEntry {
	w := make([]logbookEntry, len(all))
	for i, e := range all {
		w[i] = e.compressed()
	}
	return w
}

// followLogbook sends what comes to the logbook, until its end or that of the context.
func (v *view) followLogbook(ctx context.Context, from timeline.Moment, who *access.Identity, q logbookQuery, send func(logbookMessage) error) error {
	wanted := every
	if q.ids != nil {
		wanted = func(id string) bool { return slices.Contains(q.ids, id) }
	}
	var events []logbookEntry
	flush := func() error {
		if len(events) == 0 {
			return nil
		}
		err := send(logbookMessage{Events: events})
		events = nil
		return err
	}
	f := newFollower(v, who, from, wanted)
	return f.runUntil(ctx, q.end, flush, func(h happening) error {
		if q.asksFor(h.event) {
			events = append(events, f.entries(h)...)
		}
		if !h.end && len(events) < maxBatch {
			return nil
		}
		return flush()
	})
}

// entries are those of what the follower has just been told.
func (f *follower) entries(h happening) (entries []logbookEntry) {
	names, user := f.walk.Moment().Registry, ""
	if h.context.UserID != nil {
		user = *h.context.UserID
	}
	for _, c := range h.states {
		if c.now == nil || c.old == nil || c.old.State == c.now.State || continuous(names, c.id) {
			continue
		}
		entries = append(entries, logbookEntry{seconds(c.now.LastChanged), names.DisplayName(c.id), c.now.State, c.id, user})
	}
	return entries
}
