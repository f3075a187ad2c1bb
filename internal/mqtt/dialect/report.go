package dialect

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/state"
)

// MaxState is what no real state comes near, in bytes. Every change of a state is recorded whole: without a limit a
// single large report would make every small one after it as large.
const MaxState = 64 << 10

// ErrStateTooLarge matches [eventstore.ErrTooLarge].
var ErrStateTooLarge = fmt.Errorf("%w: what is known of an entity may have %d bytes", eventstore.ErrTooLarge, MaxState)

// Report is what a message says of one entity.
type Report struct {
	// Before is the entity's state, with Old as its attributes as the batch left them: see [Batch.StateOf].
	Before state.State
	Old    *entityv1.Attributes
	// New are the attributes that follow from the message. Where nothing is known of them any more, their typed part is
	// taken away: there is one way of saying that. They are the batch's from here on.
	New *entityv1.Attributes
	// At is when it was so.
	At time.Time
	// Spoken says that the message says something of the entity beyond that it is not known.
	Spoken bool
	// Stored says that the message is no sign of life, since a broker had stored it.
	Stored bool
	// Always says that the message is an event even if it changes nothing.
	Always bool
}

// Report appends what follows from a report: a change, or that an entity was heard of after a silence, and which commands
// that answers. It fails with [ErrStateTooLarge].
func (b *Batch) Report(id string, r Report) error {
	if IsEmpty(r.New) {
		r.New.Domain = nil
	}
	var waiting []*entityv1.PendingCommand
	if r.Spoken && !r.Stored { // that a device is gone is no answer
		waiting = b.Pending.PendingCommands(id)
		r.At = notBefore(waiting, r.New, r.At)
	}
	switch {
	case b.isTooSoon(id, r):
		b.tooSoon++
		return nil
	case !Same(r.Old, r.New):
		if !isSmall(r.New) && proto.Size(r.New) > MaxState {
			return fmt.Errorf("%s: %w", id, ErrStateTooLarge)
		}
		b.Changed(id, r.New, r.At)
	case r.Spoken && !r.Stored && r.Old.GetDomain() != nil &&
		(r.Always || r.At.Sub(r.Before.UpdatedAt) >= b.SilentAfter || answers(waiting, r.New)):
		b.Add(eventstore.Event{Timestamp: r.At, Entity: id, Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}},
		}})
	default:
		return nil
	}
	b.settle(id, waiting, r.New, r.At)
	return nil
}

// isSmall says of attributes that they have no more than a few bytes. It is quicker than to count.
func isSmall(a *entityv1.Attributes) bool {
	if len(a.GetExtra()) > 0 || hasUnknown(a) {
		return false
	}
	switch d := a.GetDomain().(type) {
	case *entityv1.Attributes_Sensor:
		_, isNumber := d.Sensor.GetValue().(*entityv1.Sensor_Number)
		return isNumber && !hasUnknown(d.Sensor)
	case *entityv1.Attributes_BinarySensor:
		return !hasUnknown(d.BinarySensor)
	case *entityv1.Attributes_Switch:
		return !hasUnknown(d.Switch)
	default:
		return false
	}
}

// isTooSoon says that a report changes nothing but a measured number, before the entity's minimum interval is over.
func (b *Batch) isTooSoon(id string, r Report) bool {
	if b.MinInterval == nil || r.Always || b.Has(id) || r.At.Sub(r.Before.UpdatedAt) >= b.MinInterval(id) || !r.At.After(r.Before.UpdatedAt) {
		return false
	}
	_, was := r.Old.GetSensor().GetValue().(*entityv1.Sensor_Number)
	_, is := r.New.GetSensor().GetValue().(*entityv1.Sensor_Number)
	return was && is && r.Old.GetAvailability() == r.New.GetAvailability() && !Same(r.Old, r.New)
}

// change is the payload of an event that says that a state changed, of which there are more than of all others together: one allocation.
type change struct {
	payload eventv1.Payload
	kind    eventv1.Payload_StateChanged
	changed eventv1.StateChanged
}
