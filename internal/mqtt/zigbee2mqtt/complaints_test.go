package zigbee2mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestComplaintsAreBounded(t *testing.T) {
	var c complaints
	allowed := func(topic string, now time.Time) bool {
		_, ok := c.allow(topic, now)
		return ok
	}
	for i, want := range []bool{true, false} {
		if allowed("x", base.Add(time.Duration(i)*time.Second)) != want {
			t.Errorf("complaint %d of one topic", i)
		}
	}
	logged := 1
	for i := range 100_000 {
		if allowed(fmt.Sprintf("%d/%s", i, strings.Repeat("y", 500)), base.Add(time.Second)) {
			logged++
		}
	}
	if logged != maxComplaints || len(c.last) != maxComplaints || c.total() != 100_000-maxComplaints+2 {
		t.Errorf("%d logged, %d remembered, %d suppressed", logged, len(c.last), c.total())
	}
	for topic := range c.last {
		if len(topic) > maxLogged+3 {
			t.Errorf("a topic of %d bytes is remembered", len(topic))
		}
	}
	// The next that comes through says how many did not since the last one, and others have room again a minute later.
	if n, ok := c.allow("x", base.Add(complainEvery)); !ok || n != c.total()-1 {
		t.Errorf("%v, %d suppressed before", ok, n)
	}
	if n, ok := c.allow("z", base.Add(complainEvery+time.Second)); !ok || n != 0 {
		t.Errorf("%v, %d suppressed before", ok, n)
	}
	// A clock that was set back silences nothing.
	if !allowed("x", base.Add(-time.Hour)) || !allowed("new", base.Add(-time.Hour)) {
		t.Error("silent after the clock was set back")
	}
}

func TestAHostilePublisherDoesNotFillTheLog(t *testing.T) {
	var out bytes.Buffer
	b := newBench(t, Options{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	b.lists(device("0x1", "x", exposeTemperature))
	const messages = 5000
	long := strings.Repeat("long", 10_000)
	for i := range messages {
		m := message(fmt.Sprintf("zigbee2mqtt/%d%s", i, long), "{}")
		m.Client = long
		b.message(m)
	}
	b.complain(message("zigbee2mqtt/x", ""), ReasonMalformed, errors.New(long))
	lines := strings.Count(out.String(), "\n")
	if s := b.Stats(); lines != maxComplaints || s.Suppressed != messages+1-maxComplaints || s.Ignored[ReasonUnknownDevice] != messages {
		t.Errorf("%d lines, %+v", lines, s)
	}
	b.now = base.Add(complainEvery)
	b.complain(message("zigbee2mqtt/x", ""), ReasonMalformed, errors.New(long))
	if out.Len() > 100_000 {
		t.Errorf("%d bytes of log", out.Len())
	}
	out.Reset()
	m := message("zigbee2mqtt/x", "{")
	m.ReceivedAt = base.Add(complainEvery)
	b.message(m)
	if want := fmt.Sprintf("suppressed_before=%d\n", messages+2-maxComplaints); !strings.HasSuffix(out.String(), want) {
		t.Errorf("%s, want %s", out.String(), want)
	}
}
