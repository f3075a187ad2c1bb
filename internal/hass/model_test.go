package hass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// load makes random events about a few entities, as many appends as are wanted: states, reports, names, devices, other
// ids, and comings and goings.
func load(ctx context.Context, house *statehouse.House, r *rand.Rand, appends int) error {
	return loadOf(ctx, house, r, appends, false)
}

// loadOf is load, in which, if keep is true, no entity goes.
func loadOf(ctx context.Context, house *statehouse.House, r *rand.Rand, appends int, keep bool) error {
	lights := []string{"light.a", "light.b", "light.c", "light.d", "light.e"}
	for i := range appends {
		var batch []eventstore.Event
		for range 1 + r.IntN(4) {
			id := lights[r.IntN(len(lights))]
			_, known := house.Now().Registry.Entity(id)
			switch n := r.IntN(20); {
			case n < 9:
				e := lightEvent(id, uint32(r.IntN(4)))
				if r.IntN(3) == 0 {
					e.Source = "api:alice"
				}
				if head := house.Now().Position(); r.IntN(3) == 0 && head > 0 {
					e.CausePosition = 1 + eventstore.Position(r.IntN(int(head)))
				}
				batch = append(batch, e)
			case n < 11:
				batch = append(batch, reportEvent(id))
			case n < 14:
				batch = append(batch, entityEvent(&entityv1.Entity{
					Id: id, UniqueId: id, DeviceId: fmt.Sprint("d", r.IntN(3)), UserName: []string{"", "One", "Two"}[r.IntN(3)],
					Disabled: !keep && r.IntN(6) == 0,
				}))
			case n < 16:
				batch = append(batch, deviceEvent(&entityv1.Device{Id: fmt.Sprint("d", r.IntN(3)), Name: fmt.Sprint("Device ", r.IntN(50))}))
			case n < 17:
				batch = append(batch, customEvent("acme.rang", `{"n":`+fmt.Sprint(i)+`}`))
			case n < 18:
				batch = append(batch, sensorEvent("sensor.power", float64(r.IntN(9))))
			case n < 19 && len(batch) == 0 && !keep:
				batch = append(batch, unregisterEvent(id))
			case known && len(batch) == 0 && !keep:
				to := lights[r.IntN(len(lights))]
				if _, taken := house.Now().State.Get(to); taken {
					continue
				}
				if _, taken := house.Now().Registry.Entity(to); taken {
					continue
				}
				batch = append(batch, renameEvent(id, to))
			}
		}
		if len(batch) == 0 {
			continue
		}
		// After a rename a unique id may be another entity's.
		if _, err := house.Append(ctx, batch...); err != nil && !errors.Is(err, eventstore.ErrInvalid) {
			return err
		}
	}
	return nil
}

// folded is a state as a client has it from compressed forms: exactly what the official client makes of them.
type folded struct {
	State      string
	Attributes map[string]any
	Context    map[string]any
	Changed    float64
}

// fold does what the official client does with an event of subscribe_entities.
func fold(t *testing.T, all map[string]folded, event json.RawMessage) {
	t.Helper()
	context := func(before map[string]any, c any) map[string]any {
		w := maps.Clone(before)
		if w == nil {
			w = map[string]any{"parent_id": nil, "user_id": nil}
		}
		if id, ok := c.(string); ok {
			w["id"] = id
		} else if c, ok := c.(object); ok {
			maps.Copy(w, c)
		}
		return w
	}
	e := decode[struct {
		A map[string]object
		C map[string]map[string]object
		R []string
	}](t, event)
	for id, s := range e.A {
		all[id] = folded{s["s"].(string), s["a"].(object), context(nil, s["c"]), s["lc"].(float64)}
	}
	for _, id := range e.R {
		if _, ok := all[id]; !ok {
			t.Errorf("%s was removed, and the client had none", id)
		}
		delete(all, id)
	}
	for id, c := range e.C {
		s, ok := all[id]
		if !ok {
			t.Errorf("%s changed, and the client had none", id)
		}
		plus := c["+"]
		if v, ok := plus["s"].(string); ok {
			s.State = v
		}
		if v, ok := plus["lc"].(float64); ok {
			s.Changed = v
		}
		s.Context = context(s.Context, plus["c"])
		s.Attributes = maps.Clone(s.Attributes)
		if a, ok := plus["a"].(object); ok {
			maps.Copy(s.Attributes, a)
		}
		if gone, ok := c["-"]["a"].([]any); ok {
			for _, name := range gone {
				delete(s.Attributes, name.(string))
			}
		}
		all[id] = s
	}
}

