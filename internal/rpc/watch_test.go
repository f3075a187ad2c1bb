package rpc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/gen/statehouse/v1/statehousev1connect"
	"github.com/statehouse/statehouse/internal/access"
)

// view is what a client of Watch keeps.
type view struct {
	states map[string]*statehousev1.State
	cursor *statehousev1.Cursor
	resets int
}

func (v *view) fold(m *statehousev1.WatchResponse) {
	if v.states == nil {
		v.states = map[string]*statehousev1.State{}
	}
	switch m := m.GetMessage().(type) {
	case *statehousev1.WatchResponse_States:
		for _, s := range m.States.GetStates() {
			v.states[s.GetEntityId()] = s
		}
	case *statehousev1.WatchResponse_Reset_:
		clear(v.states)
		v.resets++
	case *statehousev1.WatchResponse_Ready:
		v.cursor = m.Ready.GetCursor()
	case *statehousev1.WatchResponse_Heartbeat:
		v.cursor = m.Heartbeat.GetCursor()
	case *statehousev1.WatchResponse_Changes:
		for _, s := range m.Changes.GetStates() {
			v.states[s.GetEntityId()] = s
		}
		for _, id := range m.Changes.GetRemoved() {
			delete(v.states, id)
		}
		v.cursor = m.Changes.GetCursor()
	}
}

// until follows a stream until its client is at a position.
func (v *view) until(t testing.TB, c statehousev1connect.StateServiceClient, req *statehousev1.WatchRequest, at eventstore.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := c.Watch(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	defer cancel()
	for s.Receive() {
		v.fold(s.Msg())
		if v.cursor.GetPosition() >= uint64(at) && v.cursor != req.Cursor {
			return
		}
	}
	t.Fatalf("the stream ended at %v, before %d: %v", v.cursor, at, s.Err())
}

// same fails where the view is not what is to be seen of a moment.
func (v *view) same(t testing.TB, h *statehouse.House, want func(*statehousev1.State) bool) {
	t.Helper()
	m, err := h.AsOf(context.Background(), eventstore.Position(v.cursor.GetPosition()))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, st := range m.State.Sorted() {
		s := newState(m, st)
		if !want(s) {
			continue
		}
		n++
		if !proto.Equal(s, v.states[s.GetEntityId()]) {
			t.Fatalf("at %d %s is %v, and not %v", m.Position(), s.GetEntityId(), v.states[s.GetEntityId()], s)
		}
	}
	if n != len(v.states) {
		t.Fatalf("at %d there are %d, and not %d: %v", m.Position(), len(v.states), n, v.states)
	}
}

// TestWatchComesOutRight: whoever keeps what the messages say has, at each cursor that he comes to and from whichever he came
// back with, exactly what he may see of the house.
func TestWatchComesOutRight(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{Heartbeat: 20 * time.Millisecond})
	everything := func(*statehousev1.State) bool { return true }
	lights := func(s *statehousev1.State) bool { return strings.HasPrefix(s.GetEntityId(), "light.") }
	watchers := []struct {
		name, who string
		selection *statehousev1.Selection
		want      func(*statehousev1.State) bool
	}{
		{"all", "all", nil, everything},
		{"restricted", "some", nil, lights},
		{"domain", "all", &statehousev1.Selection{Domains: []string{"light"}}, lights},
		{"entities", "some", &statehousev1.Selection{EntityIds: []string{"light.a", "switch.d"}}, func(s *statehousev1.State) bool { return s.GetEntityId() == "light.a" }},
		{"where", "all", &statehousev1.Selection{Where: `state.light.on && area_name != "A"`}, func(s *statehousev1.State) bool {
			return s.GetAttributes().GetLight().GetOn() && s.GetAreaName() != "A"
		}},
	}
	var writing sync.WaitGroup
	defer writing.Wait()
	rounds := 12
	for round := range rounds {
		random := rand.New(rand.NewPCG(uint64(round), 7))
		appendRandom(t, h, random, 15)
		writing.Go(func() { appendRandom(t, h, rand.New(rand.NewPCG(uint64(round), 8)), 25) })
		for i := range watchers {
			w := &watchers[i]
			v := &view{}
			c := r.states(w.who)
			v.until(t, c, &statehousev1.WatchRequest{Selection: w.selection}, h.Now().Position())
			v.same(t, h, w.want)
			for range 3 { // comes back
				time.Sleep(time.Duration(random.IntN(5)) * time.Millisecond)
				v.until(t, c, &statehousev1.WatchRequest{Selection: w.selection, Cursor: v.cursor}, h.Now().Position())
				v.same(t, h, w.want)
			}
			if v.resets > 0 {
				t.Fatalf("%s: %d resets", w.name, v.resets)
			}
		}
		writing.Wait()
	}
}

