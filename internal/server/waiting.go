package server

import (
	"slices"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/registry"
)

// waiting are the commands that wait for their answers inside a span of a walk, worked out from the moment before it as the
// registry does: the moment at its end has no command that was given and settled in between.
type waiting struct {
	before  registry.Revision
	between map[string][]*entityv1.PendingCommand // what differs from before
}

func newWaiting(before registry.Revision) *waiting {
	return &waiting{before, map[string][]*entityv1.PendingCommand{}}
}

// of are the commands to an entity after the events that were folded. They must not be modified.
func (w *waiting) of(id string) []*entityv1.PendingCommand {
	if commands, ok := w.between[id]; ok {
		return commands
	}
	return w.before.PendingCommands(id)
}

// fold takes the next event.
func (w *waiting) fold(e eventstore.Event) {
	switch p := e.Payload.GetKind().(type) {
	case *eventv1.Payload_CommandIssued:
		c := p.CommandIssued
		w.between[e.Entity] = append(slices.Clone(w.of(e.Entity)), &entityv1.PendingCommand{
			Position: uint64(e.Position), Action: c.GetAction(), Arguments: c.GetArguments(), Issued: e.Timestamp.UnixNano(),
			Deadline: c.GetDeadline(), Source: e.Source,
		})
	case *eventv1.Payload_CommandSettled:
		w.between[e.Entity] = slices.DeleteFunc(slices.Clone(w.of(e.Entity)), func(c *entityv1.PendingCommand) bool {
			return c.GetPosition() == p.CommandSettled.GetCommand()
		})
	case *eventv1.Payload_EntityUnregistered:
		w.between[e.Entity] = nil
	case *eventv1.Payload_EntityRenamed:
		commands := w.of(e.Entity)
		w.between[e.Entity] = nil
		w.between[p.EntityRenamed.GetNewId()] = commands
	}
}
