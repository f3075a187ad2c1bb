package eventstore

import (
	"fmt"
	"time"
)

// Hypothetical makes of events what an append would make of them behind a position, recorded at a time: checked, copied,
// and with all that the store assigns. Nothing is stored. It fails as the append would.
func Hypothetical(after Position, recorded time.Time, events []Event) ([]Event, error) {
	batch, err := prepare(events, false)
	if err != nil {
		return nil, err
	}
	if !storable(recorded) {
		return nil, fmt.Errorf("%w: an event cannot be recorded at %s", ErrInvalid, recorded.Format(time.RFC3339))
	}
	made, correlation := make([]Event, len(batch)), batchCorrelation(after+1)
	for i := range batch {
		p := &batch[i]
		if c := p.event.CausePosition; c > after+Position(i) {
			return nil, fmt.Errorf("%w: event %d of the batch: its cause %d is not before it; the moment is at %d",
				ErrInvalid, i+1, c, after)
		}
		made[i] = p.event.assign(after+1+Position(i), recorded.UnixNano(), correlation)
	}
	return made, nil
}

// assign is the prepared event with what is the store's to assign. correlation is that of its batch.
func (e Event) assign(at Position, recorded int64, correlation string) Event {
	e.Position = at
	e.RecordedAt = time.Unix(0, recorded).UTC()
	if e.Timestamp.IsZero() {
		e.Timestamp = e.RecordedAt
	}
	if e.CorrelationID == "" {
		e.CorrelationID = correlation
	}
	return e
}
