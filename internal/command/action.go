package command

import (
	"slices"
	"strings"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// Kind is the type of an argument.
type Kind string

// The kinds. Those from KindXY on are lists of numbers.
const (
	KindNumber   Kind = "number"
	KindInteger  Kind = "integer"
	KindBool     Kind = "bool"
	KindText     Kind = "text"
	KindOption   Kind = "option"   // a text, one of Options where there are any
	KindDate     Kind = "date"     // a text: YYYY-MM-DD
	KindTime     Kind = "time"     // a text: HH:MM:SS
	KindDateTime Kind = "datetime" // nanoseconds since 1970-01-01 UTC; a text of RFC 3339 is taken, too
	KindTexts    Kind = "texts"    // a list
	KindAny      Kind = "any"
	KindXY       Kind = "xy"    // each 0 to 1
	KindHS       Kind = "hs"    // degrees and percent
	KindRGB      Kind = "rgb"   // each 0 to 255
	KindRGBW     Kind = "rgbw"  // each 0 to 255
	KindRGBWW    Kind = "rgbww" // each 0 to 255, cold white before warm white
)

// Argument is what an action takes.
type Argument struct {
	Name     string
	Kind     Kind
	Required bool
	// Secret says that the value must not be written anywhere.
	Secret bool
	// Minimum and Maximum are limits of a number; nil where there is none.
	Minimum, Maximum *float64
	// Step is what the source announces; nothing is refused for it.
	Step *float64
	// Unit is of a number: "%", "K", "s", "°C".
	Unit string
	// Options are what an option may be; empty where any text may.
	Options []string
	// MaxLength is the longest text in bytes.
	MaxLength int
}

// Action is something that an entity, or some entity of a domain, can be asked to do.
type Action struct {
	Domain, Name string
	Arguments    []Argument
}

// domain is what entities of a domain can be asked to do.
type domain struct {
	name string
	// base is the feature that stands for the entity's own value or state.
	base string
	// implied says that an entity has base even where other features are all that its source names.
	implied bool
	actions []action
	// words are what people say for an action, and what else it means: "home": "alarm_arm_home".
	words map[string]string
	// names are what people may call an argument besides its name.
	names map[string]string
	// bare gives a value that stands alone the name of its argument, "" where it can be none.
	bare func(word string) string
	// whole says that words that stand alone are one value together.
	whole bool
	// inputs are arguments that become others.
	inputs map[string]input
}

// action is an action as its domain has it.
type action struct {
	name   string
	params []param
	// needs are features one of which the entity must have; none means the domain's base.
	needs []string
	// sets are what the state says afterwards, whatever the arguments are.
	sets    []fact
	timeout time.Duration
	// resolve makes something that depends on the present state into something that does not. It may change the action
	// and the arguments, which are checked again then.
	resolve func(*checking) error
}

// param is an argument as its domain has it.
type param struct {
	name string
	kind Kind
	// features are those that carry it, the first that the entity has; none means that whoever can do the action takes it.
	features []string
	// field is where the state answers it; empty where it does not.
	field    string
	min, max *float64
	// limits says that the feature's limits are in the argument's unit.
	limits           bool
	unit             string
	required, secret bool
	// options are those that hold where the entity lists none.
	options []string
	length  int
}

// fact is a field of the typed attributes, and its value: an enum's is its word.
type fact struct {
	field string
	value *entityv1.Value
}

// input is an argument that becomes others.
type input struct {
	kind    Kind
	convert func(v *entityv1.Value) ([]*entityv1.Field, error)
}

func (d *domain) action(name string) *action {
	i := slices.IndexFunc(d.actions, func(a action) bool { return a.name == name })
	if i < 0 {
		return nil
	}
	return &d.actions[i]
}

func (a *action) param(name string) *param {
	i := slices.IndexFunc(a.params, func(p param) bool { return p.name == name })
	if i < 0 {
		return nil
	}
	return &a.params[i]
}

// param is the argument of that name in the first action that takes it.
func (d *domain) param(name string) *param {
	for i := range d.actions {
		if p := d.actions[i].param(name); p != nil {
			return p
		}
	}
	return nil
}

// domainOf is the domain of an entity's id, and what can be asked of it: nil, if nothing.
func domainOf(id string) (string, *domain) {
	name, _, _ := strings.Cut(id, ".")
	return name, domains[name]
}

// reporters are the domains of which nothing can be asked.
var reporters = []string{"sensor", "binary_sensor", "event", "device_tracker", "person", "weather"}

// refused is the error of a domain of which nothing can be asked.
func refused(domain string) error {
	if slices.Contains(reporters, domain) {
		return unsupported("entities of the domain %s only report; nothing can be asked of them", domain)
	}
	return unsupported("nothing is known that could be asked of the domain %s; there are: %s", shown(domain), strings.Join(domainNames, ", "))
}

// Domains lists all actions of all domains, sorted by domain.
func Domains() []Action {
	var all []Action
	for _, name := range domainNames {
		d := domains[name]
		for i := range d.actions {
			a := Action{Domain: name, Name: d.actions[i].name}
			for j := range d.actions[i].params {
				a.Arguments = append(a.Arguments, d.actions[i].params[j].argument())
			}
			all = append(all, a)
		}
	}
	return all
}

// Actions lists what an entity can be asked to do, with the arguments that it takes, within its own limits. It is empty
// where nothing can be asked of it.
func Actions(e *entityv1.Entity) []Action {
	_, d := domainOf(e.GetId())
	if d == nil || e.GetDisabled() {
		return nil
	}
	t := thing{e, d}
	var all []Action
	for i := range d.actions {
		own := &d.actions[i]
		if t.can(own) != nil {
			continue
		}
		a := Action{Domain: d.name, Name: own.name}
		for j := range own.params {
			if p := &own.params[j]; t.takes(p) {
				a.Arguments = append(a.Arguments, t.argument(p))
			}
		}
		all = append(all, a)
	}
	return all
}
