package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// metric is one figure about MQTT.
type metric[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(T) float64
}

func newMetric[T any](name, help string, kind prometheus.ValueType, value func(T) float64) metric[T] {
	return metric[T]{prometheus.NewDesc("statehouse_mqtt_"+name, help, nil, nil), kind, value}
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// Each dialect has its source as a label.
var (
	received = prometheus.NewDesc("statehouse_mqtt_received_total", "Messages that a dialect was handed.", []string{"source"}, nil)
	recorded = prometheus.NewDesc("statehouse_mqtt_events_total", "Events that a dialect recorded.", []string{"source"}, nil)
	waiting  = prometheus.NewDesc("statehouse_mqtt_waiting", "Messages that wait for the list of devices.", []string{"source"}, nil)
	unsaid   = prometheus.NewDesc("statehouse_mqtt_complaints_suppressed_total",
		"Complaints about messages that were not logged, so as not to fill the log.", []string{"source"}, nil)
	unwanted = prometheus.NewDesc("statehouse_mqtt_ignored_total", "Messages that the configuration says to ignore.", nil, nil)
	ignored  = prometheus.NewDesc("statehouse_mqtt_dropped_total", "Messages without effect, by reason.", []string{"source", "reason"}, nil)
)

var brokerMetrics = [...]metric[broker.Stats]{
	newMetric("broker_clients", "Clients that are connected.", gauge, func(s broker.Stats) float64 { return float64(s.Connected) }),
	newMetric("broker_sessions", "Sessions that are kept.", gauge, func(s broker.Stats) float64 { return float64(s.Sessions) }),
	newMetric("broker_retained", "Messages that are retained.", gauge, func(s broker.Stats) float64 { return float64(s.Retained) }),
	newMetric("broker_retained_bytes", "Topics, payloads and properties of the retained messages, in bytes.", gauge, func(s broker.Stats) float64 { return float64(s.RetainedBytes) }),
	newMetric("broker_connects_total", "Connections that were established.", counter, func(s broker.Stats) float64 { return float64(s.Connects) }),
	newMetric("broker_connects_refused_total", "Connections that were sent away.", counter, func(s broker.Stats) float64 { return float64(s.ConnectsRefused) }),
	newMetric("broker_received_total", "PUBLISH packets that came in.", counter, func(s broker.Stats) float64 { return float64(s.Received) }),
	newMetric("broker_handled_total", "Messages that the daemon took.", counter, func(s broker.Stats) float64 { return float64(s.Handled) }),
	newMetric("broker_failed_total", "Messages that were not accepted because recording them failed.", counter, func(s broker.Stats) float64 { return float64(s.Failed) }),
	newMetric("broker_refused_total", "Messages and subscriptions that a rule or limit forbids.", counter, func(s broker.Stats) float64 { return float64(s.Refused) }),
	newMetric("broker_duplicates_total", "QoS 2 messages that had been taken before.", counter, func(s broker.Stats) float64 { return float64(s.Duplicates) }),
	newMetric("broker_dropped_total", "Messages to clients that were not queued or sent.", counter, func(s broker.Stats) float64 { return float64(s.Dropped) }),
	newMetric("broker_slow_clients_total", "Clients that were disconnected for reading too slowly.", counter, func(s broker.Stats) float64 { return float64(s.SlowClients) }),
	newMetric("broker_panics_total", "Panics that were caught in a connection.", counter, func(s broker.Stats) float64 { return float64(s.Panics) }),
	newMetric("broker_in_bytes_total", "Bytes from clients.", counter, func(s broker.Stats) float64 { return float64(s.BytesIn) }),
	newMetric("broker_out_bytes_total", "Bytes to clients.", counter, func(s broker.Stats) float64 { return float64(s.BytesOut) }),
}

var clientMetrics = [...]metric[client.Status]{
	newMetric("client_connected", "1 if the daemon is connected to its broker, 0 if not.", gauge, func(s client.Status) float64 {
		if s.Connected {
			return 1
		}
		return 0
	}),
	newMetric("client_connects_total", "Connections that were established.", counter, func(s client.Status) float64 { return float64(s.Connects) }),
	newMetric("client_attempts_total", "Connections that were tried.", counter, func(s client.Status) float64 { return float64(s.Attempts) }),
	newMetric("client_received_total", "Messages that came in.", counter, func(s client.Status) float64 { return float64(s.Received) }),
	newMetric("client_acknowledged_total", "Messages that were acknowledged.", counter, func(s client.Status) float64 { return float64(s.Acked) }),
	newMetric("client_failed_total", "Messages that were not accepted because recording them failed.", counter, func(s client.Status) float64 { return float64(s.Failed) }),
}

// collect sends the figures of a part of the daemon.
func collect[T any](to chan<- prometheus.Metric, metrics []metric[T], from T) {
	for _, m := range metrics {
		to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(from))
	}
}

// metrics collects what the daemon's MQTT side counts.
type metrics struct{ d *Daemon }

// Describe implements [prometheus.Collector].
func (m metrics) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range [...]*prometheus.Desc{received, recorded, waiting, unsaid, unwanted, ignored} {
		to <- desc
	}
	for _, b := range brokerMetrics {
		to <- b.desc
	}
	for _, c := range clientMetrics {
		to <- c.desc
	}
}

// Collect implements [prometheus.Collector].
func (m metrics) Collect(to chan<- prometheus.Metric) {
	in := m.d.intake.Load()
	if in == nil {
		return // the log is being read
	}
	to <- prometheus.MustNewConstMetric(unwanted, counter, float64(in.dropped.Load()))
	for _, d := range in.dialects {
		source, s := d.Source(), d.Stats()
		to <- prometheus.MustNewConstMetric(received, counter, float64(s.Received), source)
		to <- prometheus.MustNewConstMetric(recorded, counter, float64(s.Events), source)
		to <- prometheus.MustNewConstMetric(waiting, gauge, float64(s.Waiting), source)
		to <- prometheus.MustNewConstMetric(unsaid, counter, float64(s.Suppressed), source)
		for reason, n := range s.Ignored {
			to <- prometheus.MustNewConstMetric(ignored, counter, float64(n), source, string(reason))
		}
	}
	if b := m.d.broker.Load(); b != nil {
		collect(to, brokerMetrics[:], b.Stats())
	}
	if c := m.d.client.Load(); c != nil {
		collect(to, clientMetrics[:], c.Status())
	}
}
