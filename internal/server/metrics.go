package server

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// metrics are the server's own figures and those of the house, which it asks for when they are wanted.
type metrics struct {
	registry *prometheus.Registry
	own      []prometheus.Collector
	handler  http.Handler
	// unregister gives the registry back as it was.
	unregister func()

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	panics   prometheus.Counter
	// refusedLogins counts wrong tokens.
	refusedLogins prometheus.Counter
}

func newMetrics(s *Server, registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		registry: registry,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "statehouse_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "statehouse_http_request_duration_seconds", Help: "Time to answer a request that is no stream, by route.",
			Buckets: []float64{.0005, .001, .005, .01, .05, .1, .5, 1, 5, 30},
		}, []string{"route"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "statehouse_http_panics_total", Help: "Requests whose handler panicked: defects.",
		}),
	}
	m.refusedLogins = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "statehouse_auth_failures_total", Help: "Requests with a token that is none, or too many of them.",
	})
	m.unregister = sync.OnceFunc(func() {
		for _, c := range m.own {
			m.registry.Unregister(c)
		}
	})
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
	for _, c := range []prometheus.Collector{
		m.requests, m.duration, m.panics, m.refusedLogins, &houseCollector{s},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		err := registry.Register(c)
		var already prometheus.AlreadyRegisteredError
		if errors.As(err, &already) && isRuntime(c) {
			continue // whoever gave the registry registered it
		}
		if err != nil {
			m.unregister()
			return nil, fmt.Errorf("metrics: %w", err)
		}
		m.own = append(m.own, c)
	}
	return m, nil
}

// isRuntime says that a collector is about the process and not about a server.
func isRuntime(c prometheus.Collector) bool {
	switch c.(type) {
	case *prometheus.CounterVec, *prometheus.HistogramVec, prometheus.Counter, *houseCollector:
		return false
	default:
		return true
	}
}

// served counts an answer.
func (m *metrics) served(route string, status int, took time.Duration, stream bool) {
	if status == 0 {
		status = http.StatusOK
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	if !stream {
		m.duration.WithLabelValues(route).Observe(took.Seconds())
	}
}

// getMetrics answers GET /metrics.
func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) error {
	s.metrics.handler.ServeHTTP(w, r)
	return nil
}

// houseCollector asks the house for its figures whenever somebody asks for the metrics.
type houseCollector struct{ s *Server }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("statehouse_"+name, help, labels, nil)
}

var (
	descBuild     = desc("build_info", "Always 1; the version is a label.", "version")
	descReady     = desc("ready", "1 if /readyz answers 200, 0 if not.")
	descStreams   = desc("http_open_streams", "Streams of changes and of the log that are open.")
	descPosition  = desc("log_position", "Position of the last event of the log.")
	descRecorded  = desc("log_recorded_timestamp_seconds", "When the last event was recorded, in seconds since 1970.")
	descEvents    = desc("log_events_appended_total", "Events committed since the start.")
	descBatches   = desc("log_batches_appended_total", "Batches committed since the start.")
	descGroups    = desc("log_commits_total", "Commits since the start; each is one group of batches.")
	descAppends   = desc("log_append_duration_seconds", "Time from an append to its answer, of those that were committed.")
	descFailed    = desc("log_batches_failed_total", "Batches answered with an error since the start.")
	descQueue     = desc("log_queue_batches", "Batches that wait for the writer.")
	descQueueSize = desc("log_queue_bytes", "Bytes of the batches that wait for the writer.")
	descQueueMax  = desc("log_queue_limit_bytes", "The most that statehouse_log_queue_bytes can be.")
	descNoRoom    = desc("log_waiting_for_room", "Callers that wait because the queue is full.")
	descConsumer  = desc("log_consumer_behind_events", "Events that an open consumer has not acknowledged.", "consumer")
	descFollower  = desc("log_follower_failing", "1 if a follower's handler failed and has not succeeded since, 0 if not.", "consumer")
	descFailures  = desc("log_follower_failures_total", "Times that a follower's handler failed.", "consumer")
	descFault     = desc("log_writable", "1 if the log can be written to, 0 if not.")
	descDamaged   = desc("log_damaged", "1 if the log is damaged and can only be read, 0 if not.")
	descSnapshot  = desc("snapshot_position", "Position of the newest snapshot taken or used since the start.")
	descEntities  = desc("entities", "Entities that have a state.")
	descDevices   = desc("devices", "Devices in the registry.")
	descAreas     = desc("areas", "Areas in the registry.")
	descRecovered = desc("recovery_position", "Position up to which the start recovered the log.")
	descUsed      = desc("recovery_snapshot_position", "Position of the snapshot from which the start folded, 0 for none.")
	descSkipped   = desc("recovery_skipped_snapshots", "Snapshots that the start could not use.")
	descRecovery  = desc("recovery_duration_seconds", "Time that the start took to recover the state.")
	descReplayed  = desc("recovery_replayed_events", "Events that the start folded after its snapshot.")
	descSealed    = desc("log_sealed_position", "Position up to which the log is sealed.")
	descBase      = desc("log_base_position", "Position up to which history has been removed, 0 if it is whole.")
	descBaseTime  = desc("log_base_timestamp_seconds", "When the event there was recorded, in seconds since 1970.")
	descUnsaved   = desc("snapshot_behind_events", "Events since the newest snapshot: what a start would have to fold.")
	descLag       = desc("http_stream_behind_events", "Events that the slowest open stream of /v1/ has not been sent.")
	descFree      = desc("disk_free_bytes", "Bytes that may still be written beside the database; left out where nobody knows.")
	descDBSize    = desc("db_size_bytes", "Size of the database file.")
	descWALSize   = desc("wal_size_bytes", "Size of the database's write-ahead log, 0 where there is none.")
	descVerified  = desc("verify_last_timestamp_seconds", "When the last verification of everything ended, in seconds since 1970.")
	descVerifyAge = desc("verify_age_seconds", "How long ago that was.")
	descFindings  = desc("verify_findings", "Things that the last verification found to be wrong.")
	descClock     = desc("recovery_clock_behind_seconds", "How far the clock was behind the last event at the start.")
)

