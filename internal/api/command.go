package api

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// Pending is a command to an entity that waits for its answer.
type Pending struct {
	// Position is that of the command_issued.
	Position eventstore.Position `json:"position"`
	Action   string              `json:"action"`
	// Arguments are the values by their names, left out where there are none.
	Arguments json.RawMessage `json:"arguments,omitempty"`
	IssuedAt  time.Time       `json:"issued_at"`
	// Deadline is when the command will have timed out.
	Deadline time.Time `json:"deadline"`
	// Source says who gave it.
	Source string `json:"source"`
}

// PendingOf are the commands to an entity that wait in a moment, up to the position of its state: where names and the like
// are of a later moment than the state, a command that was given in between is not told before its time.
func PendingOf(m timeline.Moment, s state.State) []*entityv1.PendingCommand {
	all := m.Registry.PendingCommands(s.EntityID)
	for i, c := range all {
		if c.GetPosition() > uint64(s.Position) {
			return all[:i]
		}
	}
	return all
}

// NewPending are commands that wait, as they go over the wire.
func NewPending(all []*entityv1.PendingCommand) []Pending {
	var pending []Pending
	for _, c := range all {
		pending = append(pending, Pending{
			Position: eventstore.Position(c.GetPosition()), Action: c.GetAction(), Arguments: ArgumentsJSON(c.GetArguments()),
			IssuedAt: time.Unix(0, c.GetIssued()).UTC(), Deadline: time.Unix(0, c.GetDeadline()).UTC(), Source: c.GetSource(),
		})
	}
	return pending
}

// samePending says that the same commands wait in two versions of an entity.
func samePending(a, b []Pending) bool {
	return slices.EqualFunc(a, b, func(x, y Pending) bool { return x.Position == y.Position })
}

// ArgumentsJSON are the arguments of a command as one object, nil where there are none.
func ArgumentsJSON(arguments []*entityv1.Field) json.RawMessage {
	if len(arguments) == 0 {
		return nil
	}
	return state.AppendJSON(nil, &entityv1.Value{Kind: &entityv1.Value_StructValue{
		StructValue: &entityv1.StructValue{Fields: arguments},
	}})
}

// issuedJSON is what a command_issued says.
func issuedJSON(c *eventv1.CommandIssued) ([]byte, error) {
	w := struct {
		Action    string          `json:"action"`
		Arguments json.RawMessage `json:"arguments,omitempty"`
		Deadline  time.Time       `json:"deadline"`
		Expected  json.RawMessage `json:"expected,omitempty"`
	}{c.GetAction(), ArgumentsJSON(c.GetArguments()), time.Unix(0, c.GetDeadline()).UTC(), nil}
	var err error
	if c.GetExpected() != nil {
		if w.Expected, err = state.JSON(c.GetExpected()); err != nil {
			return nil, err
		}
	}
	return json.Marshal(w)
}

// Command is what an entity shall do.
type Command struct {
	Action string `json:"action"`
	// Arguments are the values by their names.
	Arguments map[string]json.RawMessage `json:"arguments,omitempty"`
	// Timeout is how long the command waits for its answer, in seconds; 0 means what the entity usually takes.
	Timeout float64 `json:"timeout,omitempty"`
	// Wait has the answer come when the command is settled, and not when it is sent.
	Wait bool `json:"wait,omitempty"`
	// CausePosition is that of the event because of which the command is given.
	CausePosition eventstore.Position `json:"cause_position,omitempty"`
	CorrelationID string              `json:"correlation_id,omitempty"`
}

// Request is what an entity is asked for. Errors match [command.ErrInvalid].
func (c Command) Request(entity string) (command.Request, error) {
	r := command.Request{Entity: entity, Action: c.Action}
	if len(c.Arguments) > command.MaxArguments {
		return r, fmt.Errorf("%w: %d arguments are more than the %d of any action", command.ErrInvalid, len(c.Arguments), command.MaxArguments)
	}
	for name, text := range c.Arguments {
		v, err := state.ValueFromJSON(text)
		if err != nil { // its text, which may be a code, stays out
			return r, fmt.Errorf("%w: the argument %.64q cannot be read", command.ErrInvalid, name)
		}
		r.Arguments = append(r.Arguments, &entityv1.Field{Name: name, Value: v})
	}
	return r, nil
}

