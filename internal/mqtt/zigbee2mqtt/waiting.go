package zigbee2mqtt

import (
	"bytes"
	"slices"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// waiting holds the newest message per topic, oldest first, within bounds. Its user guards it.
type waiting struct {
	maxMessages, maxBytes int

	bytes    int
	messages []mqtt.Message
}

func (w *waiting) len() int { return len(w.messages) }

// add takes a copy of m in place of an older one of its topic, and returns how many had to make room. A stored message
// does not take the place of a fresh one.
func (w *waiting) add(m mqtt.Message) (dropped int) {
	if i := slices.IndexFunc(w.messages, func(o mqtt.Message) bool { return o.Topic == m.Topic }); i >= 0 {
		if m.Retained && !w.messages[i].Retained {
			return 0
		}
		w.remove(i)
	}
	m.Payload = bytes.Clone(m.Payload)
	w.messages = append(w.messages, m)
	w.bytes += cost(m)
	for len(w.messages) > w.maxMessages || w.bytes > w.maxBytes {
		w.remove(0)
		dropped++
	}
	return dropped
}

func (w *waiting) remove(i int) {
	w.bytes -= cost(w.messages[i])
	w.messages = slices.Delete(w.messages, i, i+1)
}

// take empties w.
func (w *waiting) take() []mqtt.Message {
	taken := w.messages
	w.messages, w.bytes = nil, 0
	return taken
}

// cost is what a message takes, its own size included.
func cost(m mqtt.Message) int { return len(m.Topic) + len(m.Payload) + 128 }

// Stats returns the counts so far.
func (d *Dialect) Stats() dialect.Stats {
	s := d.Intake.Stats()
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Waiting = d.waiting.len()
	return s
}
