package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/gen/statehouse/v1/statehousev1connect"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/check"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func newHouse(t testing.TB) *statehouse.House {
	t.Helper()
	h, err := statehouse.Open(filepath.Join(t.TempDir(), "home.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if h.Now().Position() < 2000 {
			if err := check.House(context.Background(), h); err != nil && !errors.Is(err, eventstore.ErrClosed) {
				t.Errorf("check: %v", err)
			}
		}
		_ = h.Close()
	})
	return h
}

// rig is a service behind a server that takes who asks from a header.
type rig struct {
	t      testing.TB
	url    string
	server *httptest.Server
	mu     sync.Mutex
	who    map[string]*access.Identity
}

const whoHeader = "Test-Who"

// serve serves a house, over HTTP/1.1 and HTTP/2 in clear.
func serve(t testing.TB, h *statehouse.House, opts Options) *rig {
	t.Helper()
	if opts.House == nil {
		opts.House = func() *statehouse.House { return h }
	}
	r := &rig{t: t, who: map[string]*access.Identity{
		"owner": access.Owner(),
		"all":   access.NewIdentity("all", access.Read|access.Write|access.Command, nil, nil),
		"some":  access.NewIdentity("some", access.Read|access.Write, []string{"light.*"}, nil),
	}}
	mux := http.NewServeMux()
	for prefix, handler := range New(opts).Handlers() {
		mux.Handle(prefix, handler)
	}
	r.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		who := r.who[req.Header.Get(whoHeader)]
		r.mu.Unlock()
		if req.ContentLength != 0 { // as the server does
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(5 * time.Second))
		}
		mux.ServeHTTP(w, req.WithContext(access.With(req.Context(), who)))
	}))
	r.server.Config.Protocols = new(http.Protocols)
	r.server.Config.Protocols.SetHTTP1(true)
	r.server.Config.Protocols.SetUnencryptedHTTP2(true)
	r.server.Start()
	r.url = r.server.URL
	t.Cleanup(r.server.Close)
	return r
}

// h1 and h2 are clients that ask as somebody.
func (r *rig) h1(who string) *http.Client { return r.client(who, &http.Transport{}) }

func (r *rig) h2(who string) *http.Client {
	only := new(http.Protocols)
	only.SetUnencryptedHTTP2(true)
	return r.client(who, &http.Transport{Protocols: only})
}

func (r *rig) client(who string, transport interface {
	http.RoundTripper
	CloseIdleConnections()
}) *http.Client {
	r.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		if who != "" {
			req.Header.Set(whoHeader, who)
		}
		return transport.RoundTrip(req)
	})}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (r *rig) states(who string) statehousev1connect.StateServiceClient {
	return statehousev1connect.NewStateServiceClient(r.h1(who), r.url)
}

func (r *rig) log(who string) statehousev1connect.LogServiceClient {
	return statehousev1connect.NewLogServiceClient(r.h1(who), r.url)
}

// all are the messages of a stream.
func all[M any](s *connect.ServerStreamForClient[M], err error) ([]*M, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	var got []*M
	for s.Receive() {
		got = append(got, proto.Clone(any(s.Msg()).(proto.Message)).(any).(*M))
	}
	return got, s.Err()
}

// detailOf is the detail of an error, nil where it has none.
func detailOf(err error) *statehousev1.ErrorDetail {
	var e *connect.Error
	if !errors.As(err, &e) {
		return nil
	}
	for _, d := range e.Details() {
		if m, err := d.Value(); err == nil {
			if detail, ok := m.(*statehousev1.ErrorDetail); ok {
				return detail
			}
		}
	}
	return nil
}

// wantCode fails where an error has not the codes.
func wantCode(t testing.TB, err error, status connect.Code, code string) *statehousev1.ErrorDetail {
	t.Helper()
	d := detailOf(err)
	if connect.CodeOf(err) != status || d.GetCode() != code || d.GetMessage() == "" {
		t.Fatalf("got %v with %v, want %v and %s", err, d, status, code)
	}
	return d
}

func appendEvents(t testing.TB, h *statehouse.House, events ...eventstore.Event) eventstore.Span {
	t.Helper()
	span, err := h.Append(context.Background(), events...)
	if err != nil {
		t.Fatal(err)
	}
	return span
}

func light(brightness uint32) *eventv1.Payload {
	on := brightness > 0
	return &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: &entityv1.Attributes{
		Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: &on, Brightness: &brightness}},
	}}}}
}

func lightEvent(id string, brightness uint32) eventstore.Event {
	return eventstore.Event{Entity: id, Source: "test", Payload: light(brightness)}
}

func entityEvent(e *entityv1.Entity) eventstore.Event {
	return eventstore.Event{Entity: e.GetId(), Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_EntityRegistered{EntityRegistered: &eventv1.EntityRegistered{Entity: e}},
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

func areaEvent(id, name string) eventstore.Event {
	p := &eventv1.Payload{Kind: &eventv1.Payload_AreaRegistered{AreaRegistered: &eventv1.AreaRegistered{Area: &entityv1.Area{Id: id, Name: name}}}}
	if name == "" {
		p = &eventv1.Payload{Kind: &eventv1.Payload_AreaUnregistered{AreaUnregistered: &eventv1.AreaUnregistered{AreaId: id}}}
	}
	return eventstore.Event{Source: "test", Payload: p}
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// randomEvent is an event of any kind; the house may refuse it.
func randomEvent(r *rand.Rand) eventstore.Event {
	id := pick(r, "light.a", "light.b", "light.c", "switch.c", "switch.d")
	switch r.IntN(12) {
	case 0, 1, 2, 3:
		return lightEvent(id, uint32(r.IntN(3)))
	case 4, 5:
		return entityEvent(&entityv1.Entity{
			Id: id, Name: pick(r, "", "x", "y"), DeviceId: pick(r, "", "dev/1", "dev/2"), AreaId: pick(r, "", "kitchen", "hall"),
			Disabled: r.IntN(5) == 0,
		})
	case 6:
		return eventstore.Event{Entity: id, Source: "test", Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_EntityUnregistered{EntityUnregistered: &eventv1.EntityUnregistered{}},
		}}
	case 7:
		return renameEvent(id, pick(r, "light.a", "light.b", "switch.c", "switch.d"))
	case 8:
		return deviceEvent(&entityv1.Device{Id: pick(r, "dev/1", "dev/2"), Name: pick(r, "u", "v"), AreaId: pick(r, "", "kitchen", "hall")})
	case 9:
		return areaEvent(pick(r, "kitchen", "hall"), pick(r, "", "A", "B"))
	case 10:
		return eventstore.Event{Entity: id, Source: "test", Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{Kind: "acme.rang", Value: []byte("\x00\xff")}},
		}}
	default:
		return eventstore.Event{Source: "test", Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_DeviceUnregistered{DeviceUnregistered: &eventv1.DeviceUnregistered{DeviceId: pick(r, "dev/1", "dev/2")}},
		}}
	}
}

func appendRandom(t testing.TB, h *statehouse.House, r *rand.Rand, n int) {
	t.Helper()
	for range n {
		if _, err := h.Append(context.Background(), randomEvent(r)); errors.Is(err, eventstore.ErrClosed) {
			t.Fatal(err)
		}
	}
}
