package daemon

import (
	"fmt"
	"slices"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	harness "github.com/statehouse/statehouse/internal/faults"
)

// announceSensors makes one sensor of each ecosystem known, and returns where they report.
func announceSensors(t testing.TB, p *harness.Publisher) (topics []string) {
	t.Helper()
	for _, m := range [][2]string{
		{"zigbee2mqtt/bridge/devices", `[{"ieee_address":"0x1","friendly_name":"probe","type":"EndDevice","supported":true,"disabled":false,` +
			`"interview_completed":true,"definition":{"model":"x","vendor":"y","description":"z","exposes":[{"type":"numeric",` +
			`"name":"temperature","property":"temperature","access":1,"unit":"°C"}]}}]`},
		{"zigbee2mqtt/bridge/groups", `[]`},
		{"homeassistant/sensor/other/config", `{"name":"Other","state_topic":"sensors/other","unique_id":"other","device":{"identifiers":["other"],"name":"Other"},` +
			`"unit_of_measurement":"°C","value_template":"{{ value_json.temperature }}"}`},
	} {
		if err := p.Publish(m[0], m[1], true); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"zigbee2mqtt/probe", "sensors/other"}
}

// What a publisher sends at once is recorded in order, one batch for each message, whatever comes in between, and is there when it is
// acknowledged.
func TestMessagesUnderWay(t *testing.T) {
	c := testConfig(t)
	d := start(t, c, Options{})
	p, err := harness.Dial(d.broker.Load().Addr().String(), "p", "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	topics := announceSensors(t, p)
	before := d.house.Now().Position()
	const n = 120
	var sent []float64
	for i := range n {
		value := float64(i)
		switch {
		case i%17 == 5:
			p.Add(topics[0], `{"temperature":`, false) // no JSON
			continue
		case i%23 == 7:
			p.Add("nobody/listens", `1`, false)
			continue
		}
		sent = append(sent, value)
		topic := topics[i/3%2]
		// What is retained for an ecosystem that subscribes as it goes is fetched, at any time, and is no news by then.
		p.Add(topic, fmt.Sprintf(`{"temperature":%v}`, value), i%11 == 2)
	}
	acked := 0
	if err := p.Flush(func() { acked++ }); err != nil {
		t.Fatal(err)
	}
	var got []float64
	for e, err := range d.house.Read(t.Context(), eventstore.Query{After: before, Kinds: []eventstore.Kind{eventstore.KindStateChanged}}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Payload.GetStateChanged().GetAttributes().GetSensor().GetNumber())
	}
	if !slices.Equal(got, sent) || acked != n {
		t.Errorf("recorded %v, sent %v; %d of %d acknowledged", got, sent, acked, n)
	}
	s := d.house.Store().Stats()
	if s.Batches < uint64(len(sent)) || s.Groups >= s.Batches {
		t.Errorf("%d batches in %d groups", s.Batches, s.Groups)
	}
}

// BenchmarkIngest is a window of 20 messages of one publisher, from being sent to being acknowledged.
func BenchmarkIngest(b *testing.B) {
	c := testConfig(b)
	d := start(b, c, Options{})
	p, err := harness.Dial(d.broker.Load().Addr().String(), "p", "", "")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for _, topic := range announceSensors(b, p) {
		b.Run(topic[:6], func(b *testing.B) {
			before, messages := d.house.Store().Stats(), 0
			b.ReportAllocs()
			for b.Loop() {
				for range 20 {
					messages++
					p.Add(topic, fmt.Sprintf(`{"temperature":%d}`, messages%100), false)
				}
				if err := p.Flush(func() {}); err != nil {
					b.Fatal(err)
				}
			}
			after := d.house.Store().Stats()
			b.ReportMetric(float64(messages)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64(after.Batches-before.Batches)/float64(after.Groups-before.Groups), "batches/group")
		})
	}
}
