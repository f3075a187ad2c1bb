// Package filter chooses entities by an expression in CEL, the Common Expression Language
// (https://cel.dev), as in
//
//	domain == "light" && state.light.on && age > duration("30m")
//
// Expressions are typed when they are compiled, cannot loop but over what is there, and are given up when they cost more
// than a bound. Whoever may read states may have one evaluated, for each entity of a house: so whatever an expression does,
// compiling it included, has to be within the bounds, of which costs.go counts what CEL does not. The names that expressions
// may use are in [Variables].
package filter

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/state"
)

const (
	// MaxExpression is the longest expression, in bytes.
	MaxExpression = 4096
	// maxDepth is how deep an expression may be nested.
	maxDepth = 50
	// maxMacros is how many macros it may have, as all and exists: each may make of a list a list of lists, and to work out the
	// types of many of these takes long.
	maxMacros = 20
	// checkEvery is after how many steps of a macro the context is looked at.
	checkEvery = 100
)

// ErrInvalid says that an expression is none, or cannot be evaluated. The message says where and why.
var ErrInvalid = fmt.Errorf("%w filter", eventstore.ErrInvalid)

// Subject is an entity in a moment, and what it is called there.
type Subject struct {
	State state.State
	// Text is the one word or number that a person would call the state.
	Text                                                        string
	Name, Area, AreaName, Device, DeviceName, Unit, DeviceClass string
	// Now is the moment.
	Now time.Time
}

// Variable is a name that an expression may use.
type Variable struct {
	Name, Type, Help string
	kind             *cel.Type
	of               func(s *Subject) any
}

// Variables are all of them.
func Variables() []Variable { return variables }

var variables = []Variable{
	{"id", "string", "id of the entity, as in light.kitchen", cel.StringType, func(s *Subject) any { return s.State.EntityID }},
	{"domain", "string", "part of the id before the dot", cel.StringType, func(s *Subject) any {
		domain, _, _ := strings.Cut(s.State.EntityID, ".")
		return domain
	}},
	{"text", "string", "the state as it is printed: on, 21.5, unavailable, …", cel.StringType, func(s *Subject) any { return s.Text }},
	{"state", "statehouse.entity.v1.Attributes", "the state by its type, as in state.light.brightness; what is not known is zero, and has() says whether it is known",
		cel.ObjectType(string((&entityv1.Attributes{}).ProtoReflect().Descriptor().FullName())),
		func(s *Subject) any {
			if s.State.Attributes == nil {
				return &entityv1.Attributes{}
			}
			return s.State.Attributes
		}},
	{"online", "bool", "false where the source says that it cannot reach the device", cel.BoolType, func(s *Subject) any {
		return s.State.Attributes.GetAvailability() != entityv1.Availability_AVAILABILITY_OFFLINE
	}},
	{"name", "string", "what a person calls the entity", cel.StringType, func(s *Subject) any { return s.Name }},
	{"area", "string", "id of its area, empty for none", cel.StringType, func(s *Subject) any { return s.Area }},
	{"area_name", "string", "name of its area", cel.StringType, func(s *Subject) any { return s.AreaName }},
	{"device", "string", "id of its device, empty for none", cel.StringType, func(s *Subject) any { return s.Device }},
	{"device_name", "string", "name of its device", cel.StringType, func(s *Subject) any { return s.DeviceName }},
	{"unit", "string", "unit of a number, as in °C", cel.StringType, func(s *Subject) any { return s.Unit }},
	{"device_class", "string", "what kind of a sensor it is, as in temperature", cel.StringType, func(s *Subject) any { return s.DeviceClass }},
	{"age", "duration", "how long the state has been what it is", cel.DurationType, func(s *Subject) any {
		return s.Now.Sub(s.State.ChangedAt)
	}},
	{"silence", "duration", "how long nothing was heard of the entity", cel.DurationType, func(s *Subject) any {
		return s.Now.Sub(s.State.UpdatedAt)
	}},
	{"changed_at", "timestamp", "when the state became what it is", cel.TimestampType, func(s *Subject) any { return s.State.ChangedAt }},
	{"updated_at", "timestamp", "when the entity was last heard of", cel.TimestampType, func(s *Subject) any { return s.State.UpdatedAt }},
	{"updated_by", "string", "from whom", cel.StringType, func(s *Subject) any { return s.State.UpdatedBy }},
	{"position", "int", "position of the last event about the entity", cel.IntType, func(s *Subject) any { return int64(s.State.Position) }},
	{"now", "timestamp", "the moment that is looked at", cel.TimestampType, func(s *Subject) any { return s.Now }},
}

