package api

import (
	"github.com/statehouse/statehouse/eventstore"
)

// The events of the stream of changes, by the names in their event: lines. Package server describes the stream.
const (
	// StreamState carries a State: one entity of the whole state.
	StreamState = "state"
	// StreamReady carries a Ready: the whole state has been sent.
	StreamReady = "ready"
	// StreamChange carries a Change.
	StreamChange = "change"
	// StreamReset carries a Reset: forget everything, the whole state follows.
	StreamReset = "reset"
	// StreamError carries an Error: the stream ends here.
	StreamError = "error"
)

// Change is an event of the log and what it made of the states. A reader that keeps states by id replaces those in
// States, drops those in Removed, and needs to understand nothing else.
type Change struct {
	// Event is the event itself, without its data where it is a state_changed: States has that.
	Event
	// States are the complete states, after the event, of the entities that it changed or renamed.
	States []State `json:"states,omitempty"`
	// Removed are the ids of the entities that have no state any more.
	Removed []string `json:"removed,omitempty"`
}

// NewChange is a change without what the event made of the states.
func NewChange(e eventstore.Event) (Change, error) {
	if e.Payload.GetStateChanged() != nil {
		return Change{Event: newEventHeader(e)}, nil
	}
	w, err := NewEvent(e)
	return Change{Event: w}, err
}

// Ready ends the whole state in the stream of changes.
type Ready struct {
	// Position is the one position at which all states were read.
	Position eventstore.Position `json:"position"`
	// Entities is the number of states that were sent.
	Entities int `json:"entities"`
}

// Reset says why a stream of changes could not go on where its reader left it.
type Reset struct {
	Reason string `json:"reason"`
}
