package discovery

import (
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/template"
)

// Home Assistant's ways of putting several topics of availability together.
const (
	modeAll    = "all"
	modeAny    = "any"
	modeLatest = "latest"
)

const (
	unsaid  = entityv1.Availability_AVAILABILITY_UNSPECIFIED
	online  = entityv1.Availability_AVAILABILITY_ONLINE
	offline = entityv1.Availability_AVAILABILITY_OFFLINE
)

// availability is what is known of whether an entity can be reached. latest is the topic of the message that is being taken
// in, empty for none.
func (c *catalog) availability(d *compiled, latest string) entityv1.Availability {
	said := map[entityv1.Availability]int{}
	list := d.config.List(keyAvailability)
	for _, n := range list {
		topic := n.Str("topic")
		one := unsaid
		if payload, ok := c.lastHeard(topic); ok {
			one = availabilityIn(Config{n}, payload)
		}
		if topic == latest && one != unsaid && d.config.Str(keyAvailabilityMode) == modeLatest {
			return one
		}
		said[one]++
	}
	switch mode := d.config.Str(keyAvailabilityMode); {
	case mode == modeAny && said[online] > 0:
		return online
	case mode == modeAny && said[unsaid] > 0:
		return unsaid
	case mode == modeAny && said[offline] > 0:
		return offline
	case mode == modeAll && said[offline] > 0:
		return offline
	case mode == modeAll && said[unsaid] > 0:
		return unsaid
	case mode == modeAll && said[online] > 0:
		return online
	case len(list) == 1 && said[unsaid] == 0: // one topic is all there is to the latest
		if said[online] > 0 {
			return online
		}
		return offline
	default:
		return unsaid
	}
}

// availabilityIn is what a payload says, by one entry of the list.
func availabilityIn(c Config, payload string) entityv1.Availability {
	text := payload
	if source := c.Sources("topic", "value_template"); len(source) == 1 && source[0].Template != nil {
		rendered, err := source[0].Template.Render(template.NewPayload([]byte(payload)), nil)
		if err != nil {
			return unsaid
		}
		text = rendered
	}
	switch text {
	case c.Word("payload_available", "online"):
		return online
	case c.Word("payload_not_available", "offline"):
		return offline
	default:
		return unsaid
	}
}

// listensForAvailability says that a topic is one of an entity's availability.
func (d *compiled) listensForAvailability(topic string) bool {
	for _, n := range d.config.List(keyAvailability) {
		if n.Str("topic") == topic {
			return true
		}
	}
	return false
}

// inheritance is what entities that are registered begin with: whether they can be reached.
func (e *Engine) inheritance(b *dialect.Batch, items []*item) func([]*entityv1.Entity) func(*entityv1.Entity) {
	return func([]*entityv1.Entity) func(*entityv1.Entity) {
		return func(entry *entityv1.Entity) {
			for _, it := range items {
				if it.unique != entry.GetUniqueId() {
					continue
				}
				d, err := e.catalog.compile(it)
				if err != nil {
					return
				}
				a := e.catalog.availability(d, "")
				if st, old := b.StateOf(entry.GetId()); a != unsaid && old.GetAvailability() != a && st.Position == eventstore.Position(0) {
					b.Changed(entry.GetId(), &entityv1.Attributes{Availability: a}, b.At)
				}
			}
		}
	}
}
