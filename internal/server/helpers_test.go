package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/timeline"
)

func TestMain(m *testing.M) {
	http.DefaultClient.Transport = withToken{http.DefaultTransport.(*http.Transport)}
	goleak.VerifyTestMain(m)
}

// withToken sends the token "read" where a request says nothing of one. The header "none" sends none.
type withToken struct{ *http.Transport }

func (t withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	switch r.Header.Get("Authorization") {
	case "":
		r.Header.Set("Authorization", "Bearer read")
	case "none":
		r.Header.Del("Authorization")
	}
	return t.Transport.RoundTrip(r)
}

// testAuth knows a token for each scope, whose name and text are the scope's.
type testAuth map[string]*access.Identity

func newTestAuth() testAuth {
	auth := testAuth{}
	for _, s := range []access.Scope{access.Read, access.Write, access.Command, access.Admin} {
		auth[s.String()] = access.NewIdentity(s.String(), s, nil, nil)
	}
	return auth
}

func (a testAuth) Authenticate(_, token string) (*access.Identity, error) {
	if who := a[token]; who != nil {
		return who, nil
	}
	return nil, access.ErrDenied
}

// asOwner is a request as it has come through the unix socket.
func asOwner(r *http.Request) *http.Request {
	return r.WithContext(access.With(r.Context(), access.Owner()))
}

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func openHouse(t testing.TB, path string) *statehouse.House {
	t.Helper()
	h, err := statehouse.OpenContext(t.Context(), path, statehouse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if h.Now().Position() < 2000 { // larger ones take longer than the tests of them
			if err := check.House(context.Background(), h); err != nil && !errors.Is(err, eventstore.ErrClosed) {
				t.Errorf("check: %v", err)
			}
		}
		_ = h.Close() // a test may have closed it
	})
	return h
}

func newHouse(t testing.TB) *statehouse.House {
	return openHouse(t, filepath.Join(t.TempDir(), "home.db"))
}

// start starts a server on a free port, and closes it before the houses that were opened before it.
func start(t testing.TB, opts Options) *Server {
	t.Helper()
	opts.Address = "127.0.0.1:0"
	if opts.Auth == nil {
		opts.Auth = newTestAuth()
	}
	s, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeServer(t, s) })
	return s
}

func closeServer(t testing.TB, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	http.DefaultClient.CloseIdleConnections()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// The events that the tests write.

func lightEvent(id string, brightness uint32) eventstore.Event {
	on := brightness > 0
	return eventstore.Event{Entity: id, Source: "test", Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{
		StateChanged: &eventv1.StateChanged{Attributes: &entityv1.Attributes{
			Availability: entityv1.Availability_AVAILABILITY_ONLINE,
			Domain:       &entityv1.Attributes_Light{Light: &entityv1.Light{On: &on, Brightness: &brightness}},
		}},
	}}}
}

func reportEvent(id string) eventstore.Event {
	return eventstore.Event{Entity: id, Source: "reporter", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}},
	}}
}

func entityEvent(e *entityv1.Entity) eventstore.Event {
	return eventstore.Event{Entity: e.GetId(), Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}},
	}}
}

func unregisterEvent(id string) eventstore.Event {
	return eventstore.Event{Entity: id, Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityUnregistered{EntityUnregistered: &eventv1.EntityUnregistered{}},
	}}
}

func renameEvent(id, to string) eventstore.Event {
	return eventstore.Event{Entity: id, Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRenamed{EntityRenamed: &eventv1.EntityRenamed{NewId: to}},
	}}
}

func deviceEvent(d *entityv1.Device) eventstore.Event {
	return eventstore.Event{Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_DeviceRegistered{DeviceRegistered: &eventv1.DeviceRegistered{Device: d}},
	}}
}

func deviceOfPlug(name string) *entityv1.Device {
	return &entityv1.Device{Id: "z2m/0x01", Name: name, AreaId: "kitchen", Kind: entityv1.DeviceKind_DEVICE_KIND_DEVICE}
}

