package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/internal/rpc"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// token is what the tests' server takes.
const token = "sth_0123_secret"

func newHouse(t testing.TB) *statehouse.House {
	t.Helper()
	h, err := statehouse.Open(filepath.Join(t.TempDir(), "home.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// server serves a house to whoever has the token. house may become nil for a while.
type server struct {
	*httptest.Server
	house atomic.Pointer[statehouse.House]
}

func serve(t testing.TB, h *statehouse.House, l net.Listener) *server {
	t.Helper()
	return serveWith(t, h, l, nil)
}

// serveCommands serves a house whose devices do something.
func serveCommands(t testing.TB, h *statehouse.House, d rpc.Dispatcher) *server {
	t.Helper()
	return serveWith(t, h, nil, func() rpc.Dispatcher { return d })
}

func serveWith(t testing.TB, h *statehouse.House, l net.Listener, d func() rpc.Dispatcher) *server {
	t.Helper()
	s := &server{}
	s.house.Store(h)
	mux := http.NewServeMux()
	opts := rpc.Options{House: s.house.Load, Dispatcher: d, Heartbeat: 20 * time.Millisecond}
	for prefix, handler := range rpc.New(opts).Handlers() {
		mux.Handle(prefix, handler)
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var who *access.Identity
		switch r.Header.Get("Authorization") {
		case "Bearer " + token:
			who = access.NewIdentity("test", access.Admin, nil, nil)
		case "Bearer some":
			who = access.NewIdentity("some", access.Read, []string{"light.*"}, nil)
		}
		mux.ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
	}))
	if l != nil {
		_ = s.Listener.Close()
		s.Listener = l
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func tokenFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func dial(t testing.TB, url, tokenText string) *Client {
	t.Helper()
	c, err := Dial(url, WithTokenFile(tokenFile(t, tokenText+"\n")))
	if err != nil {
		t.Fatal(err)
	}
	c.backoff, c.maxBackoff = time.Millisecond, 20*time.Millisecond
	t.Cleanup(c.Close)
	return c
}

func light(id string, on bool) eventstore.Event {
	return eventstore.Event{Entity: id, Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{
		StateChanged: &eventv1.StateChanged{Attributes: &entityv1.Attributes{
			Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: &on}},
		}},
	}}}
}

// fold keeps what updates say.
func fold(kept map[string]Entity, u Update) {
	if u.Whole {
		clear(kept)
	}
	for _, e := range u.Entities {
		kept[e.EntityID] = e
	}
	for _, id := range u.Removed {
		delete(kept, id)
	}
}

// same fails where what is kept is not what the house is at a cursor.
func same(t *testing.T, h *statehouse.House, at Cursor, kept map[string]Entity) {
	t.Helper()
	m, err := h.AsOf(context.Background(), at.Position)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []state.State
	for _, s := range m.State.Sorted() {
		want = append(want, s)
		if kept[s.EntityID].Name != m.Registry.DisplayName(s.EntityID) {
			t.Fatalf("at %d %s is called %q", at.Position, s.EntityID, kept[s.EntityID].Name)
		}
	}
	for _, e := range kept {
		got = append(got, e.State)
	}
	slices.SortFunc(got, func(a, b state.State) int { return strings.Compare(a.EntityID, b.EntityID) })
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Fatalf("at %d (- house, + watcher):\n%s", at.Position, diff)
	}
}

