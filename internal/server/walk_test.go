package server

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// past is a log with the moment at every position of it.
type past struct {
	events  []eventstore.Event
	moments []timeline.Moment // moments[p] is at position p
}

var (
	someEntities = rapid.SampledFrom([]string{"light.a", "light.b", "switch.c", "switch.d"})
	someDevices  = rapid.SampledFrom([]string{"dev/1", "dev/2"})
	someAreas    = rapid.SampledFrom([]string{"kitchen", "hall"})
)

func drawEvent(t *rapid.T, clock int) eventstore.Event {
	id := someEntities.Draw(t, "entity")
	orNone := func(g *rapid.Generator[string], what string) string {
		if rapid.Bool().Draw(t, "no "+what) {
			return ""
		}
		return g.Draw(t, what)
	}
	var e eventstore.Event
	switch rapid.IntRange(0, 14).Draw(t, "kind") {
	case 0, 1, 2:
		e = lightEvent(id, uint32(rapid.IntRange(0, 1).Draw(t, "brightness")))
	case 3:
		e = reportEvent(id)
	case 4, 5:
		e = entityEvent(&entityv1.Entity{
			Id: id, Name: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "name"), DeviceId: orNone(someDevices, "device"),
			AreaId: orNone(someAreas, "area"), Disabled: rapid.IntRange(0, 4).Draw(t, "disabled") == 0,
		})
	case 6:
		e = unregisterEvent(id)
	case 7:
		e = renameEvent(id, someEntities.Draw(t, "new id"))
	case 8:
		e = deviceEvent(&entityv1.Device{Id: someDevices.Draw(t, "device"), Name: rapid.SampledFrom([]string{"u", "v"}).Draw(t, "name"), AreaId: orNone(someAreas, "area")})
	case 9:
		e = areaEvent(someAreas.Draw(t, "area"), rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "name"))
	case 10:
		e = customEvent(id)
	case 11, 12:
		e = issuedEvent(id)
	case 13:
		e = settledEvent(id, eventstore.Position(rapid.IntRange(1, 40).Draw(t, "command")))
	default:
		e = unregisterDeviceEvent(someDevices.Draw(t, "device"))
	}
	e.Kind = eventstore.KindOf(e.Payload)
	// Several events of one time, so that equal times are no proof of anything.
	e.Timestamp = time.Unix(int64(1000+clock/3), 0).UTC()
	e.RecordedAt = e.Timestamp
	return e
}

// drawPast draws a log whose events the projectors accept, and folds it.
func drawPast(t *rapid.T) past {
	cache, reg := state.New(), registry.New()
	moment := func() timeline.Moment { return timeline.Moment{State: cache.Revision(), Registry: reg.Revision()} }
	p := past{moments: []timeline.Moment{moment()}}
	for i := range rapid.IntRange(1, 40).Draw(t, "events") {
		e := drawEvent(t, i)
		e.Position = eventstore.Position(len(p.events) + 1)
		if reg.Apply(t.Context(), nil, e) != nil {
			reg.Discard()
			continue
		}
		if cache.Apply(t.Context(), nil, e) != nil {
			reg.Discard()
			cache.Discard()
			continue
		}
		cache.Promote()
		reg.Promote()
		p.events = append(p.events, e)
		p.moments = append(p.moments, moment())
	}
	return p
}

// now draws moments at or after a position that only grows, as a house that others write to has.
func (p *past) now(t *rapid.T, at *eventstore.Position) func() timeline.Moment {
	return func() timeline.Moment {
		return p.moments[rapid.IntRange(int(*at), len(p.events)).Draw(t, "now")]
	}
}

func view(t *rapid.T, m timeline.Moment, f filter) map[string]api.State {
	v := map[string]api.State{}
	for _, id := range sortedIDs(m, f) {
		st, err := stateOf(m, id)
		if err != nil {
			t.Fatal(err)
		}
		v[id] = st
	}
	return v
}

// TestWalkComesOutRight: whoever keeps what the changes say has, at the end of every span, exactly the house; from
// whatever position the walk began, and with any filter.
func TestWalkComesOutRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPast(t)
		f := filter{}
		if rapid.Bool().Draw(t, "filtered") {
			f = filter{domains: []string{"light"}}
			if rapid.Bool().Draw(t, "by entity") {
				f = filter{entities: []string{"light.a", "switch.d"}}
			}
		}
		from := eventstore.Position(rapid.IntRange(0, len(p.events)).Draw(t, "from"))
		have := view(t, p.moments[from], f)
		at := from
		k := newWalk(p.now(t, &at), p.moments[from], f)
		for _, e := range p.events[from:] {
			at = e.Position
			c, wanted, end, err := k.change(e)
			if err != nil {
				t.Fatal(err)
			}
			if !wanted && (len(c.States) > 0 || len(c.Removed) > 0) {
				t.Fatalf("event %d says something that is not wanted", e.Position)
			}
			if f.all() && (!wanted || c.Position != e.Position) {
				t.Fatalf("event %d is left out", e.Position)
			}
			foldChange(have, c)
			if !end {
				continue
			}
			if diff := cmp.Diff(view(t, p.moments[e.Position], f), have); diff != "" {
				t.Fatalf("from %d at %d (- house, + reader):\n%s", from, e.Position, diff)
			}
		}
	})
}

// TestWalkBetween: inside a span the states are what the fold made of them, and every entity that an event gave or took a
// state is named; the commands that wait are those that waited after the event, also where their answers come in the same span. Only
// names may be newer.
func TestWalkBetween(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPast(t)
		at := eventstore.Position(rapid.IntRange(0, len(p.events)).Draw(t, "from"))
		k := newWalk(p.now(t, &at), p.moments[at], filter{})
		for _, e := range p.events[at:] {
			at = e.Position
			c, _, _, err := k.change(e)
			if err != nil {
				t.Fatal(err)
			}
			truth := p.moments[e.Position].State
			for _, st := range c.States {
				want, ok := truth.Get(st.EntityID)
				if !ok || want.Position != st.Position {
					t.Fatalf("event %d says %s is of %d: %+v", e.Position, st.EntityID, st.Position, want)
				}
				w, _ := api.NewState(k.Moment(), want)
				then, _ := api.NewState(p.moments[e.Position], want)
				w.Pending = then.Pending
				if diff := cmp.Diff(w, st); diff != "" {
					t.Fatalf("event %d (- fold, + change):\n%s", e.Position, diff)
				}
			}
			for d := range state.Diff(p.moments[e.Position-1].State, truth) {
				if !names(c, d.EntityID, d.After.EntityID == "") {
					t.Fatalf("event %d, %s, says nothing of %s: %s", e.Position, e.Kind, d.EntityID, jsonText(c))
				}
			}
		}
	})
}

func names(c api.Change, id string, gone bool) bool {
	for _, removed := range c.Removed {
		if removed == id {
			return gone
		}
	}
	for _, st := range c.States {
		if st.EntityID == id {
			return !gone
		}
	}
	return false
}
