package command

import (
	"math"
	"slices"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// thing is an entity with what its domain can be asked.
type thing struct {
	*entityv1.Entity
	domain *domain
}

// feature is what the entity has under the first of the names that it has.
func (t thing) feature(names ...string) (*entityv1.Feature, bool) {
	c := t.GetCapabilities()
	for _, name := range names {
		for _, f := range c.GetFeatureDetails() {
			if f.GetName() == name {
				return f, true
			}
		}
		if slices.Contains(c.GetFeatures(), name) {
			return &entityv1.Feature{Name: name, Readable: c.GetReadable(), Writable: c.GetWritable()}, true
		}
		none := len(c.GetFeatures()) == 0 && len(c.GetFeatureDetails()) == 0
		if name == t.domain.base && c != nil && (none || t.domain.implied) {
			return &entityv1.Feature{
				Name: name, Unit: t.GetUnit(), Readable: c.GetReadable(), Writable: c.GetWritable(),
				Minimum: c.Minimum, Maximum: c.Maximum, Step: c.Step, Options: c.GetOptions(),
			}, true
		}
	}
	return nil, false
}

// writable is the first of the features that can be set.
func (t thing) writable(names ...string) (*entityv1.Feature, bool) {
	for _, name := range names {
		if f, ok := t.feature(name); ok && f.GetWritable() {
			return f, true
		}
	}
	return nil, false
}

// can is nil if the entity can do an action, and otherwise why not.
func (t thing) can(a *action) error {
	needs := a.needs
	if len(needs) == 0 {
		needs = []string{t.domain.base}
	}
	f, ok := t.writable(needs...)
	switch {
	case ok && strings.HasPrefix(a.name, "stop_") && !t.stops(f):
		return unsupported("%s cannot be stopped on its way", t.GetId())
	case ok:
		return nil
	}
	if _, has := t.feature(needs...); has {
		return unsupported("%s can only be read: its source takes no %s", t.GetId(), listed(needs))
	}
	return unsupported("%s has no %s, which %s needs", t.GetId(), listed(needs), a.name)
}

// stops says that a cover takes a word for stopping. A list with the word CLOSE is one of words that are taken; others
// are lists of states.
func (thing) stops(f *entityv1.Feature) bool {
	has := func(word string) bool {
		return slices.ContainsFunc(f.GetOptions(), func(o string) bool { return strings.EqualFold(o, word) })
	}
	return !has("close") || has("stop")
}

// takes says that the entity takes an argument of an action that it can do.
func (t thing) takes(p *param) bool {
	if len(p.features) == 0 {
		return true
	}
	_, ok := t.writable(p.features...)
	return ok
}

// argument is the argument as the domain has it.
func (p *param) argument() Argument {
	a := Argument{
		Name: p.name, Kind: p.kind, Required: p.required, Secret: p.secret, Unit: p.unit, Options: slices.Clone(p.options),
		Minimum: copied(p.min), Maximum: copied(p.max),
	}
	if p.kind == KindText || p.kind == KindOption {
		a.MaxLength = MaxText
		if p.length > 0 {
			a.MaxLength = p.length
		}
	}
	return a
}

func copied(n *float64) *float64 {
	if n == nil {
		return nil
	}
	m := *n
	return &m
}

// argument is the argument within the entity's own limits.
func (t thing) argument(p *param) Argument {
	a := p.argument()
	if a.Unit == unitTemperature && t.GetUnit() == "°F" {
		a.Unit = "°F"
		low, high := *a.Minimum*9/5+32, *a.Maximum*9/5+32
		a.Minimum, a.Maximum = &low, &high
	}
	f, ok := t.writable(p.features...)
	if !ok {
		return a
	}
	switch {
	case p.name == argBrightness || p.name == argWhite:
		if low, ok := dimmest(f); ok {
			a.Minimum = &low
		}
	case p.name == argKelvin:
		a.Minimum, a.Maximum = kelvinLimits(f, a.Minimum, a.Maximum)
	case p.kind == KindText && f.Maximum != nil && p.name == argValue:
		if n := f.GetMaximum(); n >= 0 && n == math.Trunc(n) {
			a.MaxLength = int(min(n, maxLongText))
		}
	case p.limits:
		ownLimits(&a, f)
		if a.Unit == "" {
			a.Unit = f.GetUnit()
		}
	}
	if p.kind == KindOption {
		a.Options = options(f, p)
	}
	return a
}

// options are what the entity lists, or else what the domain does. A feature that is no text, such as a level behind
// volume_level, has its list for the renderer.
func options(f *entityv1.Feature, p *param) []string {
	if len(f.GetOptions()) > 0 {
		return slices.Clone(f.GetOptions())
	}
	return slices.Clone(p.options)
}

// ownLimits are the limits of a feature in the argument's unit. Limits that no number meets are none.
func ownLimits(a *Argument, f *entityv1.Feature) {
	low, high := a.Minimum, a.Maximum
	if finite(f.Minimum) {
		low = copied(f.Minimum)
	}
	if finite(f.Maximum) {
		high = copied(f.Maximum)
	}
	if low == nil || high == nil || *low <= *high {
		a.Minimum, a.Maximum = low, high
	}
	if finite(f.Step) && f.GetStep() > 0 {
		a.Step = copied(f.Step)
	}
}

func finite(n *float64) bool { return n != nil && !math.IsNaN(*n) && !math.IsInf(*n, 0) }

// scale is where the source's scale of a brightness ends, and our own end where it does not say.
func scale(f *entityv1.Feature) float64 {
	if finite(f.Maximum) && f.GetMaximum() >= 1 {
		return math.Floor(f.GetMaximum())
	}
	return 255
}

// dimmest is the least brightness other than off that the source takes, as one of ours.
func dimmest(f *entityv1.Feature) (float64, bool) {
	if !finite(f.Minimum) || f.GetMinimum() <= 1 || f.GetMinimum() > scale(f) {
		return 0, false
	}
	return math.Ceil((math.Ceil(f.GetMinimum()) - 0.5) * 255 / scale(f)), true // what rounds to it
}

// inMired says that a feature's limits are in mired: it says so, or no lamp is that cold in kelvin.
func inMired(f *entityv1.Feature) bool {
	switch strings.ToLower(f.GetUnit()) {
	case "mired", "mireds":
		return true
	case "k", "kelvin":
		return false
	default:
		return finite(f.Maximum) && f.GetMaximum() < 1000
	}
}

// kelvinLimits are the limits of a color temperature in kelvin. A light that shows it with its colors has none.
func kelvinLimits(f *entityv1.Feature, low, high *float64) (lowest, highest *float64) {
	if !slices.Contains(kelvinFeatures, f.GetName()) {
		return low, high
	}
	least, most := f.Minimum, f.Maximum
	if inMired(f) {
		least, most = reciprocal(f.Maximum), reciprocal(f.Minimum)
	}
	if finite(least) {
		low = copied(least)
	}
	if finite(most) {
		high = copied(most)
	}
	return low, high
}

// reciprocal turns mired into kelvin and back.
func reciprocal(n *float64) *float64 {
	if !finite(n) || *n < 1 {
		return nil
	}
	r := math.Round(1e6 / *n)
	return &r
}
