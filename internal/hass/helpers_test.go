package hass

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/check"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func newHouse(t testing.TB) *statehouse.House {
	t.Helper()
	h, err := statehouse.OpenContext(t.Context(), filepath.Join(t.TempDir(), "home.db"), statehouse.Options{})
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

// tokens are who the tests are, by token.
type tokens map[string]*access.Identity

func (ts tokens) Authenticate(_, token string) (*access.Identity, error) {
	if token == "flood" {
		return nil, &access.TooManyError{RetryAfter: time.Minute}
	}
	if who, ok := ts[token]; ok {
		return who, nil
	}
	return nil, access.ErrDenied
}

// everyone are the identities that most tests use.
func everyone() tokens {
	return tokens{
		"reader":   access.NewIdentity("reader", access.Read, nil, nil),
		"writer":   access.NewIdentity("writer", access.Write, nil, nil),
		"admin":    access.NewIdentity("admin", access.Admin, nil, nil),
		"lights":   access.NewIdentity("lights", access.Admin, []string{"light.*"}, nil),
		"anything": access.NewIdentity("anything", access.Read|access.Write|access.Command, nil, nil),
	}
}

// serve serves a house behind what a server does in front of it.
func serve(t testing.TB, house *statehouse.House, who tokens, opts Options) string {
	t.Helper()
	opts.House = func() *statehouse.House { return house }
	opts.Auth = who
	h := New(opts)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			if i, err := who.Authenticate(r.RemoteAddr, token); err == nil {
				r = r.WithContext(access.With(r.Context(), i))
			}
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// ask does a request and returns its answer.
func ask(t testing.TB, method, url, token, body string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, text
}

// get is the answer of a GET that must succeed.
func get[T any](t testing.TB, url, token string) T {
	t.Helper()
	status, body := ask(t, http.MethodGet, url, token, "")
	if status != http.StatusOK {
		t.Fatalf("GET %s: %d %s", url, status, body)
	}
	return decode[T](t, body)
}

func decode[T any](t testing.TB, data []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

type object = map[string]any

// client is a WebSocket as the tests have it. It takes several messages in one frame.
type client struct {
	t     testing.TB
	ws    *websocket.Conn
	id    int
	queue []json.RawMessage
}

func connect(t testing.TB, url string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/api/websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	ws.SetReadLimit(64 << 20)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t: t, ws: ws}
}

// login connects and authenticates.
func login(t testing.TB, url, token string) *client {
	t.Helper()
	c := connect(t, url)
	c.want(`{"type":"auth_required","ha_version":"2025.1.0"}`)
	c.send(object{"type": "auth", "access_token": token})
	c.want(`{"type":"auth_ok","ha_version":"2025.1.0"}`)
	return c
}

func (c *client) send(m any) {
	c.t.Helper()
	raw, ok := m.(string)
	if !ok {
		raw = string(encode(m))
	}
	if err := c.ws.Write(c.t.Context(), websocket.MessageText, []byte(raw)); err != nil {
		c.t.Fatal(err)
	}
}

// next is the next message, or an error.
func (c *client) tryNext(d time.Duration) (json.RawMessage, error) {
	for len(c.queue) == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		_, raw, err := c.ws.Read(ctx)
		cancel()
		if err != nil {
			return nil, err
		}
		if raw[0] != '[' {
			c.queue = append(c.queue, raw)
		} else if err := json.Unmarshal(raw, &c.queue); err != nil {
			return nil, err
		}
	}
	m := c.queue[0]
	c.queue = c.queue[1:]
	return m, nil
}

func (c *client) next() json.RawMessage {
	c.t.Helper()
	m, err := c.tryNext(patience)
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// want is that the next message says exactly this.
func (c *client) want(text string) {
	c.t.Helper()
	if m := c.next(); string(encode(decode[any](c.t, m))) != string(encode(decode[any](c.t, []byte(text)))) {
		c.t.Fatalf("got  %s\nwant %s", m, text)
	}
}

// wantClosed is that the server has ended the connection within a second or so.
func (c *client) wantClosed() {
	c.t.Helper()
	for {
		m, err := c.tryNext(3 * time.Second)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			c.t.Fatal("the connection is still open")
		case err != nil:
			return
		case bytes.Contains(m, []byte(`"auth_ok"`)):
			c.t.Fatal("authenticated")
		}
	}
}

