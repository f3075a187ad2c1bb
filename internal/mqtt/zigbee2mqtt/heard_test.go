package zigbee2mqtt

import (
	"fmt"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// dated is a report of a temperature, with last_seen.
func dated(temperature int, seen time.Time) string {
	return fmt.Sprintf(`{"temperature":%d,"last_seen":%q}`, temperature, seen.Format("2006-01-02T15:04:05.000Z"))
}

func (b *bench) expectTimes(id string, updated, changed time.Time) {
	b.Helper()
	st, _ := b.house.Cache.Get(id)
	if !st.UpdatedAt.Equal(updated) || !st.ChangedAt.Equal(changed) {
		b.Errorf("%s updated at %v, changed at %v, want %v, %v", id, st.UpdatedAt, st.ChangedAt, updated, changed)
	}
}

func (b *bench) restart() { b.Dialect = New(b.house, b.opts) }

const (
	topicX = "zigbee2mqtt/x"
	tempX  = "sensor.x_temperature"
)

func TestAStoredReportIsAChangeAndNoReport(t *testing.T) {
	b := newBench(t, Options{SilentAfter: time.Minute})
	b.lists(device("0x1", "x", exposeTemperature, exposeHumidity, exposeAction))
	b.say(topicX, `{"temperature":20}`)
	later := base.Add(time.Hour)
	b.now = later
	// The same again says nothing, not even that the device was heard of.
	b.expectKinds(b.stored(topicX, `{"temperature":20}`), "")
	b.expectTimes(tempX, base, base)
	// What came while nobody listened is a change, and a press in it is none.
	b.expectKinds(b.stored(topicX, `{"temperature":5,"humidity":50,"action":"single"}`),
		"state_changed sensor.x_humidity, state_changed sensor.x_temperature")
	b.expect(tempX, `{"number":5}`)
	b.expect("event.x_action", `{}`)
	b.expectTimes(tempX, later, later)
	if got := b.Stats().Ignored[dialect.ReasonRetained]; got != 1 {
		t.Errorf("%d ignored as retained", got)
	}
}

// A publisher that no longer retains leaves an old report with the broker, which delivers it on each connection.
func TestTheSameStoredReportIsNoNews(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	b.stored(topicX, `{"temperature":1}`)
	b.expect(tempX, `{"number":1}`)
	for i := range 3 {
		b.now = b.now.Add(time.Minute)
		b.expectKinds(b.say(topicX, fmt.Sprintf(`{"temperature":%d}`, 20+i)), "state_changed "+tempX)
		b.expectKinds(b.stored(topicX, `{"temperature":1}`), "")
	}
	b.expect(tempX, `{"number":22}`)
	b.expectKinds(b.stored(topicX, `{"temperature":2}`), "state_changed "+tempX)
}

func TestAStoredReportIsOfTheTimeThatItSays(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	b.say(topicX, dated(20, base))
	// The daemon is away for a day. First it hears that the device is available, then of the day before.
	b.now = base.Add(24 * time.Hour)
	for _, restart := range []bool{true, false} {
		if restart {
			b.restart()
		}
		b.stored("zigbee2mqtt/bridge/state", "online")
		b.stored(topicX+"/availability", map[bool]string{true: "online", false: "offline"}[restart])
		for _, old := range []time.Time{base, base.Add(-time.Millisecond), base.Add(-48 * time.Hour)} {
			b.expectKinds(b.stored(topicX, dated(1, old)), "")
		}
	}
	heard := base.Add(5 * time.Hour)
	b.expectKinds(b.stored(topicX, dated(21, heard)), "state_changed "+tempX)
	b.expectTimes(tempX, heard, heard)
	b.expectKinds(b.stored(topicX, dated(21, heard)), "")
	b.expectKinds(b.stored(topicX, dated(22, heard)), "")
	b.expectKinds(b.stored(topicX, dated(20, base)), "")
	b.expectKinds(b.stored(topicX, dated(21, heard.Add(time.Hour))), "") // heard of later, nothing changed
	b.expectKinds(b.stored(topicX, dated(23, heard.Add(time.Minute))), "")
	b.expectTimes(tempX, heard, heard)
	// What is not in the report may be older than it.
	b.expectKinds(b.say(topicX, `{"temperature":24}`), "state_changed "+tempX)
	b.expectKinds(b.stored(topicX, dated(23, b.now)), "")
	b.expectKinds(b.stored(topicX, dated(23, b.now.Add(time.Minute))), "state_changed "+tempX)
}

// A clock that is wrong is compared with itself, as long as the process lives, and orders nothing in the log.
func TestStoredReportsOfAWrongClock(t *testing.T) {
	for name, skew := range map[string]time.Duration{"behind": -48 * time.Hour, "ahead": 48 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{})
			b.lists(device("0x1", "x", exposeTemperature))
			b.say(topicX, dated(20, base.Add(skew)))
			b.expectTimes(tempX, base, base)
			b.now = base.Add(time.Hour)
			b.expectKinds(b.stored(topicX, dated(1, base.Add(skew))), "")
			b.expectKinds(b.stored(topicX, dated(2, base.Add(skew-time.Minute))), "")
			b.expectKinds(b.stored(topicX, dated(21, base.Add(skew+time.Minute))), "state_changed "+tempX)
			b.expectTimes(tempX, b.now, b.now)
			b.expectKinds(b.say(topicX, dated(22, base.Add(skew+2*time.Minute))), "state_changed "+tempX)
		})
	}
}

// Of a device that is gone nothing is remembered: when it is back, what the broker has of it is all that is known.
func TestAStoredReportOfADeviceThatIsBack(t *testing.T) {
	b := newBench(t, Options{})
	x, y := device("0x1", "x", exposeTemperature), device("0x2", "y", exposeTemperature)
	b.lists(x, y)
	b.say(topicX, dated(20, base))
	b.lists(y)
	b.lists(x, y)
	b.expect(tempX, `{}`)
	b.expectKinds(b.stored(topicX, dated(20, base)), "state_changed "+tempX)
}

// An entity that has no value yet has the time of its registration, which is no report.
func TestAStoredReportFromBeforeTheRegistration(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	b.say("zigbee2mqtt/x/availability", "online")
	b.restart()
	b.expectKinds(b.stored(topicX, dated(20, base.Add(-72*time.Hour))), "state_changed "+tempX)
	b.expectTimes(tempX, base.Add(-72*time.Hour), base.Add(-72*time.Hour))
}

// A report that could not be recorded is no report.
func TestAStoredReportThatFailed(t *testing.T) {
	b := newBench(t, Options{})
	b.lists(device("0x1", "x", exposeTemperature))
	b.house.Fail = errBroken
	m := message(topicX, dated(20, base))
	m.Retained = true
	if err := b.Handle(t.Context(), m); err == nil {
		t.Error("accepted")
	}
	b.house.Fail = nil
	b.expectKinds(b.stored(topicX, dated(20, base)), "state_changed "+tempX)
}