// TestWatchComesBack: however often the connection is cut, and the server is not ready for a while, the watcher has at each
// update exactly the house, without a repeat, and ends at the present.
func TestWatchComesBack(t *testing.T) {
	h := newHouse(t)
	s := serve(t, h, nil)
	c := dial(t, s.URL, token)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	const last = "light.last"
	var reached atomic.Uint64 // what the watcher has been given
	var disturbing sync.WaitGroup
	defer func() {
		cancel()
		disturbing.Wait()
	}()
	disturbing.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 400 {
			e := light(fmt.Sprintf("light.x%d", r.IntN(20)), r.IntN(2) == 0)
			if r.IntN(6) == 0 {
				e.Payload = &eventv1.Payload{Kind: &eventv1.Payload_EntityUnregistered{EntityUnregistered: &eventv1.EntityUnregistered{}}}
			}
			if r.IntN(6) == 0 {
				e.Payload = &eventv1.Payload{Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{
					Entity: &entityv1.Entity{Id: e.Entity, Name: fmt.Sprint("name ", r.IntN(3))},
				}}}
			}
			if _, err := h.Append(context.Background(), e); err != nil {
				t.Error(err)
			}
			if i%20 == 19 { // however slow it is, it does not get all of it at once
				span, err := h.Append(context.Background(), light(fmt.Sprintf("light.mark%d", i), true))
				if err != nil {
					t.Error(err)
				}
				for reached.Load() < uint64(span.Last) && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
			}
			switch {
			case i%23 == 0:
				s.CloseClientConnections()
			case i%50 == 7:
				s.house.Store(nil)
				s.CloseClientConnections()
				time.Sleep(5 * time.Millisecond)
				s.house.Store(h)
			}
		}
		if _, err := h.Append(context.Background(), light(last, true)); err != nil {
			t.Error(err)
		}
	})
	kept, whole, updates, at := map[string]Entity{}, 0, 0, Cursor{}
	for u, err := range c.Watch(ctx, Selection{}, Cursor{}) {
		if err != nil {
			t.Fatal(err)
		}
		if updates > 0 && u.Cursor.Position <= at.Position {
			t.Fatalf("an update at %d comes after one at %d", u.Cursor.Position, at.Position)
		}
		at = u.Cursor
		reached.Store(uint64(at.Position))
		fold(kept, u)
		same(t, h, u.Cursor, kept)
		if updates++; u.Whole {
			whole++
		}
		if _, done := kept[last]; done {
			break
		}
	}
	if whole != 1 || updates < 20 {
		t.Errorf("%d updates, %d of them whole", updates, whole)
	}
	disturbing.Wait()

	// A watcher of yesterday goes on with its cursor, and gets nothing that it has.
	if _, err := h.Append(ctx, light("light.new", true)); err != nil {
		t.Fatal(err)
	}
	for u, err := range c.Watch(ctx, Selection{}, at) {
		if err != nil || u.Whole || len(u.Entities) != 1 || u.Entities[0].EntityID != "light.new" {
			t.Fatal(u, err)
		}
		break
	}
	for u, err := range c.Watch(ctx, Selection{Entities: []string{"light.new"}}, Cursor{Database: "another", Position: 7}) {
		if err != nil || !u.Whole || len(u.Entities) != 1 {
			t.Fatal(u, err)
		}
		break
	}
}

