package discovery

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect/dialecttest"
)

// benchValues are what each device of a benchmark measures.
var benchValues = [...][2]string{
	{"temperature", "°C"}, {"humidity", "%"}, {"pressure", "hPa"}, {"illuminance", "lx"}, {"battery", "%"},
	{"voltage", "mV"}, {"power", "W"}, {"energy", "kWh"},
}

// benchHouse is a house in memory that notes how long decisions take: the time that every other writer waits.
type benchHouse struct {
	*dialecttest.Memory
	turns time.Duration
}

// Decide implements dialect.House.
func (h *benchHouse) Decide(ctx context.Context, decide func(statehouse.Pending) ([]eventstore.Event, error)) (eventstore.Span, error) {
	return h.Memory.Decide(ctx, func(p statehouse.Pending) ([]eventstore.Event, error) {
		began := time.Now()
		events, err := decide(p)
		h.turns += time.Since(began)
		return events, err
	})
}

func (h *benchHouse) engine() *Engine {
	return NewEngine(h, NewHomeAssistant(HomeAssistantOptions{}), Options{})
}

// benchAnnouncements are those of devices with an entity for each value, as bridges write them.
func benchAnnouncements(devices int) []mqtt.Message {
	var all []mqtt.Message
	for i := range devices {
		name := fmt.Sprintf("climate_%05d", i)
		for _, v := range benchValues {
			all = append(all, mqtt.Message{
				Topic: "homeassistant/sensor/" + name + "/" + v[0] + "/config", Retained: true, ReceivedAt: dialecttest.Base,
				Payload: fmt.Appendf(nil, `{"availability":[{"topic":"sensors/%[1]s/availability"}],"default_entity_id":"sensor.%[1]s_%[2]s",`+
					`"device":{"identifiers":["sensors_%[1]s"],"manufacturer":"Aqara","model":"Climate sensor","name":"%[1]s","sw_version":"3000-0001"},`+
					`"device_class":"%[2]s","enabled_by_default":true,"name":"%[2]s","origin":{"name":"Sensors","sw":"2.14.1"},`+
					`"state_class":"measurement","state_topic":"sensors/%[1]s","unique_id":"%[1]s_%[2]s","unit_of_measurement":"%[3]s",`+
					`"value_template":"{{ value_json.%[2]s }}"}`, name, v[0], v[1]),
			})
		}
	}
	return all
}

func handleAll(b *testing.B, e *Engine, all []mqtt.Message) {
	b.Helper()
	for _, m := range all {
		if err := e.Handle(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}

// newBenchHouse is a house whose devices have been announced.
func newBenchHouse(b *testing.B, devices int) (*benchHouse, *Engine) {
	b.Helper()
	h := &benchHouse{Memory: dialecttest.NewMemory()}
	h.Once = true
	e := h.engine()
	handleAll(b, e, benchAnnouncements(devices))
	return h, e
}

// BenchmarkReport takes in the messages of devices of eight entities each, of which so many have another value than before. Where
// there are many devices, they have more entities than definitions are kept as values.
func BenchmarkReport(b *testing.B) {
	for _, c := range []struct{ devices, changed int }{{100, 0}, {100, 1}, {100, 3}, {100, 8}, {2000, 1}} {
		b.Run(fmt.Sprintf("devices=%d/changed=%d", c.devices, c.changed), func(b *testing.B) {
			h, e := newBenchHouse(b, c.devices)
			values := make([][len(benchValues)]int, c.devices)
			at, n := dialecttest.Base, 0
			report := func() {
				i := n % c.devices
				payload := []byte{}
				for v, name := range benchValues {
					sep := byte(',')
					if v == 0 {
						sep = '{'
					}
					if (v+n/c.devices)%len(benchValues) < c.changed {
						values[i][v]++
					}
					payload = fmt.Appendf(append(payload, sep), `"%s":%d.%d`, name[0], values[i][v]/10, values[i][v]%10)
				}
				n, at = n+1, at.Add(time.Millisecond)
				m := mqtt.Message{Topic: fmt.Sprintf("sensors/climate_%05d", i), Payload: append(payload, '}'), ReceivedAt: at}
				if err := e.Handle(b.Context(), m); err != nil {
					b.Fatal(err)
				}
			}
			for range c.devices {
				report()
			}
			h.turns = 0
			b.ReportAllocs()
			for b.Loop() {
				report()
			}
			b.ReportMetric(float64(h.turns.Nanoseconds())/float64(b.N), "turn-ns/op")
		})
	}
}

// BenchmarkStart is a process that starts at a house of 8,000 entities, reads what the registry knows, and is handed the
// announcements that say the same once more.
func BenchmarkStart(b *testing.B) {
	const devices = 1000
	h, _ := newBenchHouse(b, devices)
	all := benchAnnouncements(devices)
	b.Run("registry", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := h.engine().Start(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("announcements", func(b *testing.B) {
		e := h.engine()
		b.ReportAllocs()
		for b.Loop() {
			handleAll(b, e, all)
		}
	})
}