// TimeoutDuration is the timeout as a duration; what is none is an error of [command.ErrInvalid].
func (c Command) TimeoutDuration() (time.Duration, error) {
	if !(c.Timeout >= 0 && c.Timeout <= math.MaxInt32) {
		return 0, fmt.Errorf("%w: timeout is a number of seconds, up to an hour", command.ErrInvalid)
	}
	return time.Duration(c.Timeout * float64(time.Second)), nil
}

// CommandResult is what became of a command so far.
type CommandResult struct {
	EntityID string `json:"entity_id"`
	// Position is that of the command_issued.
	Position eventstore.Position `json:"position"`
	// Deadline is when the command will have timed out.
	Deadline time.Time `json:"deadline"`
	// SettledPosition is that of the command_settled, 0 while the command waits for its answer.
	SettledPosition eventstore.Position `json:"settled_position,omitempty"`
	// Outcome is empty while it waits.
	Outcome Outcome `json:"outcome,omitempty"`
	// Reason says why it failed.
	Reason string `json:"reason,omitempty"`
}

// Outcome is what became of a command.
type Outcome string

// The outcomes.
const (
	OutcomeConfirmed  Outcome = "confirmed"  // the state answered or, where none does, the broker took it
	OutcomeFailed     Outcome = "failed"     // it could not be sent
	OutcomeSuperseded Outcome = "superseded" // a later command asked for something else before it was answered
	OutcomeTimedOut   Outcome = "timed_out"  // nothing answered before the deadline
)

// OutcomeOf is an outcome as it is written, empty where there is none.
func OutcomeOf(o eventv1.CommandOutcome) Outcome {
	if o == eventv1.CommandOutcome_COMMAND_OUTCOME_UNSPECIFIED {
		return ""
	}
	return Outcome(strings.ToLower(strings.TrimPrefix(o.String(), "COMMAND_OUTCOME_")))
}

// Actions are what an entity can be asked to do.
type Actions struct {
	EntityID string   `json:"entity_id"`
	Actions  []Action `json:"actions"`
}

// Action is something that an entity can be asked to do.
type Action struct {
	Name      string     `json:"name"`
	Arguments []Argument `json:"arguments,omitempty"`
}

// Argument is how it can be done.
type Argument struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Unit     string   `json:"unit,omitempty"`
	Minimum  *float64 `json:"minimum,omitempty"`
	Maximum  *float64 `json:"maximum,omitempty"`
	Step     *float64 `json:"step,omitempty"`
	Options  []string `json:"options,omitempty"`
	Required bool     `json:"required,omitempty"`
}

// NewActions are what an entity of the present can be asked to do, sorted by name. It fails with [statehouse.ErrNotFound]
// where none of that id is registered.
func NewActions(m timeline.Moment, id string) (Actions, error) {
	e, ok := m.Registry.Entity(id)
	if !ok {
		return Actions{}, notFoundf("there is no entity %s that could be asked for anything", id)
	}
	w := Actions{EntityID: id, Actions: []Action{}}
	for _, a := range command.Actions(e) {
		action := Action{Name: a.Name}
		for _, p := range a.Arguments {
			action.Arguments = append(action.Arguments, Argument{
				Name: p.Name, Kind: string(p.Kind), Unit: p.Unit, Minimum: p.Minimum, Maximum: p.Maximum, Step: p.Step,
				Options: p.Options, Required: p.Required,
			})
		}
		w.Actions = append(w.Actions, action)
	}
	slices.SortFunc(w.Actions, func(a, b Action) int { return strings.Compare(a.Name, b.Name) })
	return w, nil
}