// foldedOf are the states that REST gives, as a client that folds has them.
func foldedOf(t *testing.T, url, token string) map[string]folded {
	t.Helper()
	all := map[string]folded{}
	for _, s := range get[[]object](t, url+"/api/states", token) {
		changed, ok := parseTime(s["last_changed"].(string))
		if !ok || s["last_changed"] != s["last_updated"] {
			t.Fatalf("got %v", s)
		}
		all[s["entity_id"].(string)] = folded{
			s["state"].(string), s["attributes"].(object), s["context"].(object), float64(changed.UnixMicro()) / 1e6,
		}
	}
	return all
}

// What a client makes of subscribe_entities is what the house is, whatever happens, and also for one that may see a part.
func TestEntitiesFoldToTheStates(t *testing.T) {
	for seed := range uint64(6) {
		house := newHouse(t)
		url := serve(t, house, everyone(), Options{})
		r := rand.New(rand.NewPCG(seed, 1))
		if err := load(t.Context(), house, r, 20); err != nil {
			t.Fatal(err)
		}
		var clients sync.WaitGroup
		for _, token := range []string{"reader", "lights"} {
			c := login(t, url, token)
			if seed%2 == 0 {
				must[any](c, "supported_features", object{"features": object{"coalesce_messages": 1}})
			}
			id := c.command("subscribe_entities", nil)
			clients.Go(func() {
				all := map[string]folded{}
				_ = c.next() // the result
				for {
					m, err := c.tryNext(patience)
					if err != nil {
						t.Error(err)
						return
					}
					e := decode[wireResult](t, m)
					if e.ID != id {
						t.Errorf("got %s", m)
					}
					fold(t, all, e.Event)
					if s, ok := all["light.end"]; ok && s.State == "on" {
						break
					}
				}
				want := foldedOf(t, url, token)
				if diff := cmp.Diff(want, all); diff != "" {
					t.Errorf("seed %d, %s: %s", seed, token, diff)
				}
				if _, sees := all["sensor.power"]; sees && token == "lights" {
					t.Error("a client sees what it may not")
				}
			})
		}
		if err := load(t.Context(), house, r, 150); err != nil {
			t.Error(err)
		}
		appendEvents(t, house, lightEvent("light.end", 1))
		clients.Wait()
	}
}

