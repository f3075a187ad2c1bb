package registry

import (
	"slices"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// PendingCommands are the commands to an entity that wait for their answers, in the order of their positions. They must
// not be modified.
func (r Revision) PendingCommands(id string) []*entityv1.PendingCommand {
	p, _ := r.Pending.Get(id)
	return p.GetCommands()
}

// issued adds a command to those that wait.
func (r *Revision) issued(e eventstore.Event, c *eventv1.CommandIssued) {
	r.setPending(e.Entity, append(slices.Clone(r.PendingCommands(e.Entity)), &entityv1.PendingCommand{
		Position: uint64(e.Position), Action: c.GetAction(), Arguments: c.GetArguments(), Issued: e.Timestamp.UnixNano(),
		Deadline: c.GetDeadline(), Expected: c.GetExpected(), Source: e.Source, CorrelationId: e.CorrelationID,
	}))
}

// settled takes a command from those that wait; what is not among them needs no answer.
func (r *Revision) settled(id string, c *eventv1.CommandSettled) {
	before := r.PendingCommands(id)
	i := slices.IndexFunc(before, func(p *entityv1.PendingCommand) bool { return p.GetPosition() == c.GetCommand() })
	if i >= 0 {
		r.setPending(id, slices.Delete(slices.Clone(before), i, i+1))
	}
}

func (r *Revision) setPending(id string, commands []*entityv1.PendingCommand) {
	if len(commands) == 0 {
		r.Pending = r.Pending.Delete(id)
		return
	}
	r.Pending = r.Pending.Set(id, &entityv1.PendingCommands{Id: id, Commands: commands})
}
