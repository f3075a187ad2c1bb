package broker

import (
	"context"
	"fmt"
	"strings"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// Publisher publishes messages of the daemon's own, which its handler does not see, within the limits that a client has:
// [Broker.Publish] knows none. A nil error means that the message is retained, if it is to be, and queued for kept sessions,
// durably both. After Close it fails with [mqtt.ErrNotConnected].
func (b *Broker) Publisher() mqtt.Publisher { return publisher{b} }

// publisher is a broker as the [mqtt.Publisher] of its own program.
type publisher struct{ b *Broker }

// Publish implements [mqtt.Publisher].
func (p publisher) Publish(ctx context.Context, m mqtt.Publication) error {
	if err := p.check(m); err != nil {
		return fmt.Errorf("mqtt broker: publish on %.80q: %w", m.Topic, err)
	}
	return p.b.publish(ctx, m)
}

// check says why a message cannot be published.
func (p publisher) check(m mqtt.Publication) error {
	if p.b.closing.Load() {
		return mqtt.ErrNotConnected
	}
	if m.QoS > 1 {
		return fmt.Errorf("QoS %d: use 0 or 1", m.QoS)
	}
	if strings.HasPrefix(m.Topic, "$") {
		return fmt.Errorf("%w: topics that begin with $ are the server's own", mqtt.ErrTopic)
	}
	if err := p.b.topicLimits(m.Topic); err != nil {
		return err
	}
	if n, most := len(m.Payload), p.b.opts.Limits.MaxPayload; n > most {
		return fmt.Errorf("a payload of %d bytes, at most %d are allowed (mqtt.limits.max_payload)", n, most)
	}
	if m.Retain {
		return p.b.retainQuota(message{Topic: m.Topic, Payload: m.Payload})
	}
	return nil
}
