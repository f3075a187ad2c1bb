package mqtt

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestComplaintsAreBounded(t *testing.T) {
	var c Complaints
	base := time.Date(2026, 11, 23, 1, 45, 8, 0, time.UTC)
	allowed := func(topic string, now time.Time) bool {
		_, ok := c.Allow(topic, now)
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
	if logged != maxComplaints || len(c.last) != maxComplaints || c.Total() != 100_000-maxComplaints+2 {
		t.Errorf("%d logged, %d remembered, %d suppressed", logged, len(c.last), c.Total())
	}
	for topic := range c.last {
		if len(topic) > maxLogged+3 {
			t.Errorf("a topic of %d bytes is remembered", len(topic))
		}
	}
	// The next that comes through says how many did not since the last one, and others have room again a minute later.
	if n, ok := c.Allow("x", base.Add(complainEvery)); !ok || n != c.Total()-1 {
		t.Errorf("%v, %d suppressed before", ok, n)
	}
	if n, ok := c.Allow("z", base.Add(complainEvery+time.Second)); !ok || n != 0 {
		t.Errorf("%v, %d suppressed before", ok, n)
	}
	// A clock that was set back silences nothing.
	if !allowed("x", base.Add(-time.Hour)) || !allowed("new", base.Add(-time.Hour)) {
		t.Error("silent after the clock was set back")
	}
}