// What a client makes of the events of states is what the house is. None of them changes nothing, each begins with what
// the one before ended with, and their contexts are events of the log.
func TestEventsFoldToTheStates(t *testing.T) {
	for seed := range uint64(6) {
		house := newHouse(t)
		url := serve(t, house, everyone(), Options{})
		r := rand.New(rand.NewPCG(seed, 2))
		if err := load(t.Context(), house, r, 20); err != nil {
			t.Fatal(err)
		}
		c := login(t, url, "reader")
		type form struct {
			State      string
			Attributes map[string]any
		}
		all := map[string]form{}
		// Nobody appends between the two.
		for id, s := range foldedOf(t, url, "reader") {
			all[id] = form{s.State, s.Attributes}
		}
		must[any](c, "subscribe_events", object{"event_type": "state_changed"})
		var client sync.WaitGroup
		client.Go(func() {
			for last := (eventstore.Position)(0); ; {
				m, err := c.tryNext(patience)
				if err != nil {
					t.Error(err)
					return
				}
				e := decode[struct {
					Event struct {
						Type string `json:"event_type"`
						Data struct {
							ID  string `json:"entity_id"`
							Old *form  `json:"old_state"`
							New *form  `json:"new_state"`
						}
						Context struct{ ID string }
					}
				}](t, m).Event
				at, ok := parseContextID(e.Context.ID)
				if !ok || at.position < last || at.position > house.Now().Position() {
					t.Errorf("the context %s after %d", e.Context.ID, last)
				}
				last = at.position
				had, has := all[e.Data.ID]
				if has != (e.Data.Old != nil) || has && !cmp.Equal(had, *e.Data.Old) {
					t.Errorf("seed %d: %s\nthe client has %v", seed, m, had)
				}
				if cmp.Equal(e.Data.Old, e.Data.New) {
					t.Errorf("nothing has changed: %s", m)
				}
				if delete(all, e.Data.ID); e.Data.New != nil {
					all[e.Data.ID] = *e.Data.New
				}
				if e.Data.ID == "light.end" {
					break
				}
			}
		})
		if err := load(t.Context(), house, r, 150); err != nil {
			t.Error(err)
		}
		appendEvents(t, house, lightEvent("light.end", 1))
		client.Wait()
		want := map[string]form{}
		for id, s := range foldedOf(t, url, "reader") {
			want[id] = form{s.State, s.Attributes}
		}
		if diff := cmp.Diff(want, all); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
	}
}

// A context's id, its parent and its user are the event's, its cause's and its token's.
func TestContextsAreCauses(t *testing.T) {
	house := newHouse(t)
	url := serve(t, house, everyone(), Options{})
	if err := load(t.Context(), house, rand.New(rand.NewPCG(9, 3)), 200); err != nil {
		t.Fatal(err)
	}
	for _, s := range get[[]object](t, url+"/api/states", "reader") {
		id := s["entity_id"].(string)
		c := s["context"].(object)
		is, _ := house.Now().State.Get(id)
		at, ok := parseContextID(c["id"].(string))
		e, err := house.Store().Event(t.Context(), is.Position)
		if err != nil || !ok || at.position != is.Position || at.millis != uint64(e.RecordedAt.UnixMilli()) {
			t.Errorf("%s: %v at %d", id, at, is.Position)
		}
		parent, _ := c["parent_id"].(string)
		if p, ok := parseContextID(parent); ok != (e.CausePosition != 0) || ok && p.position != e.CausePosition {
			t.Errorf("%s: the parent is %q, and the cause %d", id, parent, e.CausePosition)
		}
		user, _ := c["user_id"].(string)
		if user != strings.TrimPrefix(e.Source, "api:") && (user != "" || strings.HasPrefix(e.Source, "api:")) {
			t.Errorf("%s: the user is %q, and the source %q", id, user, e.Source)
		}
	}
	// Of causes that somebody may not see he learns nothing.
	cause := appendEvents(t, house, sensorEvent("sensor.power", 99)).First
	caused := lightEvent("light.caused", 1)
	caused.CausePosition = cause
	appendEvents(t, house, caused)
	for token, sees := range map[string]bool{"reader": true, "lights": false} {
		if parent := foldedOf(t, url, token)["light.caused"].Context["parent_id"]; (parent != nil) != sees {
			t.Errorf("%s sees the cause %v", token, parent)
		}
	}
	for _, s := range get[[]object](t, url+"/api/states", "lights") {
		if parent, _ := s["context"].(object)["parent_id"].(string); parent != "" {
			p, _ := parseContextID(parent)
			if e, err := house.Store().Event(t.Context(), p.position); err != nil || !strings.HasPrefix(e.Entity, "light.") {
				t.Errorf("%v has a cause about %q", s, e.Entity)
			}
		}
	}
	if ids := slices.Collect(maps.Keys(foldedOf(t, url, "lights"))); slices.ContainsFunc(ids, func(id string) bool { return !strings.HasPrefix(id, "light.") }) {
		t.Errorf("somebody sees %v", ids)
	}
}