// TestWatchIsTold: of a silent server it has enough, and of what another try does not mend.
func TestWatchIsTold(t *testing.T) {
	h := newHouse(t)
	s := serve(t, h, nil)
	for name, c := range map[string]struct {
		token, where string
		want         error
	}{"token": {"wrong", "", ErrUnauthenticated}, "filter": {token, "no &&", eventstore.ErrInvalid}} {
		n := 0
		for _, err := range dial(t, s.URL, c.token).Watch(t.Context(), Selection{Where: c.where}, Cursor{}) {
			if n++; !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d errors", name, n)
		}
	}
	tries := atomic.Int32{}
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries.Add(1)
		w.Header().Set("Content-Type", "application/connect+proto")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer silent.Close()
	c := dial(t, silent.URL, token)
	c.silence = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for tries.Load() < 3 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	for _, err := range c.Watch(ctx, Selection{}, Cursor{}) {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// TestErrorsAreTheModules: what the server says is found with errors.Is and errors.As.
func TestErrorsAreTheModules(t *testing.T) {
	h := newHouse(t)
	c := dial(t, serve(t, h, nil).URL, token)
	ctx := t.Context()
	b := eventstore.Batch{Events: []eventstore.Event{light("light.a", true)}, If: []eventstore.Condition{eventstore.EntityAt("light.a", 0)}, Key: eventstore.Key{ID: "one"}}
	span, err := c.Append(ctx, b)
	if err != nil || span != (eventstore.Span{First: 1, Last: 1}) {
		t.Fatal(span, err)
	}
	if again, err := c.Append(ctx, b); err != nil || again != span {
		t.Error("the repeat is another append:", again, err)
	}
	reused := b
	reused.Events = []eventstore.Event{light("light.a", false)}
	if _, err := c.Append(ctx, reused); !errors.Is(err, eventstore.ErrKeyReused) {
		t.Error(err)
	}
	b.Key = eventstore.Key{}
	_, err = c.Append(ctx, b)
	var conflict *eventstore.ConflictError
	if !errors.As(err, &conflict) || !errors.Is(err, eventstore.ErrConflict) || conflict.Found != 1 || conflict.Condition != b.If[0] {
		t.Error(err)
	}
	_, err = c.Get(ctx, "light.nope", At{})
	var answer *Error
	if !errors.Is(err, statehouse.ErrNotFound) || !errors.As(err, &answer) || answer.Code != "not_found" {
		t.Error(err)
	}
	for name, f := range map[string]func() error{
		"decide": func() error {
			_, err := c.Append(ctx, eventstore.Batch{Decide: func(context.Context) ([]eventstore.Event, error) { return nil, nil }})
			return err
		},
		"scope": func() error {
			_, err := c.Append(ctx, eventstore.Batch{Key: eventstore.Key{Scope: "x", ID: "y"}})
			return err
		},
		"source": func() error {
			e := light("light.a", true)
			e.Source = "me"
			_, err := c.Append(ctx, eventstore.Batch{Events: []eventstore.Event{e}})
			return err
		},
		"zero condition": func() error {
			_, err := c.Append(ctx, eventstore.Batch{Events: []eventstore.Event{light("light.a", true)}, If: []eventstore.Condition{{}}})
			return err
		},
		"condition of no entity": func() error { // and not one of the log, which is at 1
			_, err := c.Append(ctx, eventstore.Batch{Events: []eventstore.Event{light("light.a", true)}, If: []eventstore.Condition{eventstore.EntityAt("", 1)}})
			return err
		},
		"id":     func() error { _, err := c.Get(ctx, "nope", At{}); return err },
		"future": func() error { _, err := c.Resolve(ctx, AtPosition(99)); return err },
	} {
		if err := f(); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := dial(t, serve(t, h, nil).URL, "some").CreateSnapshot(ctx); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Get(gone, "light.a", At{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	large := light("light.a", true)
	large.Payload.GetStateChanged().Attributes.Extra = []*entityv1.Field{{Name: strings.Repeat("x", 5<<20)}}
	if _, err := c.Append(ctx, eventstore.Batch{Events: []eventstore.Event{large}}); !errors.Is(err, eventstore.ErrTooLarge) {
		t.Error(err)
	}
}

// TestTheRest: reads, the past, edits and what looks after the store are the house's own.
func TestTheRest(t *testing.T) {
	h := newHouse(t)
	c := dial(t, serve(t, h, nil).URL, token)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 30 {
		e := check.SensorEvent(fmt.Sprintf("sensor.s%d", i%3), float64(i))
		e.Source, e.CausePosition = "", eventstore.Position(i)
		if _, err := c.Append(ctx, eventstore.Batch{Events: []eventstore.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.SetArea(ctx, "hall", "Hall"); err != nil {
		t.Fatal(err)
	}
	collect := func(got []eventstore.Event, seq func(func(eventstore.Event, error) bool), n int) []eventstore.Event {
		for e, err := range seq {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, e); len(got) == n {
				break
			}
		}
		return got
	}
	want := collect(nil, h.Read(ctx, eventstore.Query{}), 0)
	if diff := cmp.Diff(want, collect(nil, c.Read(ctx, eventstore.Query{}), 0), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, collect(nil, c.Subscribe(ctx, eventstore.Query{After: eventstore.FromOldest}), len(want)), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if got := collect(nil, c.Read(ctx, eventstore.Query{After: eventstore.FromNow}), 0); got != nil {
		t.Errorf("%d events behind the last one", len(got))
	}
	slices.Reverse(want)
	if diff := cmp.Diff(want[:3], collect(nil, c.Read(ctx, eventstore.Query{Backward: true}), 3), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	var ids []string
	for e, err := range c.List(ctx, Selection{Where: `state.sensor.number >= 28`}, AtPosition(30)) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.EntityID+" "+e.Text)
	}
	if fmt.Sprint(ids) != "[sensor.s1 28 sensor.s2 29]" {
		t.Error(ids)
	}
	var steps, wantSteps []timeline.Step
	for s, err := range c.History(ctx, "sensor.s1", AtPosition(5), At{}) {
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, s)
	}
	for s, err := range h.Timeline().History(ctx, "sensor.s1", 5, 0) {
		if err != nil {
			t.Fatal(err)
		}
		wantSteps = append(wantSteps, s)
	}
	if diff := cmp.Diff(wantSteps, steps, protocmp.Transform()); diff != "" || len(steps) == 0 {
		t.Error(diff)
	}
	links := 0
	for l, err := range c.Why(ctx, "sensor.s2", At{}) {
		if err != nil || len(l.Changes) != 1 {
			t.Fatal(l, err)
		}
		links++
	}
	if links != 30 {
		t.Errorf("%d links", links)
	}
	changes := 0
	for ch, err := range c.Diff(ctx, AtOldest(), AtTime(time.Now().Add(time.Hour))) {
		if err != nil || !slices.Equal(ch.What, []string{"appeared"}) || ch.After.Text == "" {
			t.Fatal(ch, err)
		}
		changes++
	}
	if r, err := c.Registry(ctx, At{}); changes != 3 || err != nil || len(r.Areas) != 1 || r.Position != 31 {
		t.Error(changes, r, err)
	}
	dense, err := c.Density(ctx, AtPosition(5), AtPosition(31), 7)
	if err != nil || dense.From.Position != 5 || dense.To.Position != 31 || !dense.Begin.Equal(dense.From.RecordedAt) ||
		!dense.End.Equal(dense.To.RecordedAt) || len(dense.Counts) != 7 || len(dense.Positions) != 7 || dense.Positions[6] != 31 {
		t.Error(dense, err)
	}
	if dense, err := c.Density(ctx, AtOldest(), At{}, 1, "sensor.s1", "sensor.s2"); err != nil || !slices.Equal(dense.Counts, []uint64{20}) {
		t.Error(dense, err)
	}
	if _, err := c.Density(ctx, At{}, AtPosition(1), 0); !errors.Is(err, eventstore.ErrInvalid) {
		t.Error(err)
	}
	if as, err := c.CreateSnapshot(ctx); err != nil || as.Position != 31 {
		t.Error(as, err)
	}
	told := false
	i, err := c.Verify(ctx, eventstore.InspectOptions{Progress: func(_, _ eventstore.Position) { told = true }})
	if err != nil || !told || i.Events != 31 || i.Findings != 0 {
		t.Error(i, told, err)
	}
	done, err := c.Compact(ctx, AtPosition(10), eventstore.CompactOptions{})
	if base, _ := h.Base(); err != nil || base == 0 || done.Base != base {
		t.Error(done, err)
	}
	_, err = c.Get(ctx, "sensor.s1", AtPosition(1))
	var compacted *eventstore.CompactedError
	if !errors.As(err, &compacted) || compacted.Base != done.Base || !compacted.RecordedAt.Equal(done.RecordedAt) {
		t.Error(err)
	}
}

// TestWhyGoesOn: a chain that is too long for one answer is all there, as far as the token may see.
func TestWhyGoesOn(t *testing.T) {
	h := newHouse(t)
	s := serve(t, h, nil)
	for i := range api.MaxLinks + 1 {
		e := light("light.a", i%2 == 0)
		if e.CausePosition = eventstore.Position(i); i == 0 {
			e.Entity = "switch.a"
		}
		if _, err := h.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for who, least := range map[string]eventstore.Position{token: 1, "some": 2} {
		want := h.Now().Position()
		for l, err := range dial(t, s.URL, who).Why(t.Context(), "light.a", At{}) {
			if err != nil || l.Event.Position != want {
				t.Fatalf("%s: the event at %d, %v; want that at %d", who, l.Event.Position, err, want)
			}
			want--
		}
		if want+1 != least {
			t.Errorf("%s: it ends with the event at %d", who, want+1)
		}
	}
}

// TestSocket: whoever may open it needs no token here; the server decides.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	serve(t, h, l)
	c, err := DialSocket(path, WithToken(func(context.Context) (string, error) { return token, nil }))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if as, err := c.Resolve(t.Context(), At{}); err != nil || as.Position != 0 {
		t.Error(as, err)
	}
}

// TestTokensStaySecret: they go to no other machine in clear, after no redirect, and into no error.
func TestTokensStaySecret(t *testing.T) {
	for _, address := range []string{"http://192.0.2.1:8321", "http://house.example", "ftp://127.0.0.1", "127.0.0.1:8321", "http://me:pw@127.0.0.1", ""} {
		if _, err := Dial(address, WithTokenFile("token")); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: %v", address, err)
		}
	}
	if c, err := Dial("https://house.example", WithTokenFile("token")); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	seen := atomic.Int32{}
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	defer thief.Close()
	redirecting := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer redirecting.Close()
	if _, err := dial(t, redirecting.URL, token).Resolve(t.Context(), At{}); err == nil || seen.Load() != 0 {
		t.Error(err, seen.Load())
	}
	for _, bad := range []string{token + "\nx", token + strings.Repeat("x", 5000), token + "\x00", ""} {
		_, err := dial(t, redirecting.URL, bad).Resolve(t.Context(), At{})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	}
	c, err := Dial(redirecting.URL, WithTokenFile(filepath.Join(t.TempDir(), "none")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Resolve(t.Context(), At{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
