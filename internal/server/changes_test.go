package server

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/api"
)

func TestChangesBegin(t *testing.T) {
	h := newHouse(t)
	s := start(t, Options{House: h})
	f := follow(t, s.URL()+"/v1/changes", "")
	if r := f.ready(); r != (api.Ready{}) {
		t.Errorf("an empty house: %+v", r)
	}
	furnish(t, h)
	f.readTo(0, 8)
	f.same(h.Now())
	g := follow(t, s.URL()+"/v1/changes", "")
	for range 3 {
		if m := g.read(); m.Event != api.StreamState || m.ID != incomplete {
			t.Errorf("%+v", m)
		}
	}
	if r := g.ready(); r != (api.Ready{Position: 8, Entities: 3}) || g.id != f.id {
		t.Errorf("%+v %s %s", r, g.id, f.id)
	}
	g.same(h.Now())
}

// TestChangesUnderWrites: whoever comes while others write has, at every pause, what the house has, and has seen every
// event once and in order.
func TestChangesUnderWrites(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	const writers, rounds, each = 4, 3, 25
	for range rounds {
		var writing sync.WaitGroup
		for i := range writers {
			writing.Go(func() {
				for j := range each {
					id := "light.w" + jsonText(i*2+j%2)
					batch := []eventstore.Event{lightEvent(id, uint32(j)), reportEvent(id)}
					if j%10 == 9 {
						batch = append(batch, unregisterEvent(id), deviceEvent(&entityv1.Device{Id: "z2m/0x01", Name: "Plug " + jsonText(j)}))
					}
					appendEvents(t, h, batch...)
				}
			})
		}
		var feeds []*feed
		var from []eventstore.Position
		for range 3 {
			f := follow(t, s.URL()+"/v1/changes", "")
			feeds, from = append(feeds, f), append(from, f.ready().Position)
			time.Sleep(3 * time.Millisecond)
		}
		writing.Wait()
		m := h.Now()
		for i, f := range feeds {
			f.readTo(from[i], m.Position())
			f.same(m)
			f.stop()
		}
	}
}

func TestChangesSay(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	f := follow(t, s.URL()+"/v1/changes", "")
	f.ready()
	next := func(e ...eventstore.Event) api.Change {
		t.Helper()
		appendEvents(t, h, e...)
		c := f.change(f.read())
		f.same(h.Now())
		return c
	}
	// Its own area, and not its device's.
	next(entityEvent(&entityv1.Entity{Id: "fan.plug", UniqueId: "5", DeviceId: "z2m/0x01", AreaId: "hall"}))
	if c := next(areaEvent("hall", "Corridor")); len(c.States) != 2 || c.States[0].EntityID != "fan.plug" || c.States[1].EntityID != "light.hall" {
		t.Errorf("%+v", c)
	}
	next(unregisterEvent("fan.plug"))
	c := next(lightEvent("light.hall", 0))
	if c.Kind != eventstore.KindStateChanged || c.State != "off" || c.Data != nil || len(c.States) != 1 || c.States[0].State != "off" {
		t.Errorf("%+v", c)
	}
	if c := next(reportEvent("light.hall")); len(c.States) != 1 || c.States[0].UpdatedBy != "reporter" || c.States[0].State != "off" {
		t.Errorf("%+v", c)
	}
	if c := next(systemEvent("x")); string(c.Data) != `{"what":"x"}` || c.States != nil || c.Removed != nil {
		t.Errorf("%+v", c)
	}
	if c := next(areaEvent("kitchen", "Küche")); len(c.States) != 2 || c.States[1].AreaName != "Küche" {
		t.Errorf("%+v", c)
	}
	if c := next(areaEvent("kitchen", "")); len(c.States) != 2 || c.States[1].Area != "" {
		t.Errorf("%+v", c)
	}
	if c := next(renameEvent("light.hall", "light.corridor")); len(c.Removed) != 1 || c.Removed[0] != "light.hall" || c.States[0].EntityID != "light.corridor" {
		t.Errorf("%+v", c)
	}
	if c := next(unregisterDeviceEvent("z2m/0x01")); len(c.States) != 2 || c.States[0].DeviceName != "" {
		t.Errorf("%+v", c)
	}
	if c := next(unregisterEvent("switch.plug")); len(c.Removed) != 1 || c.States != nil {
		t.Errorf("%+v", c)
	}
	// A batch's changes are sent together, in order.
	span := appendEvents(t, h, lightEvent("light.x", 1), lightEvent("light.x", 1), lightEvent("light.x", 2))
	f.readTo(span.First-1, span.Last)
	f.same(h.Now())
}