var byName = func() map[string]*Variable {
	m := make(map[string]*Variable, len(variables))
	for i := range variables {
		m[variables[i].Name] = &variables[i]
	}
	return m
}()

// Filter is an expression that was compiled. It may be used by any number of goroutines.
type Filter struct {
	program cel.Program
}

// Compile compiles an expression. Errors match [ErrInvalid].
func Compile(expression string) (*Filter, error) {
	if len(expression) > MaxExpression {
		return nil, fmt.Errorf("%w: it has %d bytes, at most %d are possible", ErrInvalid, len(expression), MaxExpression)
	}
	if strings.TrimSpace(expression) == "" {
		return nil, fmt.Errorf("%w: it is empty; write an expression, as in domain == \"light\"", ErrInvalid)
	}
	env, err := environment()
	if err != nil {
		return nil, err
	}
	parsed, issues := env.Parse(expression)
	if len(issues.Errors()) > 0 { // Err would write each of them out, with all of the expression
		return nil, fmt.Errorf("%w: %w", ErrInvalid, describe(issues))
	}
	if err := refuse(parsed); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	checked, issues := env.Check(parsed)
	if len(issues.Errors()) > 0 { // Err would write each of them out, with all of the expression
		return nil, fmt.Errorf("%w: %w", ErrInvalid, describe(issues))
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("%w: it is a %s, and has to be true or false, as in domain == \"light\"", ErrInvalid, t)
	}
	program, err := plan(env, checked)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return &Filter{program}, nil
}

// describe says what is wrong with an expression, in one line: the first three things, since one slip of the pen often makes
// several.
func describe(issues *cel.Issues) error {
	var all []string
	for _, e := range issues.Errors()[:min(3, len(issues.Errors()))] {
		all = append(all, "at "+place(e.Location)+": "+plain(e.Message))
	}
	return errors.New(strings.Join(all, "; "))
}

// place says where in an expression something is.
func place(l common.Location) string {
	where := fmt.Sprintf("character %d", l.Column()+1)
	if line := l.Line(); line > 1 {
		where = fmt.Sprintf("line %d, %s", line, where)
	}
	return where
}

// plain is a message of the compiler in words that help who writes a filter.
func plain(message string) string {
	if unknown, ok := strings.CutPrefix(message, "undeclared reference to "); ok {
		name, _, _ := strings.Cut(unknown, " ")
		var names []string
		for _, v := range variables {
			names = append(names, v.Name)
		}
		return fmt.Sprintf("there is no %s; there are %s", name, strings.Join(names, ", "))
	}
	if strings.HasPrefix(message, "Syntax error: mismatched input '<EOF>'") {
		return "the expression ends where more is expected"
	}
	if mixed.MatchString(message) {
		message += "; both have to be of one type, and numbers are written as 20, 20u or 20.0"
	}
	return strings.Join(strings.Fields(message), " ")
}

// mixed is what the compiler says of numbers of two types between which there is no such operation.
var mixed = regexp.MustCompile(`no matching overload for .* applied to '\((int|uint|double), (list\()?(int|uint|double)\)?\)'$`)

// Match says whether the filter chooses an entity. An expression that cannot be evaluated for it, because it divides by zero
// or costs too much, is [ErrInvalid]; the context ends one that takes long.
func (f *Filter) Match(ctx context.Context, s *Subject) (bool, error) {
	result, _, err := f.program.ContextEval(ctx, activation{s})
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return false, fmt.Errorf("%w: of %s: %w", ErrInvalid, s.State.EntityID, err)
	}
	chosen, ok := result.Value().(bool)
	if !ok {
		return false, fmt.Errorf("%w: of %s: it is a %s", ErrInvalid, s.State.EntityID, result.Type())
	}
	return chosen, nil
}

// activation gives an expression the values of its names, of which it asks for those that it uses.
type activation struct{ s *Subject }

// ResolveName implements [cel.Activation].
func (a activation) ResolveName(name string) (any, bool) {
	v, ok := byName[name]
	if !ok {
		return nil, false
	}
	return v.of(a.s), true
}

// Parent implements [cel.Activation].
func (a activation) Parent() cel.Activation { return nil }
