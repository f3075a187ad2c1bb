package discovery

import (
	"sync"
	"unique"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/template"
)

// Home Assistant's ways of putting several topics of availability together. Without one the latest counts.
const (
	modeAll = "all"
	modeAny = "any"
)

const (
	unsaid  = entityv1.Availability_AVAILABILITY_UNSPECIFIED
	online  = entityv1.Availability_AVAILABILITY_ONLINE
	offline = entityv1.Availability_AVAILABILITY_OFFLINE
)

// reach is one topic of an entity's availability, and how it is read.
type reach struct {
	topic    int // its place among those of the shape
	template *template.Template
	manner   unique.Handle[manner]
}

// manner is how availability is read from a topic. Entities that read one alike share what it says.
type manner struct{ template, on, off string }

// reachOf is a topic of availability in a configuration.
func reachOf(one Config, topic int) reach {
	r := reach{topic: topic, manner: unique.Make(manner{
		one.Str("value_template"), one.Word("payload_available", payloadAvailable), one.Word("payload_not_available", payloadNotAvailable),
	})}
	if sources := one.Sources("topic", "value_template"); len(sources) == 1 {
		r.template = sources[0].Template
	}
	return r
}

// read is what a payload says, nothing where there is nothing left of the budget.
func (r *reach) read(payload *template.Payload, env *template.Env) entityv1.Availability {
	text := payload.Text()
	if r.template != nil {
		rendered, err := r.template.RenderIn(env, payload, nil)
		if err != nil {
			return unsaid
		}
		text = rendered
	}
	switch words := r.manner.Value(); text {
	case words.on:
		return online
	case words.off:
		return offline
	default:
		return unsaid
	}
}

// reachable is what was said of availability in this process.
type reachable struct {
	mu     sync.Mutex // guards what follows; a leaf of the lock order
	topics map[string]*heard
	seq    uint64
}

// heard is what was heard on a topic.
type heard struct {
	last  string // the last message, where said
	said  bool
	fresh bool // one came that was not stored
	// first is what was said in manner, the first in which the topic was read; others, nil where there are none, are the other ones.
	manner unique.Handle[manner]
	first  *word
	others map[unique.Handle[manner]]*word
}

// word is the last thing that was said to those who read in a manner, and when, in the order of messages.
type word struct {
	said entityv1.Availability
	seq  uint64
}

// maxReachPayload is far beyond a word, or the small object that availability is.
const maxReachPayload = 4096

func (r *reachable) init() { r.topics = map[string]*heard{} }

// payload is the last message on a topic.
func (r *reachable) payload(topic string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.topics[topic]; h != nil {
		return h.last, h.said
	}
	return "", false
}

// knows says that it is known what was said, or that nothing was.
func (r *reachable) knows(topic string, one *reach) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.topics[topic]
	return h != nil && h.word(one.manner) != nil
}

// hear notes a message on a topic, and says whether it is the latest word there: one that is stored is not where it was heard before, as
// after another connection, nor one that is fetched when something fresh has come.
func (r *reachable) hear(m mqtt.Message, payload string) (latest bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.onLocked(m.Topic)
	if m.Fetched && h.fresh || m.Retained && h.said && h.last == payload {
		return false
	}
	h.fresh = h.fresh || !m.Retained
	if h.said = len(payload) <= maxReachPayload; !h.said {
		payload = "" // what was said before is not the last message any more
	}
	if h.last != payload {
		h.last = payload
	}
	return true
}

// onLocked is what was heard on a topic, to be changed.
func (r *reachable) onLocked(topic string) *heard {
	h := r.topics[topic]
	if h == nil {
		h = &heard{}
		r.topics[topic] = h
	}
	return h
}

// word is what was said in a manner, nil for nothing.
func (h *heard) word(m unique.Handle[manner]) *word {
	if h.first != nil && h.manner == m {
		return h.first
	}
	return h.others[m]
}

// put adds a manner.
func (h *heard) put(m unique.Handle[manner], w *word) {
	switch {
	case h.first == nil:
		h.manner, h.first = m, w
	case h.others == nil:
		h.others = map[unique.Handle[manner]]*word{m: w}
	default:
		h.others[m] = w
	}
}

// say notes what a message says to those who read it alike. What says nothing that is known changes nothing.
func (r *reachable) say(topic string, one *reach, said entityv1.Availability) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.onLocked(topic)
	w := h.word(one.manner)
	if w == nil {
		w = &word{}
		h.put(one.manner, w)
	}
	if said == unsaid {
		said = w.said
	}
	r.seq++
	w.said, w.seq = said, r.seq
}

// forget drops what was said on a topic that nobody listens to any more.
func (r *reachable) forget(topic string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.topics, topic)
}

// of is what all topics of an entity say together.
func (r *reachable) of(it *item, made *compiled) entityv1.Availability {
	if len(made.reaches) == 0 {
		return unsaid
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var said [offline + 1]int
	latest := word{}
	for i := range made.reaches {
		one, w := &made.reaches[i], word{}
		if h := r.topics[it.topics[one.topic]]; h != nil {
			if have := h.word(one.manner); have != nil {
				w = *have
			}
		}
		said[w.said]++
		if w.said != unsaid && w.seq > latest.seq {
			latest = w
		}
	}
	switch made.mode {
	case modeAny:
		return firstSaid(said[:], online, unsaid, offline)
	case modeAll:
		return firstSaid(said[:], offline, unsaid, online)
	default:
		return latest.said
	}
}

// firstSaid is the first of these that anybody says.
func firstSaid(said []int, order ...entityv1.Availability) entityv1.Availability {
	for _, a := range order {
		if said[a] > 0 {
			return a
		}
	}
	return unsaid
}

// prepare reads what was said before an entity was known, outside the writer's turn.
func (e *Engine) prepare(it *item, made *compiled, env *template.Env) {
	for i := range made.reaches {
		one := &made.reaches[i]
		topic := it.topics[one.topic]
		if e.reachable.knows(topic, one) {
			continue
		}
		if payload, ok := e.reachable.payload(topic); ok {
			e.reachable.say(topic, one, one.read(template.NewPayload([]byte(payload)), env))
		}
	}
}

// renew has an entity that is registered as it is announced now be as available, and due when, as that says: a topic of availability or of
// attributes, expire_after or off_delay may be new, another one, or gone. It runs in the writer's turn.
func (e *Engine) renew(b *dialect.Batch, it *item, entry *entityv1.Entity) {
	before := e.catalog.get(it.unique)
	if entry == nil || !dialect.Enabled(entry) || it.isAs(before) {
		return
	}
	made, err := e.catalog.compile(it)
	if err != nil {
		return
	}
	_, old := b.StateOf(entry.GetId())
	if before != nil && old.GetDomain() != nil {
		if was, err := e.catalog.compile(before); err != nil || was.expireAfter != made.expireAfter || was.offDelay != made.offDelay {
			e.deadlines.renew(it.unique, made.deadlines(it.unique, old, b.At))
		}
	}
	a := proto.CloneOf(old)
	a.Availability = e.availability(it, made, old.GetAvailability(), false)
	if !made.component.KeepsExtra && !listens(made.config, keyJSONAttributes) {
		a.Extra = nil // of a topic that it had
	}
	if !dialect.Same(old, a) {
		b.Changed(entry.GetId(), a, b.At)
	}
}