func TestChangesFiltered(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h, Heartbeat: 20 * time.Millisecond})
	f := follow(t, s.URL()+"/v1/changes?domain=switch&domain=sensor&entity=switch.plug&entity=light.hall", "")
	if r := f.ready(); r.Entities != 1 || len(f.view) != 1 {
		t.Errorf("%+v %v", r, f.view)
	}
	appendEvents(t, h, lightEvent("light.hall", 1), reportEvent("sensor.plug_power"), areaEvent("kitchen", "K"), reportEvent("switch.plug"))
	for _, want := range []eventstore.Position{11, 12} {
		if c := f.change(f.read()); c.Position != want || len(c.States) != 1 || c.States[0].EntityID != "switch.plug" {
			t.Errorf("%+v", c)
		}
	}
	// What is not for this client moves its position on all the same.
	span := appendEvents(t, h, lightEvent("light.hall", 2), systemEvent("x"))
	time.Sleep(100 * time.Millisecond)
	appendEvents(t, h, reportEvent("switch.plug"))
	f.read()
	f.stop()
	want := "\nid: " + newCursor(h, span.Last+2).String() + "\n\n"
	rawStream(t, s, "/v1/changes?entity=switch.plug&last_event_id="+f.id,
		func() { appendEvents(t, h, systemEvent("y")) },
		func(text string) bool { return strings.Contains(text, want) })
	for _, query := range []string{"?entity=x", "?domain=X", "?entities=a.b", "?last_event_id=a&last_event_id=b"} {
		if r := get(t, s.URL()+"/v1/changes"+query); r.status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, r.status)
		}
	}
}

// rawStream is what a stream sends until it has sent what is wanted, after something was done.
func rawStream(t *testing.T, s *Server, path string, do func(), wanted func(text string) bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+path, nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	do()
	var text strings.Builder
	for buf := make([]byte, 4<<10); !wanted(text.String()); {
		n, err := res.Body.Read(buf)
		text.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v after %q", err, text.String())
		}
	}
	return text.String()
}

// TestChangesResume: a reader that comes back, after the server and the house were closed and opened again, gets what
// it missed from the log and nothing else.
func TestChangesResume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	h := openHouse(t, path)
	furnish(t, h)
	s := start(t, Options{House: h})
	f := follow(t, s.URL()+"/v1/changes", "")
	f.ready()
	appendEvents(t, h, lightEvent("light.hall", 3))
	f.readTo(8, 9)

	reopen := func(missed ...eventstore.Event) *feed {
		t.Helper()
		f.stop()
		closeServer(t, s)
		for _, e := range missed {
			appendEvents(t, h, e)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		h = openHouse(t, path)
		s = start(t, Options{House: h})
		g := follow(t, s.URL()+"/v1/changes", f.id)
		g.view = f.view
		return g
	}
	f = reopen()
	appendEvents(t, h, lightEvent("light.hall", 4))
	f.readTo(9, 10)
	f.same(h.Now())
	f = reopen(lightEvent("light.hall", 5), reportEvent("switch.plug"), lightEvent("light.hall", 6), areaEvent("hall", "Corridor"),
		renameEvent("switch.plug", "switch.socket"), unregisterEvent("sensor.plug_power"))
	f.readTo(10, 16)
	f.same(h.Now())
	appendEvents(t, h, reportEvent("light.hall"))
	f.readTo(16, 17)
	f.same(h.Now())
	if f.resets != 0 {
		t.Errorf("%d resets", f.resets)
	}
	// By the query, too; and the header is the newer of the two.
	first := newCursor(h, 1).String()
	f = follow(t, s.URL()+"/v1/changes?last_event_id="+first, newCursor(h, 15).String())
	f.readTo(15, 17)
	f = follow(t, s.URL()+"/v1/changes?last_event_id="+first, "")
	f.readTo(1, 17)
}

