package mqtt

import (
	"strings"
	"sync"
	"time"
)

// Complaints lets one complaint a minute and topic, or whatever else it is about, through, and maxComplaints a minute in all, so that neither
// a device gone wild nor a publisher that invents topics without end fills the log, or memory. The rest is counted.
type Complaints struct {
	mu         sync.Mutex           // guards what follows; a leaf of the lock order
	last       map[string]time.Time // by topic, clipped: when it was complained about; maxComplaints at most
	suppressed uint64               // since the last that came through
	all        uint64               // suppressed ever
}

const (
	complainEvery = time.Minute
	maxComplaints = 60
	maxLogged     = 256 // bytes of what somebody else wrote, in a log line
)

// Allow says whether a complaint about a topic may be logged now, and how many were suppressed before it.
func (c *Complaints) Allow(topic string, now time.Time) (suppressed uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	topic = Clip(topic)
	recent := func(at time.Time) bool { return now.Sub(at) < complainEvery && !now.Before(at) }
	if last, logged := c.last[topic]; logged && recent(last) {
		c.suppress()
		return 0, false
	}
	if len(c.last) >= maxComplaints {
		for t, at := range c.last {
			if !recent(at) {
				delete(c.last, t)
			}
		}
	}
	if _, logged := c.last[topic]; !logged && len(c.last) >= maxComplaints {
		c.suppress()
		return 0, false
	}
	if c.last == nil {
		c.last = make(map[string]time.Time)
	}
	c.last[topic] = now
	suppressed, c.suppressed = c.suppressed, 0
	return suppressed, true
}

func (c *Complaints) suppress() {
	c.suppressed++
	c.all++
}

// Total is the number of complaints suppressed so far.
func (c *Complaints) Total() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

// Clip is the beginning of s, as much of it as a log line takes. It shares no memory with a longer s.
func Clip(s string) string {
	if len(s) <= maxLogged {
		return s
	}
	return strings.ToValidUTF8(strings.Clone(s[:maxLogged]), "") + "…"
}
