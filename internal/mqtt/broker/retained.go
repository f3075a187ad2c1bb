package broker

import "github.com/statehouse/statehouse/internal/mqtt"

// RetainedOn is the message that is retained on a topic, with Retained set; false where there is none. Its payload must not be
// modified.
func (b *Broker) RetainedOn(topic string) (mqtt.Message, bool) {
	pk, ok := b.server.Topics.Retained.Get(topic)
	if !ok {
		return mqtt.Message{}, false
	}
	return mqtt.Message{
		Topic: topic, Payload: pk.Payload, QoS: pk.FixedHeader.Qos, Retained: true, Retain: true, ReceivedAt: b.opts.Now(),
	}, true
}
