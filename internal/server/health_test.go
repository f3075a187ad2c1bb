package server

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// TestBeforeThereIsAHouse: the server answers during the replay, and says that it is one.
func TestBeforeThereIsAHouse(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	s := start(t, Options{SocketPath: filepath.Join(t.TempDir(), "s")})
	if r := get(t, s.URL()+"/healthz"); r.status != 200 || string(r.body) != `{"status":"alive"}`+"\n" {
		t.Errorf("%d %s", r.status, r.body)
	}
	var health api.Health
	r := get(t, s.URL()+"/readyz")
	r.decode(t, &health)
	if r.status != 503 || health.Status != api.StatusReplaying || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, path := range []string{"/v1/info", "/v1/states", "/v1/states/light.hall", "/v1/registry", "/v1/events", "/v1/changes"} {
		if r := get(t, s.URL()+path); r.status != 503 || r.code(t) != api.CodeNotReady || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if text := string(get(t, s.URL()+"/metrics").body); !strings.Contains(text, "statehouse_ready 0") {
		t.Error(text)
	}
	if s.SocketPath() != "" {
		t.Error("there is a socket before there is a house")
	}
	if err := s.SetHouse(h); err != nil {
		t.Fatal(err)
	}
	if s.SetHouse(h) == nil {
		t.Error("a second house is taken")
	}
	r = get(t, s.URL()+"/readyz")
	r.decode(t, &health)
	if r.status != 200 || health.Status != api.StatusReady || health.Position != 8 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if get(t, s.URL()+"/v1/states").status != 200 || s.SocketPath() == "" {
		t.Error("it does not serve its house")
	}
}

func TestReadySaysWhyNot(t *testing.T) {
	var down atomic.Bool
	s := start(t, Options{House: newHouse(t), Ready: func() error {
		if down.Load() {
			return errors.New("the broker is gone")
		}
		return nil
	}})
	if r := get(t, s.URL()+"/readyz"); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	down.Store(true)
	r := get(t, s.URL()+"/readyz")
	var health api.Health
	r.decode(t, &health)
	if r.status != 503 || health.Status != api.StatusNotReady || health.Reason != "the broker is gone" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if get(t, s.URL()+"/healthz").status != 200 || get(t, s.URL()+"/v1/states").status != 200 {
		t.Error("what does not need the broker fails")
	}
}

func TestReadyWarnsOfTheClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	h, err := statehouse.OpenContext(t.Context(), path, statehouse.Options{Clock: func() time.Time { return time.Now().Add(72 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	furnish(t, h)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{House: openHouse(t, path)})
	var health api.Health
	get(t, s.URL()+"/readyz").decode(t, &health)
	if len(health.Warnings) != 1 || !strings.Contains(health.Warnings[0], "behind") {
		t.Errorf("%+v", health)
	}
}

func TestMetrics(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	if err := h.Store().Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, h, lightEvent("light.hall", 100))
	c, err := h.Consumer(t.Context(), "lamp", eventstore.Query{After: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stuck, err := h.Follow(t.Context(), "stuck", eventstore.Query{}, func(context.Context, []eventstore.Event) error {
		return errors.New("no")
	})
	if err != nil {
		t.Fatal(err)
	}
	for stuck.Stats().Failures == 0 {
		time.Sleep(time.Millisecond)
	}
	database, err := os.Stat(h.Path())
	if err != nil {
		t.Fatal(err)
	}
	wal, err := os.Stat(h.Path() + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector()) // as a program may have done
	s := start(t, Options{House: h, Metrics: registry, Version: "1.2.3"})
	f := follow(t, s.URL()+"/v1/changes", "")
	f.ready()
	get(t, s.URL()+"/v1/states")
	get(t, s.URL()+"/v1/states/light.none")
	get(t, s.URL()+"/v1/states", "Host", "evil.example")
	r := get(t, s.URL()+"/metrics")
	for _, want := range []string{
		`statehouse_build_info{version="1.2.3"} 1`, "statehouse_ready 1", "statehouse_log_position 9", "statehouse_log_writable 1",
		"statehouse_log_events_appended_total 9", "statehouse_log_batches_appended_total 2", "statehouse_entities 3",
		"statehouse_log_sealed_position 8", "statehouse_verify_findings 0", "statehouse_log_base_position 0",
		"statehouse_log_queue_bytes 0", "statehouse_log_queue_limit_bytes 2.68435456e+08", "statehouse_log_waiting_for_room 0",
		`statehouse_log_consumer_behind_events{consumer="lamp"} 7`, `statehouse_log_consumer_behind_events{consumer="stuck"} 9`,
		`statehouse_log_follower_failing{consumer="stuck"} 1`, `statehouse_log_follower_failures_total{consumer="stuck"} `,
		fmt.Sprintf("statehouse_db_size_bytes %v", float64(database.Size())), fmt.Sprintf("statehouse_wal_size_bytes %v", float64(wal.Size())),
		"statehouse_devices 1", "statehouse_areas 2", "statehouse_http_open_streams 1",
		`statehouse_http_requests_total{code="200",route="/v1/states"} 1`,
		`statehouse_http_requests_total{code="404",route="/v1/states/{entity_id}"} 1`,
		`statehouse_http_requests_total{code="421",route="refused"} 1`,
		`statehouse_http_request_duration_seconds_count{route="/v1/states"} 1`, "go_goroutines ",
	} {
		if !strings.Contains(string(r.body), "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
	problems, err := promlint.New(strings.NewReader(string(r.body))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "statehouse_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	f.stop()
	closeServer(t, s)
	// A program may start another server with its registry.
	start(t, Options{House: h, Metrics: registry})
}

func TestMetricsOfARecovery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home.db")
	h := openHouse(t, path)
	furnish(t, h)
	for range 2 {
		if err := h.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		appendEvents(t, h, lightEvent("light.hall", 100))
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err == nil {
		_, err = db.Exec(`UPDATE snapshot_parts SET body = x'00' WHERE owner = 'state' AND position = 9`)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{House: openHouse(t, path)})
	r := get(t, s.URL()+"/metrics")
	for _, want := range []string{
		"statehouse_recovery_position 10", "statehouse_recovery_snapshot_position 8", "statehouse_recovery_replayed_events 2",
		"statehouse_recovery_skipped_snapshots 1", "statehouse_recovery_duration_seconds ",
	} {
		if !strings.Contains(string(r.body), "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
}

// TestFailures: every error that a store's caller can get has an answer of its own, and a message that says what it is.
func TestFailures(t *testing.T) {
	h := newHouse(t)
	furnish(t, h)
	_, conflict := h.AppendBatch(t.Context(), statehouse.Batch{If: []eventstore.Condition{eventstore.LogAt(3)}})
	key := eventstore.Key{Scope: "test", ID: "1"}
	_, first := h.AppendBatch(t.Context(), statehouse.Batch{Events: []eventstore.Event{lightEvent("light.hall", 1)}, Key: key})
	_, reused := h.AppendBatch(t.Context(), statehouse.Batch{Events: []eventstore.Event{lightEvent("light.hall", 2)}, Key: key})
	c, opened := h.Consumer(t.Context(), "c", eventstore.Query{})
	if err := errors.Join(first, opened); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, inUse := h.Consumer(t.Context(), "c", eventstore.Query{})
	for err, want := range map[error]struct {
		status int
		code   api.Code
		says   string
	}{
		conflict: {409, api.CodeConflict, "the log is at position 8"},
		reused:   {422, api.CodeKeyReused, "key"},
		inUse:    {409, api.CodeInUse, `named "c"`},
	} {
		got := failureOf(err)
		if got.status != want.status || got.code != want.code || !strings.Contains(got.message, want.says) || got.retryAfter != "" {
			t.Errorf("%v: %+v, want %+v", err, got, want)
		}
	}
	for _, f := range failures {
		got := failureOf(errors.Join(errors.New("x"), f.err))
		if got.status != f.status || got.code != f.code || got.status == http.StatusServiceUnavailable && got.retryAfter == "" && got.code != api.CodeReadOnly {
			t.Errorf("%v: %+v", f.err, got)
		}
	}
}