func unregisterDeviceEvent(id string) eventstore.Event {
	return eventstore.Event{Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_DeviceUnregistered{DeviceUnregistered: &eventv1.DeviceUnregistered{DeviceId: id}},
	}}
}

func areaEvent(id, name string) eventstore.Event {
	p := &eventv1.Payload{Kind: &eventv1.Payload_AreaRegistered{
		AreaRegistered: &eventv1.AreaRegistered{Area: &entityv1.Area{Id: id, Name: name}},
	}}
	if name == "" {
		p = &eventv1.Payload{Kind: &eventv1.Payload_AreaUnregistered{
			AreaUnregistered: &eventv1.AreaUnregistered{AreaId: id},
		}}
	}
	return eventstore.Event{Source: "test", Payload: p}
}

func systemEvent(what string) eventstore.Event {
	return eventstore.Event{Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_System{System: &eventv1.System{What: what}},
	}}
}

func customEvent(entity string) eventstore.Event {
	return eventstore.Event{Entity: entity, Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{Kind: "acme.rang", Value: []byte("\x00\xff")}},
	}}
}

func issuedEvent(entity string) eventstore.Event {
	return eventstore.Event{Entity: entity, Source: "api:panel", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_CommandIssued{CommandIssued: &eventv1.CommandIssued{Action: "turn_on", Deadline: 7}},
	}}
}

func settledEvent(entity string, command eventstore.Position) eventstore.Event {
	return eventstore.Event{Entity: entity, Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_CommandSettled{CommandSettled: &eventv1.CommandSettled{
			Command: uint64(command), Outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED,
		}},
	}}
}

func appendEvents(t testing.TB, h *statehouse.House, events ...eventstore.Event) eventstore.Span {
	t.Helper()
	span, err := h.Append(context.Background(), events...)
	if err != nil {
		t.Fatal(err)
	}
	return span
}

// furnish gives a house two areas, a device with two entities, a light of its own and a disabled one.
func furnish(t testing.TB, h *statehouse.House) {
	t.Helper()
	appendEvents(t, h,
		areaEvent("kitchen", "Kitchen"), areaEvent("hall", "The Hall"),
		deviceEvent(&entityv1.Device{Id: "z2m/0x01", Name: "Plug", AreaId: "kitchen", Kind: entityv1.DeviceKind_DEVICE_KIND_DEVICE}),
		entityEvent(&entityv1.Entity{Id: "switch.plug", UniqueId: "1", DeviceId: "z2m/0x01"}),
		entityEvent(&entityv1.Entity{
			Id: "sensor.plug_power", UniqueId: "2", DeviceId: "z2m/0x01", Name: "Power", Unit: "W", DeviceClass: "power",
			StateClass: entityv1.StateClass_STATE_CLASS_MEASUREMENT,
		}),
		entityEvent(&entityv1.Entity{Id: "light.hall", UniqueId: "3", Name: "Lamp", AreaId: "hall"}),
		entityEvent(&entityv1.Entity{Id: "light.off", UniqueId: "4", Disabled: true}),
		lightEvent("light.hall", 100),
	)
}

// What the tests ask.

type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) decode(t testing.TB, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
}

// code is the code of an error's answer.
func (r reply) code(t testing.TB) api.Code {
	t.Helper()
	var e api.Error
	r.decode(t, &e)
	if e.Error.Message == "" {
		t.Errorf("no message: %s", r.body)
	}
	return e.Error.Code
}

func do(t testing.TB, c *http.Client, method, url string, body io.Reader, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, text}
}

func get(t testing.TB, url string, header ...string) reply {
	t.Helper()
	return do(t, http.DefaultClient, http.MethodGet, url, nil, header...)
}

// socketClient asks through a unix socket.
func socketClient(t testing.TB, path string) *http.Client {
	c := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// raw sends bytes over a connection of its own and returns all that comes back.
func raw(t testing.TB, s *Server, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		t.Logf("not all was taken: %v", err)
	}
	answer, _ := io.ReadAll(bufio.NewReader(c))
	return string(answer)
}