// TestWatchFollowsNames: what is renamed elsewhere comes, although no event is about the entity.
func TestWatchFollowsNames(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	appendEvents(t, h, areaEvent("kitchen", "Kitchen"), deviceEvent(&entityv1.Device{Id: "d", Name: "Lamp"}),
		entityEvent(&entityv1.Entity{Id: "light.a", UniqueId: "1", DeviceId: "d"}))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := r.states("some").Watch(ctx, &statehousev1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	defer cancel()
	v := &view{}
	next := func() {
		t.Helper()
		for v.cursor = nil; v.cursor == nil; {
			if !s.Receive() {
				t.Fatal(s.Err())
			}
			v.fold(s.Msg())
		}
	}
	next()
	for i, e := range []eventstore.Event{
		deviceEvent(&entityv1.Device{Id: "d", Name: "Lamp", AreaId: "kitchen"}), areaEvent("kitchen", "Galley"),
		deviceEvent(&entityv1.Device{Id: "d", Name: "Lantern", AreaId: "kitchen"}), areaEvent("kitchen", ""),
	} {
		appendEvents(t, h, e)
		next()
		got := v.states["light.a"]
		if want := [...]string{"Lamp Kitchen", "Lamp Galley", "Lantern Galley", "Lantern "}[i]; got.GetDeviceName()+" "+got.GetAreaName() != want {
			t.Fatalf("step %d: %v", i, got)
		}
	}
}

// TestWatchResets: a cursor that cannot be gone on from is a reset and the whole state.
func TestWatchResets(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	head := appendEvents(t, h, lightEvent("light.a", 1), lightEvent("light.b", 2)).Last
	for name, c := range map[string]*statehousev1.Cursor{
		"another database": {Database: "0b5c54b0-0000-4000-8000-000000000000", Position: 1},
		"the future":       {Database: h.Store().UUID(), Position: uint64(head) + 1},
		"nonsense":         {},
	} {
		v := &view{states: map[string]*statehousev1.State{"light.old": {}}}
		v.until(t, r.states("all"), &statehousev1.WatchRequest{Cursor: c}, head)
		v.same(t, h, func(*statehousev1.State) bool { return true })
		if v.resets != 1 {
			t.Errorf("%s: %d resets", name, v.resets)
		}
	}
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestWatchersAreSlow: who takes nothing is dropped.
func TestWatchersAreSlow(t *testing.T) {
	for _, proto := range []string{"h1", "h2"} {
		t.Run(proto, func(t *testing.T) {
			h := newHouse(t)
			ended := make(chan struct{})
			r := serve(t, h, Options{WriteTimeout: 300 * time.Millisecond, OpenStream: func(ctx context.Context) (context.Context, func(), error) {
				return ctx, func() { close(ended) }, nil
			}})
			var events []eventstore.Event
			random := rand.New(rand.NewPCG(1, 2))
			for i := range 2000 {
				e := lightEvent(fmt.Sprintf("light.x%d", i), 1)
				e.Payload.GetStateChanged().Attributes.Extra = []*entityv1.Field{{Name: "x", Value: &entityv1.Value{
					Kind: &entityv1.Value_BytesValue{BytesValue: noise(random, 8000)}, // that no compression makes small
				}}}
				events = append(events, e)
			}
			appendEvents(t, h, events...)
			c := r.h1("all")
			if proto == "h2" {
				c = r.h2("all")
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, err := statehousev1connect.NewStateServiceClient(c, r.url).Watch(ctx, &statehousev1.WatchRequest{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			defer cancel()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Fatal("a client that takes nothing is kept")
			}
		})
	}
}

// TestStreamsEndWithTheirIdentity: within a second, also where the client takes nothing, and for the reason.
func TestStreamsEndWithTheirIdentity(t *testing.T) {
	h := newHouse(t)
	appendEvents(t, h, lightEvent("light.a", 1))
	ended := make(chan struct{}, 8)
	r := serve(t, h, Options{OpenStream: func(ctx context.Context) (context.Context, func(), error) {
		return ctx, func() { ended <- struct{}{} }, nil
	}})
	done := make(chan struct{})
	r.who["brief"] = access.NewIdentity("brief", access.Read, nil, done)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watch, err := r.states("brief").Watch(ctx, &statehousev1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Close() }()
	sub, err := statehousev1connect.NewLogServiceClient(r.h2("brief"), r.url, connect.WithGRPC()).Subscribe(ctx, &statehousev1.SubscribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Close() }()
	if !watch.Receive() || !sub.Receive() {
		t.Fatal(watch.Err(), sub.Err())
	}
	began := time.Now()
	close(done)
	<-ended
	<-ended
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
	for watch.Receive() {
	}
	for sub.Receive() {
	}
	wantCode(t, watch.Err(), connect.CodeUnauthenticated, "unauthenticated")
	wantCode(t, sub.Err(), connect.CodeUnauthenticated, "unauthenticated")
}

// TestHeartbeats: what says that nothing came says how far.
func TestHeartbeats(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{Heartbeat: 10 * time.Millisecond})
	appendEvents(t, h, lightEvent("light.a", 1))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := r.log("some").Subscribe(ctx, &statehousev1.SubscribeRequest{FromNow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	defer cancel()
	if !s.Receive() || s.Msg().GetCursor().GetPosition() != 1 {
		t.Fatal(s.Msg(), s.Err())
	}
	appendEvents(t, h, lightEvent("switch.hidden", 1))
	for s.Msg().GetCursor().GetPosition() != 2 {
		if !s.Receive() || len(s.Msg().GetEvents()) > 0 {
			t.Fatal(s.Msg(), s.Err())
		}
	}
}
