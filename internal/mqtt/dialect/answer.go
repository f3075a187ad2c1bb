package dialect

import (
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/command"
)

// answers says that a state answers a command that waits for one.
func answers(waiting []*entityv1.PendingCommand, a *entityv1.Attributes) bool {
	for _, c := range waiting {
		if c.GetExpected() != nil && command.Answers(c.GetExpected(), a) {
			return true
		}
	}
	return false
}

// notBefore is at or, where the state answers a command that was given later, when that was given: a report may be of the time
// at which the device was last heard of, and no effect comes before its cause.
func notBefore(waiting []*entityv1.PendingCommand, a *entityv1.Attributes, at time.Time) time.Time {
	for _, c := range waiting {
		if issued := time.Unix(0, c.GetIssued()).UTC(); issued.After(at) && c.GetExpected() != nil && command.Answers(c.GetExpected(), a) {
			at = issued
		}
	}
	return at
}

// settle makes the batch's last event, which says that an entity's state is a, the effect of the commands that it answers,
// and appends that they are confirmed. Of several commands that one state answers, the last one is its cause.
func (b *Batch) settle(id string, waiting []*entityv1.PendingCommand, a *entityv1.Attributes, at time.Time) {
	answer := len(b.Events) - 1
	for _, c := range waiting {
		if c.GetExpected() == nil || !command.Answers(c.GetExpected(), a) {
			continue
		}
		b.Events[answer].CausePosition = eventstore.Position(c.GetPosition())
		b.Events[answer].CorrelationID = Correlation(c)
		b.Add(eventstore.Event{
			Timestamp: at, Entity: id, CorrelationID: Correlation(c),
			CausePosition: b.Pending.Position() + eventstore.Position(answer) + 1,
			Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandSettled{CommandSettled: &eventv1.CommandSettled{
				Command: c.GetPosition(), Outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED,
			}}},
		})
	}
}

// abandon appends that the commands to an entity that leaves have failed.
func (b *Batch) abandon(id string) {
	for _, c := range b.Pending.PendingCommands(id) {
		b.Add(eventstore.Event{
			Entity: id, CorrelationID: Correlation(c), CausePosition: eventstore.Position(c.GetPosition()),
			Payload: &eventv1.Payload{Kind: &eventv1.Payload_CommandSettled{CommandSettled: &eventv1.CommandSettled{
				Command: c.GetPosition(), Outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_FAILED, Reason: "the entity was removed",
			}}},
		})
	}
}

// Correlation is that of a command, empty where the store made it.
func Correlation(c *entityv1.PendingCommand) string {
	if strings.HasPrefix(c.GetCorrelationId(), "@") {
		return ""
	}
	return c.GetCorrelationId()
}
