package api

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/state"
)

// FiredPrefix begins the kind of an event that is fired for the clients of Home Assistant: one of type "doorbell" is of kind
// "hass.doorbell".
const FiredPrefix = "hass."

// Event is one event of the log.
type Event struct {
	Position eventstore.Position `json:"position"`
	// RecordedAt is when the log took the event, Timestamp when it happened, as its source says.
	RecordedAt    time.Time           `json:"recorded_at"`
	Timestamp     time.Time           `json:"timestamp"`
	Kind          eventstore.Kind     `json:"kind"`
	EntityID      string              `json:"entity_id,omitempty"`
	Source        string              `json:"source,omitempty"`
	CorrelationID string              `json:"correlation_id,omitempty"`
	CausePosition eventstore.Position `json:"cause_position,omitempty"`
	// State is the state's one word or number, for state_changed alone.
	State string `json:"state,omitempty"`
	// Data is what the event says: for state_changed the attributes as state.JSON has them; for command_issued its message
	// with the arguments as one object; for any other kind its message of the proto file as state.MessageJSON has it, in
	// which bytes are {"base64": …}.
	Data json.RawMessage `json:"data,omitempty"`
}

// NewEvent is an event as it goes over the wire.
func NewEvent(e eventstore.Event) (Event, error) {
	w := newEventHeader(e)
	var err error
	switch p := e.Payload.GetKind().(type) {
	case *eventv1.Payload_StateChanged:
		w.Data, err = state.JSON(p.StateChanged.GetAttributes())
	case *eventv1.Payload_CommandIssued:
		w.Data, err = issuedJSON(p.CommandIssued)
	default:
		w.Data, err = payloadJSON(e.Payload)
	}
	if err != nil {
		return Event{}, fmt.Errorf("event %d: %w", e.Position, err)
	}
	return w, nil
}

// newEventHeader is an event without its data.
func newEventHeader(e eventstore.Event) Event {
	w := Event{
		Position: e.Position, RecordedAt: e.RecordedAt.UTC(), Timestamp: e.Timestamp.UTC(), Kind: e.Kind,
		EntityID: e.Entity, Source: e.Source, CorrelationID: e.CorrelationID, CausePosition: e.CausePosition,
	}
	if c := e.Payload.GetStateChanged(); c != nil {
		w.State = state.Text(c.GetAttributes())
	}
	return w
}

// payloadJSON is the message of a payload's kind as JSON.
func payloadJSON(p *eventv1.Payload) ([]byte, error) {
	m := p.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("kind"))
	if field == nil {
		// A newer version wrote a kind that this one does not know.
		return nil, nil
	}
	return state.MessageJSON(m.Get(field).Message().Interface())
}
