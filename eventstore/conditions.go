package eventstore

import "fmt"

// Condition is something that must hold of the log when the turn of a batch has come: that what its caller looked at is
// still as it was. [EntityAt] and [LogAt] make them; the zero Condition is refused.
//
// The writer checks conditions in the transaction that the batch would be part of, against everything before it, be it
// committed or not yet: of two batches with the same condition that both would end it, one is added.
type Condition struct {
	of     conditionOf
	entity string
	at     Position
}

type conditionOf byte

const (
	ofEntity conditionOf = 1 + iota
	ofLog
)

// EntityAt is the condition that the last event about an entity, of any kind, is the one at a position; 0 that it is
// absent or unregistered. It is the position in an entity's state, and needs a projector that is [EntityPositions].
func EntityAt(entity string, at Position) Condition { return Condition{ofEntity, entity, at} }

// LogAt is the condition that the log ends at a position; 0 that it is empty.
func LogAt(at Position) Condition { return Condition{of: ofLog, at: at} }

// Entity is the entity that the condition is about, empty where it is about the log.
func (c Condition) Entity() string { return c.entity }

// Position is the position at which the entity, or the log, must be.
func (c Condition) Position() Position { return c.at }

// String says what must hold.
func (c Condition) String() string { return fmt.Sprintf("%s is at position %d", c.subject(), c.at) }

func (c Condition) subject() string {
	switch c.of {
	case ofEntity:
		return c.entity
	case ofLog:
		return "the log"
	default:
		return "nothing"
	}
}

// ConflictError says which condition of a batch did not hold. It matches [ErrConflict].
type ConflictError struct {
	// Condition is the first one, in the order of the batch, that did not hold.
	Condition Condition
	// Found is where the entity, or the log, is instead, 0 for an entity that is absent or unregistered.
	Found Position
}

// Error says what was found.
func (e *ConflictError) Error() string {
	found := fmt.Sprintf("at position %d", e.Found)
	if e.Found == 0 {
		if found = "absent"; e.Condition.of == ofLog {
			found = "empty"
		}
	}
	return fmt.Sprintf("%v: %s is %s, and the condition is that it is at position %d",
		ErrConflict, e.Condition.subject(), found, e.Condition.at)
}

// Is says that the error is [ErrConflict].
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// checkConditions says what makes no sense, whatever is in the log.
func checkConditions(conditions []Condition) error {
	if len(conditions) > MaxBatchEvents {
		return fmt.Errorf("%w: the batch has %d conditions, at most %d are allowed", ErrTooLarge, len(conditions), MaxBatchEvents)
	}
	for i := range conditions {
		c := &conditions[i]
		if c.of == 0 {
			return fmt.Errorf("%w: condition %d of the batch is the zero Condition; EntityAt and LogAt make them", ErrInvalid, i+1)
		}
		if c.at > MaxPosition {
			return fmt.Errorf("%w: condition %d of the batch: position %d is beyond the highest possible one", ErrInvalid, i+1, c.at)
		}
		if c.of == ofEntity {
			if err := CheckEntityID(c.entity); err != nil {
				return fmt.Errorf("condition %d of the batch: %w", i+1, err)
			}
		}
	}
	return nil
}

// check returns the first condition that does not hold of what is pending.
func (g *grouping) check(conditions []Condition) error {
	for i := range conditions {
		c := &conditions[i]
		found := g.head.position
		if c.of == ofEntity {
			entities := g.w.s.projectors.entities()
			if entities == nil {
				return fmt.Errorf("%w: no projector of this log knows the positions of entities, as condition %d of the batch needs",
					ErrInvalid, i+1)
			}
			found = entities.PendingEntityPosition(c.entity)
		}
		if found != c.at {
			return &ConflictError{Condition: *c, Found: found}
		}
	}
	return nil
}
