package eventstore

import (
	"fmt"
	"time"
)

// Hypothetical makes of events what an append would make of them behind a position, recorded at a time: checked, copied,
// and with all that the store assigns. Nothing is stored. It fails as the append would.
func Hypothetical(after Position, recorded time.Time, events []Event) ([]Event, error) {
	batch, err := prepare(events)
	if err != nil {
		return nil, err
	}
	if !storable(recorded) {
		return nil, fmt.Errorf("%w: an event cannot be recorded at %s", ErrInvalid, recorded.Format(time.RFC3339))
	}
	made := make([]Event, len(batch))
	for i, p := range batch {
		if c := p.event.CausePosition; c > after {
			return nil, fmt.Errorf("%w: event %d of the batch: its cause %d is not before it; the moment is at %d",
				ErrInvalid, i+1, c, after)
		}
		made[i] = p.event.assign(after+1, i, recorded.UnixNano())
	}
	return made, nil
}

// assign gives the event, the index-th of a batch whose first position is first, what is the store's to assign.
func (e Event) assign(first Position, index int, recorded int64) Event {
	e.Position = first + Position(index)
	e.RecordedAt = time.Unix(0, recorded).UTC()
	e.Kind = KindOf(e.Payload)
	if e.Timestamp.IsZero() {
		e.Timestamp = e.RecordedAt
	}
	if e.CorrelationID == "" {
		e.CorrelationID = batchCorrelation(first)
	}
	return e
}