// command sends one and returns its id.
func (c *client) command(kind string, fields object) int {
	c.t.Helper()
	c.id++
	m := object{"id": c.id, "type": kind}
	for k, v := range fields {
		m[k] = v
	}
	c.send(m)
	return c.id
}

type wireResult struct {
	ID      int             `json:"id"`
	Type    string          `json:"type"`
	Success bool            `json:"success"`
	Result  json.RawMessage `json:"result"`
	Event   json.RawMessage `json:"event"`
	Error   struct{ Code, Message string }
}

// call sends a command and returns its answer; events that come before it are an error.
func (c *client) call(kind string, fields object) wireResult {
	c.t.Helper()
	id := c.command(kind, fields)
	r := decode[wireResult](c.t, c.next())
	if r.ID != id || r.Type == "event" {
		c.t.Fatalf("%s: got %+v", kind, r)
	}
	return r
}

// event is the next event of a subscription.
func (c *client) event(id int) json.RawMessage {
	c.t.Helper()
	r := decode[wireResult](c.t, c.next())
	if r.ID != id || r.Type != "event" {
		c.t.Fatalf("want an event of %d, got %+v", id, r)
	}
	return r.Event
}

// result is that of a command that must succeed.
func must[T any](c *client, kind string, fields object) T {
	c.t.Helper()
	r := c.call(kind, fields)
	if !r.Success {
		c.t.Fatalf("%s: %+v", kind, r.Error)
	}
	return decode[T](c.t, r.Result)
}

// The events that the tests write.

func lightEvent(id string, brightness uint32) eventstore.Event {
	on := brightness > 0
	return stateEvent(id, &entityv1.Attributes{Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: &on, Brightness: &brightness}}})
}

func sensorEvent(id string, value float64) eventstore.Event {
	return stateEvent(id, &entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{
		Sensor: &entityv1.Sensor{Value: &entityv1.Sensor_Number{Number: value}},
	}})
}

func stateEvent(id string, a *entityv1.Attributes) eventstore.Event {
	return eventstore.Event{Entity: id, Source: "test", Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{
		StateChanged: &eventv1.StateChanged{Attributes: a},
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

func areaEvent(id, name string) eventstore.Event {
	return eventstore.Event{Source: "test", Payload: &eventv1.Payload{Kind: &eventv1.Payload_AreaRegistered{
		AreaRegistered: &eventv1.AreaRegistered{Area: &entityv1.Area{Id: id, Name: name}},
	}}}
}

func customEvent(kind, value string) eventstore.Event {
	return eventstore.Event{Source: "test", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{Kind: kind, Value: []byte(value)}},
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

// furnish gives a house two areas, a device with two entities, a light of its own, and a disabled one: 9 events.
func furnish(t testing.TB, h *statehouse.House) {
	t.Helper()
	appendEvents(t, h,
		areaEvent("kitchen", "Kitchen"), areaEvent("hall", "The Hall"),
		deviceEvent(&entityv1.Device{Id: "z2m/0x01", Name: "Plug", AreaId: "kitchen", Source: "zigbee2mqtt", Manufacturer: "Acme"}),
		entityEvent(&entityv1.Entity{Id: "switch.plug", UniqueId: "1", DeviceId: "z2m/0x01", Source: "zigbee2mqtt"}),
		entityEvent(&entityv1.Entity{
			Id: "sensor.plug_power", UniqueId: "2", DeviceId: "z2m/0x01", Name: "Power", Unit: "W", DeviceClass: "power",
			StateClass: entityv1.StateClass_STATE_CLASS_MEASUREMENT,
		}),
		entityEvent(&entityv1.Entity{Id: "light.hall", UniqueId: "3", Name: "Lamp", AreaId: "hall"}),
		entityEvent(&entityv1.Entity{Id: "light.off", UniqueId: "4", Disabled: true}),
		lightEvent("light.hall", 100),
		sensorEvent("sensor.plug_power", 12.5),
	)
}