func TestChangesReset(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	for id, reason := range map[string]string{
		newCursor(h, 9).String():           "ends at 8",
		"0123456789ab-3":                   "another database",
		"7":                                "none of this server's",
		"x":                                "none of this server's",
		newCursor(h, 3).String() + "x":     "none of this server's",
		newCursor(h, 3).database + "-03":   "none of this server's",
		newCursor(h, 3).database + "--3":   "none of this server's",
		newCursor(h, 1<<63-1).String():     "ends at 8",
		newCursor(h, 3).database + "-1e99": "none of this server's",
		incomplete:                         "before the whole state was sent",
	} {
		f := follow(t, s.URL()+"/v1/changes", id)
		m := f.read()
		var r api.Reset
		f.decode(m, &r)
		if m.Event != api.StreamReset || m.ID != incomplete || !strings.Contains(r.Reason, reason) {
			t.Errorf("%s: %s %s, want %s", id, m.Event, m.Data, reason)
		}
		f.ready()
		f.same(h.Now())
		f.stop()
	}
}

// TestChangesCutOff: a client whose first stream ends among the states keeps nothing that is removed before it comes back.
func TestChangesCutOff(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	f := follow(t, s.URL()+"/v1/changes", "")
	for !strings.Contains(string(f.read().Data), `"sensor.plug_power"`) {
	}
	f.stop()
	appendEvents(t, h, unregisterEvent("sensor.plug_power"))
	g := follow(t, s.URL()+"/v1/changes", f.id)
	g.view = f.view
	g.ready()
	g.same(h.Now())
}

// TestChangesResetWherePastIsLost: who comes back to a position up to which the log cannot be read begins again.
func TestChangesResetWherePastIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	h, err := statehouse.OpenContext(t.Context(), path, statehouse.Options{}) // not to be checked in the end
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	furnish(t, h)
	appendEvents(t, h, lightEvent("light.hall", 3))
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err == nil {
		_, err = db.Exec(`UPDATE segments SET body = x'00' WHERE first_position <= 3`)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{House: h})
	f := follow(t, s.URL()+"/v1/changes", newCursor(h, 4).String())
	m := f.read()
	var r api.Reset
	f.decode(m, &r)
	if m.Event != api.StreamReset || !strings.Contains(r.Reason, "position 4, and the log up to it cannot be read") {
		t.Errorf("%s %s", m.Event, m.Data)
	}
	f.ready()
	f.same(h.Now())
}

// TestSlowReader: a client that takes nothing is dropped, and nobody else notices anything.
func TestSlowReader(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h, WriteTimeout: 300 * time.Millisecond})
	for _, path := range []string{"/v1/changes", "/v1/events?follow=1"} {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer read\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the slow stream opens", func() bool { return len(s.streams) == 1 })
		f := follow(t, s.URL()+"/v1/changes?entity=light.hall", "")
		f.ready()
		big := systemEvent(strings.Repeat("x", 1<<20))
		for i := range 12 {
			began := time.Now()
			span := appendEvents(t, h, big, lightEvent("light.hall", uint32(i)))
			if took := time.Since(began); took > 5*time.Second {
				t.Fatalf("an append took %s", took)
			}
			if c := f.change(f.read()); c.Position != span.Last {
				t.Fatalf("%d comes where %d should", c.Position, span.Last)
			}
		}
		eventually(t, "the slow reader is dropped", func() bool { return len(s.streams) == 1 })
		f.stop()
		eventually(t, "the streams end", func() bool { return len(s.streams) == 0 })
		_ = c.Close()
	}
}

