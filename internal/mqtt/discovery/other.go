package discovery

import (
	"errors"
	"fmt"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// otherComponents are all others.
var otherComponents = []Component{
	sirenComponent, eventComponent, updateComponent, deviceTrackerComponent, deviceAutomationComponent, vacuumComponent,
	lawnMowerComponent, tagComponent, imageComponent, infraredComponent,
	stateless("camera", "its pictures"), stateless("notify", "what is sent to it"),
}

// ErrNoState is what the Check of a component fails with of which nothing is a state: no entity is made of it.
var ErrNoState = errors.New("it has no state")

// stateless is a component of which nothing is a state.
func stateless(name, what string) Component {
	return Component{
		Name: name, Domain: name, Stateless: true,
		Check:    func(Config) error { return fmt.Errorf("%w: of a %s nothing is kept but %s", ErrNoState, name, what) },
		Describe: func(Config, *entityv1.Entity) {},
		Inputs:   func(Config) []Input { return nil },
	}
}

// genericOf is the state of a domain that has no message of its own.
func genericOf(a *entityv1.Attributes) *entityv1.Generic {
	if a.GetGeneric() == nil {
		a.Domain = &entityv1.Attributes_Generic{Generic: &entityv1.Generic{}}
	}
	return a.GetGeneric()
}

// eventInput is the input of what only happens. Set says of which type it is, and what more there is to say.
func eventInput(sources []Source, set func(s Said) (kind string, more []*entityv1.Field, err error)) []Input {
	return inputsOf(Input{Sources: sources, Momentary: true, Set: unlessEmpty(func(a *entityv1.Attributes, s Said) error {
		kind, more, err := set(s)
		if err != nil {
			return err
		}
		at := s.At.UnixNano()
		a.Domain = &entityv1.Attributes_Event{Event: &entityv1.Event{EventType: &kind, Occurred: &at}}
		a.Extra = nil // it was the last event's
		for _, f := range more {
			dialect.SetExtra(a, f.GetName(), f.GetValue())
		}
		return nil
	})})
}

// describeEvent fills what an event can be.
func describeEvent(e *entityv1.Entity, kinds ...string) {
	e.Capabilities.Readable, e.Capabilities.Options = true, kinds
}
