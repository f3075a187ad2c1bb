package discovery

import (
	"strings"
	"sync"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
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
	topic   string
	source  Source
	on, off string
	key     string // names all that, so that entities that read a topic alike share what it says
}

// reachesOf are the topics of availability of a configuration.
func reachesOf(c Config) []reach {
	var all []reach
	for _, n := range c.List(keyAvailability) {
		one := Config{n}
		r := reach{topic: one.Str("topic"), on: one.Word("payload_available", "online"), off: one.Word("payload_not_available", "offline")}
		if sources := one.Sources("topic", "value_template"); len(sources) == 1 {
			r.source = sources[0]
		}
		r.key = strings.Join([]string{r.topic, one.Str("value_template"), r.on, r.off}, "\x00")
		all = append(all, r)
	}
	return all
}

// read is what a payload says.
func (r *reach) read(payload string) entityv1.Availability {
	text := payload
	if r.source.Template != nil {
		rendered, err := r.source.Template.Render(template.NewPayload([]byte(payload)), nil)
		if err != nil {
			return unsaid
		}
		text = rendered
	}
	switch text {
	case r.on:
		return online
	case r.off:
		return offline
	default:
		return unsaid
	}
}

// reachable is what was said of availability in this process.
type reachable struct {
	mu    sync.Mutex      // guards what follows; a leaf of the lock order
	words map[string]word // by the key of a reach
	last  map[string]string
	seq   uint64
}

// word is the last thing that was said, and when, in the order of messages.
type word struct {
	said entityv1.Availability
	seq  uint64
}

// maxReachPayload is far beyond a word, or the small object that availability is.
const maxReachPayload = 4096

func (r *reachable) init() { r.words, r.last = map[string]word{}, map[string]string{} }

// payload is the last message on a topic.
func (r *reachable) payload(topic string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.last[topic]
	return p, ok
}

// knows says that it is known what was said, or that nothing was.
func (r *reachable) knows(one *reach) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.words[one.key]
	return ok
}

// hear notes a message on a topic.
func (r *reachable) hear(topic, payload string) {
	if len(payload) > maxReachPayload {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[topic] = payload
}

// say notes what a message says to those who read it alike. What says nothing that is known changes nothing.
func (r *reachable) say(one *reach, said entityv1.Availability) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have, ok := r.words[one.key]; ok && said == unsaid {
		said = have.said
	}
	r.seq++
	r.words[one.key] = word{said, r.seq}
}

// forget drops what was said on a topic that nobody listens to any more.
func (r *reachable) forget(topic string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, topic)
	for key := range r.words {
		if strings.HasPrefix(key, topic+"\x00") {
			delete(r.words, key)
		}
	}
}

// of is what all topics of an entity say together.
func (r *reachable) of(d *compiled) entityv1.Availability {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := map[entityv1.Availability]int{}
	latest := word{}
	for i := range d.reaches {
		w := r.words[d.reaches[i].key]
		said[w.said]++
		if w.said != unsaid && w.seq > latest.seq {
			latest = w
		}
	}
	switch d.config.Str(keyAvailabilityMode) {
	case modeAny:
		return firstSaid(said, online, unsaid, offline)
	case modeAll:
		return firstSaid(said, offline, unsaid, online)
	default:
		return latest.said
	}
}

// firstSaid is the first of these that anybody says.
func firstSaid(said map[entityv1.Availability]int, order ...entityv1.Availability) entityv1.Availability {
	for _, a := range order {
		if said[a] > 0 {
			return a
		}
	}
	return unsaid
}

// prepare reads what was said before an entity was known, outside the writer's turn.
func (e *Engine) prepare(d *compiled) {
	for i := range d.reaches {
		one := &d.reaches[i]
		if e.reachable.knows(one) {
			continue
		}
		if payload, ok := e.reachable.payload(one.topic); ok {
			e.reachable.say(one, one.read(payload))
		}
	}
}

// inheritance is what entities that are registered begin with: whether they can be reached.
func (e *Engine) inheritance(b *dialect.Batch, items []*item) func([]*entityv1.Entity) func(*entityv1.Entity) {
	byUnique := make(map[string]*item, len(items))
	for _, it := range items {
		byUnique[it.unique] = it
	}
	return func([]*entityv1.Entity) func(*entityv1.Entity) {
		return func(entry *entityv1.Entity) {
			it := byUnique[entry.GetUniqueId()]
			if it == nil {
				return
			}
			d, err := e.catalog.compile(it)
			if err != nil {
				return
			}
			st, old := b.StateOf(entry.GetId())
			if a := e.reachable.of(d); a != unsaid && old.GetAvailability() != a && st.Position == 0 {
				b.Changed(entry.GetId(), &entityv1.Attributes{Availability: a}, b.At)
			}
		}
	}
}
