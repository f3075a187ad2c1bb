package eventstore

import (
	"slices"
	"strings"
	"sync/atomic"
)

// The tail holds at most so many events, and events whose records have at most so many bytes.
const (
	tailEvents = 4096
	tailBytes  = 8 << 20
)

// tail is the end of the log in memory: the last events as the writer made them, so that one that a thousand
// subscriptions wait for is neither read nor decoded a thousand times. It is there while there is a subscription; the
// first commit without one lets go of it.
//
// An event is found by its position alone, and its place is taken by a later one whoever still wants it: a subscription
// holds nothing but the event that it is yielding, and one that comes too late reads the log. Neither side ever waits
// for the other.
type tail struct {
	readers atomic.Int64 // the subscriptions that are yielding or waiting
	places  [tailEvents]atomic.Pointer[tailed]

	// The rest is the writer's: the tail holds the positions from first up to, not including, next.
	first, next Position
	bytes       int
}

// tailed is an event in the tail. It does not change.
type tailed struct {
	event Event
	bytes int // of its record
}

func (t *tail) place(at Position) *atomic.Pointer[tailed] { return &t.places[at%tailEvents] }

// at is the event at a position, nil if the tail does not have it. Only for positions up to the head of the log: the
// writer adds events before it moves that.
func (t *tail) at(at Position) *Event {
	if e := t.place(at).Load(); e != nil && e.event.Position == at {
		return &e.event
	}
	return nil
}

// add adds the events of a group that was committed, none where the group was not kept.
func (t *tail) add(group []*tailed) {
	if len(group) == 0 || group[0].event.Position != t.next {
		for t.first < t.next {
			t.drop()
		}
	}
	for _, e := range group {
		if t.first == t.next {
			t.first, t.next = e.event.Position, e.event.Position
		}
		for t.next-t.first == tailEvents || t.bytes+e.bytes > tailBytes {
			t.drop()
		}
		t.place(t.next).Store(e)
		t.next++
		t.bytes += e.bytes
	}
}

// drop drops the oldest event.
func (t *tail) drop() {
	p := t.place(t.first)
	t.bytes -= p.Load().bytes
	p.Store(nil)
	t.first++
}

// groupTail are the events of a group on their way into the tail. A group that would not fit is not kept: who wants its
// first event has to read it from disk, and goes on with the others there.
type groupTail struct {
	wanted bool
	events []*tailed
	bytes  int
}

func (g *groupTail) add(e Event, bytes int) {
	if !g.wanted {
		return
	}
	if g.bytes += bytes; len(g.events) == tailEvents || g.bytes > tailBytes {
		*g = groupTail{}
		return
	}
	// A caller's string may be a part of something much larger.
	e.Entity, e.Source, e.CorrelationID = strings.Clone(e.Entity), strings.Clone(e.Source), strings.Clone(e.CorrelationID)
	g.events = append(g.events, &tailed{e, bytes})
}

// wants says whether an event matches what the query restricts beside positions and times.
func (q *Query) wants(e *Event) bool {
	return (len(q.Entities) == 0 || slices.Contains(q.Entities, e.Entity)) &&
		(len(q.Sources) == 0 || slices.Contains(q.Sources, e.Source)) &&
		(len(q.Kinds) == 0 || slices.Contains(q.Kinds, e.Kind)) &&
		(len(q.Correlations) == 0 || slices.Contains(q.Correlations, e.CorrelationID))
}
