package dialect

import (
	"context"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// Target is the entity that is to do something, as it is when the command is recorded. Its messages must not be modified.
type Target struct {
	Entity *entityv1.Entity
	Device *entityv1.Device
	// State are its present attributes, never nil.
	State *entityv1.Attributes
}

// Rendered is a command in the form of a device.
type Rendered struct {
	// Publications are published in their order.
	Publications []mqtt.Publication
	// Answers says that the device reports the state that the command leads to. Where it does not, the broker's
	// acknowledgement confirms the command.
	Answers bool
}

// Dialect takes the messages of one ecosystem in, and speaks to its devices.
type Dialect interface {
	mqtt.Handler
	// Source names the dialect in its events and in the registry entries that it makes.
	Source() string
	// Stats returns the counts so far.
	Stats() Stats
	// Contain has f do something with a message, which is dropped where that panics; see [Intake.Contain].
	Contain(m mqtt.Message, f func() error) error
	// Wants says that the dialect makes something of messages on a topic. It may be called by several goroutines at once.
	Wants(topic string) bool
	// Claim says for people what the dialect makes of a topic that it wants, and for which entities.
	Claim(topic string) Claim
	// Render makes of a command what is published for it. It is called in the writer's turn and must not block.
	Render(t Target, c command.Checked) (Rendered, error)
}

// Sequencer is a [Dialect] that can have messages under way at once: Begin is [mqtt.Sequence]'s, with the sequence of their
// publisher. It is called for messages on topics that the dialect wants, and leaves to Handle whatever is no plain report.
type Sequencer interface {
	Begin(ctx context.Context, q *eventstore.Sequence, m mqtt.Message) (wait func() error)
}

// Claim is what a dialect makes of a topic.
type Claim struct {
	// Note is a word or two: "report", "availability", "announcement".
	Note string
	// Entities are those that it concerns, by their ids or their unique ids; empty where that is not known before.
	Entities []string
}