// feed is a client of a stream of changes.
type feed struct {
	t      testing.TB
	next   chan api.Message
	cancel context.CancelFunc
	id     string // the last one
	view   map[string]api.State
	resets int
	done   chan struct{}
}

func follow(t testing.TB, url, lastID string) *feed {
	t.Helper()
	return followWith(t, url, lastID, "")
}

func followWith(t testing.TB, url, lastID, authorization string) *feed {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := http.DefaultClient.Do(req) //nolint:bodyclose // the goroutine below closes it
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" ||
		res.Header.Get("X-Accel-Buffering") != "no" {
		t.Fatalf("%s: %d %v", url, res.StatusCode, res.Header)
	}
	f := &feed{t: t, next: make(chan api.Message), cancel: cancel, view: map[string]api.State{}, id: lastID, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		defer close(f.next)
		defer func() { _ = res.Body.Close() }()
		for m, err := range api.Messages(res.Body) {
			if err != nil {
				return
			}
			select {
			case f.next <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(f.stop)
	return f
}

func (f *feed) stop() {
	f.cancel()
	<-f.done
}

// read takes the next message, folds it into the view, and fails where none comes.
func (f *feed) read() api.Message {
	f.t.Helper()
	select {
	case m, ok := <-f.next:
		if !ok {
			f.t.Fatal("the stream ended")
		}
		f.fold(m)
		return m
	case <-time.After(patience):
		f.t.Fatal("nothing comes")
	}
	return api.Message{}
}

func (f *feed) fold(m api.Message) {
	f.t.Helper()
	f.id = m.ID
	switch m.Event {
	case api.StreamState:
		var st api.State
		f.decode(m, &st)
		f.view[st.EntityID] = st
	case api.StreamReady:
	case api.StreamReset:
		f.resets++
		clear(f.view)
	case api.StreamChange:
		foldChange(f.view, f.change(m))
	default:
		f.t.Fatalf("unexpected: %s %s", m.Event, m.Data)
	}
}

func foldChange(view map[string]api.State, c api.Change) {
	for _, st := range c.States {
		view[st.EntityID] = st
	}
	for _, id := range c.Removed {
		delete(view, id)
	}
}

func (f *feed) decode(m api.Message, v any) {
	f.t.Helper()
	reply{body: m.Data}.decode(f.t, v)
}

func (f *feed) change(m api.Message) (c api.Change) {
	f.t.Helper()
	if m.Event != api.StreamChange {
		f.t.Fatalf("not a change: %s %s", m.Event, m.Data)
	}
	f.decode(m, &c)
	return c
}

// ready reads up to the end of the whole state.
func (f *feed) ready() (r api.Ready) {
	f.t.Helper()
	for {
		if m := f.read(); m.Event == api.StreamReady {
			f.decode(m, &r)
			return r
		}
	}
}

// readTo reads changes up to a position, and checks that none is missing.
func (f *feed) readTo(from, to eventstore.Position) {
	f.t.Helper()
	for want := from + 1; want <= to; want++ {
		m := f.read()
		if c := f.change(m); c.Position != want || !strings.HasSuffix(m.ID, "-"+jsonText(want)) {
			f.t.Fatalf("the change at %d, id %s, comes where %d should", c.Position, m.ID, want)
		}
	}
}

// same fails where the view is not that of the moment.
func (f *feed) same(m timeline.Moment) {
	f.t.Helper()
	if diff := cmp.Diff(viewOf(f.t, m, filter{}), f.view); diff != "" {
		f.t.Fatalf("the view at %d differs (- moment, + view):\n%s", m.Position(), diff)
	}
}

// viewOf is what a reader of a moment keeps.
func viewOf(t testing.TB, m timeline.Moment, f filter) map[string]api.State {
	t.Helper()
	view := map[string]api.State{}
	for _, id := range sortedIDs(m, f) {
		st, err := stateOf(m, id)
		if err != nil {
			t.Fatal(err)
		}
		// As it comes out of JSON, with the times in no other form.
		var back api.State
		if err := json.Unmarshal([]byte(jsonText(st)), &back); err != nil {
			t.Fatal(err)
		}
		view[id] = back
	}
	return view
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