// TestStuckReaderDoesNotHoldClose: not even a client that takes nothing keeps the server from closing at once.
func TestStuckReaderDoesNotHoldClose(t *testing.T) {
	h := newHouse(t)
	for range 16 {
		appendEvents(t, h, systemEvent(strings.Repeat("x", 1<<20)))
	}
	s := start(t, Options{House: h, WriteTimeout: time.Hour})
	for _, path := range []string{"/v1/changes?last_event_id=" + newCursor(h, 0).String(), "/v1/events"} {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		_, _ = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer read\r\n\r\n")
	}
	eventually(t, "the streams open", func() bool { return len(s.streams) == 2 })
	time.Sleep(200 * time.Millisecond) // until they are stuck
	began := time.Now()
	closeServer(t, s)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("closing took %s", took)
	}
}

func TestStreamsEndWithTheServer(t *testing.T) {
	h := newHouse(t)
	s := start(t, Options{House: h})
	var text string
	var reading sync.WaitGroup
	opened := make(chan struct{})
	reading.Go(func() {
		res, err := http.Get(s.URL() + "/v1/changes")
		close(opened)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = res.Body.Close() }()
		all, err := io.ReadAll(res.Body)
		if err != nil {
			t.Errorf("the stream was cut: %v", err)
		}
		text = string(all)
	})
	<-opened
	began := time.Now()
	closeServer(t, s)
	reading.Wait()
	if !strings.HasSuffix(text, ": the server is closing\n\n") || !strings.Contains(text, "event: ready") {
		t.Errorf("%q", text)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestStreamsEndWithTheHouse: a house that is closed too early ends its streams.
func TestStreamsEndWithTheHouse(t *testing.T) {
	h := newHouse(t)
	s := start(t, Options{House: h})
	f := follow(t, s.URL()+"/v1/changes", "")
	f.ready()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case m, ok := <-f.next:
		if ok {
			t.Errorf("%+v", m)
		}
	case <-time.After(patience):
		t.Error("the stream goes on")
	}
}

func TestTooManyStreams(t *testing.T) {
	h := newHouse(t)
	s := start(t, Options{House: h, MaxStreams: 2})
	f := follow(t, s.URL()+"/v1/changes", "")
	follow(t, s.URL()+"/v1/changes", "")
	for _, path := range []string{"/v1/changes", "/v1/events"} {
		r := get(t, s.URL()+path)
		if r.status != http.StatusServiceUnavailable || r.code(t) != api.CodeTooManyStreams || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	f.stop()
	eventually(t, "there is room again", func() bool { return get(t, s.URL()+"/v1/events").status == http.StatusOK })
}

func TestHeartbeat(t *testing.T) {
	h := newHouse(t)
	s := start(t, Options{House: h, Heartbeat: 10 * time.Millisecond})
	text := rawStream(t, s, "/v1/changes", func() {}, func(text string) bool {
		return strings.Count(text, "\n: 0\n\n") >= 2
	})
	if !strings.HasPrefix(text, "retry: ") {
		t.Errorf("%q", text)
	}
}

// TestChangesThroughEdits: what the owner changes through the house's own methods reaches the streams.
func TestChangesThroughEdits(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{House: h})
	f := follow(t, s.URL()+"/v1/changes", "")
	f.ready()
	name, id, off := "Big lamp", "light.big", true
	span, err := h.EditEntity(t.Context(), "test", "light.hall", statehouse.EntityEdit{Name: &name, ID: &id})
	if err != nil {
		t.Fatal(err)
	}
	f.readTo(8, span.Last)
	if f.view["light.big"].Name != name {
		t.Error(f.view)
	}
	f.same(h.Now())
	if span, err = h.EditEntity(t.Context(), "test", "light.big", statehouse.EntityEdit{Disabled: &off}); err != nil {
		t.Fatal(err)
	}
	f.readTo(span.First-1, span.Last)
	if diff := cmp.Diff(viewOf(t, h.Now(), filter{}), f.view); diff != "" || len(f.view) != 2 {
		t.Error(diff)
	}
}