// Describe implements prometheus.Collector.
func (c *houseCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descBuild, descReady, descStreams, descPosition, descRecorded, descEvents, descBatches, descGroups, descFailed,
		descQueue, descQueueSize, descQueueMax, descNoRoom, descConsumer, descFollower, descFailures, descFault, descDamaged, descSnapshot,
		descEntities, descDevices, descAreas, descRecovered, descUsed, descSkipped, descRecovery, descReplayed, descClock, descSealed,
		descBase, descBaseTime, descAppends, descUnsaved, descLag, descFree, descDBSize, descWALSize, descVerified, descVerifyAge, descFindings,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *houseCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(descBuild, 1, c.s.opts.Version)
	gauge(descReady, oneIf(c.s.health().Status == api.StatusReady))
	gauge(descStreams, float64(len(c.s.streams)))
	h := c.s.house.Load()
	if h == nil {
		return
	}
	m, stats, recovered := h.Now(), h.Store().Stats(), h.Recovered()
	gauge(descPosition, float64(stats.Head))
	if !stats.HeadRecorded.IsZero() {
		gauge(descRecorded, float64(stats.HeadRecorded.UnixNano())/1e9)
	}
	counter(descEvents, stats.Events)
	counter(descBatches, stats.Batches)
	counter(descGroups, stats.Groups)
	counter(descFailed, stats.Failed)
	ch <- appendDuration(stats.Appends)
	gauge(descLag, float64(c.s.mostBehind(stats.Head)))
	gauge(descQueue, float64(stats.QueuedBatches))
	gauge(descQueueSize, float64(stats.QueuedBytes))
	gauge(descQueueMax, float64(stats.QueueLimit))
	gauge(descNoRoom, float64(stats.WaitingForRoom))
	for _, c := range stats.Consumers {
		gauge(descConsumer, float64(c.Behind), c.Name)
	}
	for _, f := range stats.Followers {
		gauge(descFollower, oneIf(f.Error != nil), f.Name)
		counter(descFailures, f.Failures, f.Name)
	}
	gauge(descFault, oneIf(stats.Fault == nil))
	gauge(descDamaged, oneIf(h.Damage() != nil))
	gauge(descSnapshot, float64(stats.Snapshot))
	gauge(descUnsaved, float64(stats.Head-min(stats.Snapshot, stats.Head)))
	gauge(descEntities, float64(m.State.Entities.Len()))
	gauge(descDevices, float64(m.Registry.Devices.Len()))
	gauge(descAreas, float64(m.Registry.Areas.Len()))
	gauge(descRecovered, float64(recovered.Position))
	gauge(descUsed, float64(recovered.Snapshot))
	gauge(descSkipped, float64(len(recovered.Faults)))
	gauge(descRecovery, recovered.Took.Seconds())
	gauge(descReplayed, float64(recovered.Replayed))
	gauge(descClock, recovered.ClockBehind.Seconds())
	gauge(descSealed, float64(stats.Sealed))
	base, baseRecorded := h.Base()
	gauge(descBase, float64(base))
	if base > 0 {
		gauge(descBaseTime, float64(baseRecorded.UnixNano())/1e9)
	}
	gauge(descDBSize, sizeOf(h.Path()))
	gauge(descWALSize, sizeOf(h.Path()+"-wal"))
	if free, ok := freeSpace(h.Path()); ok {
		gauge(descFree, free)
	}
	verified := c.s.opts.Verifier.Verified()
	if verified.At != nil {
		gauge(descVerified, float64(verified.At.UnixNano())/1e9)
		gauge(descVerifyAge, verified.AgeSeconds)
	}
	gauge(descFindings, float64(verified.Findings))
}

// appendDuration is how long appends took.
func appendDuration(l eventstore.Latency) prometheus.Metric {
	buckets := make(map[float64]uint64, len(l.Within))
	for bound, n := range l.Within {
		buckets[bound.Seconds()] = n
	}
	return prometheus.MustNewConstHistogram(descAppends, l.Count, l.Sum.Seconds(), buckets)
}

// sizeOf is the size of a file, 0 where there is none. It does not open it: closing a database's file drops the locks that
// this process has on it.
func sizeOf(path string) float64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return float64(info.Size())
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
