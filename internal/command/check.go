package command

import (
	"math"
	"slices"
	"strings"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// checking is a request that is being checked. Nothing that it was made of is modified.
type checking struct {
	thing
	now    *entityv1.Attributes
	action *action
	args   map[string]*entityv1.Value
	secret map[string]string
}

// Check says whether an entity can do what is asked, now, and normalises it. Now are the entity's present attributes,
// nil if none are known; only what depends on them (a toggle, a step) needs them. Errors match [ErrInvalid] or
// [ErrUnsupported]. What it gives, asked for again, gives the same.
func Check(r Request, e *entityv1.Entity, now *entityv1.Attributes) (Checked, error) {
	if r.Entity != e.GetId() {
		return Checked{}, invalid("%s is not the entity %s", shown(e.GetId()), shown(r.Entity))
	}
	name, d := domainOf(r.Entity)
	if d == nil {
		return Checked{}, refused(name)
	}
	if e.GetDisabled() {
		return Checked{}, unsupported("%s is disabled and would not be heard of; enable it first", r.Entity)
	}
	c := &checking{thing: thing{e, d}, now: now}
	if err := c.choose(r.Action); err != nil {
		return Checked{}, err
	}
	if err := c.gather(r.Arguments); err != nil {
		return Checked{}, err
	}
	if err := c.settle(); err != nil {
		return Checked{}, err
	}
	return c.checked(), nil
}

// choose finds the action.
func (c *checking) choose(name string) error {
	a := c.domain.action(name)
	if word, ok := c.domain.words[name]; ok && a == nil {
		a = c.domain.action(word)
	}
	if a == nil {
		all := c.possible()
		if len(all) == 0 { // say why rather than list nothing
			return c.can(&c.domain.actions[0])
		}
		return invalid("%s is nothing that a %s does; %s", shown(name), c.domain.name, suggest(name, all))
	}
	if err := c.can(a); err != nil {
		return err
	}
	c.action = a
	return nil
}

// possible are the names of all actions that the entity can do.
func (c *checking) possible() []string {
	var all []string
	for i := range c.domain.actions {
		if a := &c.domain.actions[i]; c.can(a) == nil {
			all = append(all, a.name)
		}
	}
	return all
}

// become makes it another action, which the entity must be able to do as well.
func (c *checking) become(name string) error {
	c.action = c.domain.action(name)
	return c.can(c.action)
}

// keep drops all arguments but these.
func (c *checking) keep(names ...string) {
	for name := range c.args {
		if !slices.Contains(names, name) {
			delete(c.args, name)
		}
	}
}

// gather takes the arguments in, each once.
func (c *checking) gather(fields []*entityv1.Field) error {
	if len(fields) > MaxArguments {
		return invalid("%d arguments; no action takes more than %d", len(fields), MaxArguments)
	}
	c.args = make(map[string]*entityv1.Value, len(fields))
	for _, f := range fields {
		if _, twice := c.args[f.GetName()]; twice {
			return invalid("%s is given twice", shown(f.GetName()))
		}
		c.args[f.GetName()] = f.GetValue()
	}
	return nil
}

// settle checks the arguments, and again what the present state made of them.
func (c *checking) settle() error {
	if err := c.convert(); err != nil {
		return err
	}
	for range 3 { // a toggle becomes turn_on, and that set_hvac_mode
		before := c.action
		if before.resolve != nil {
			if err := before.resolve(c); err != nil {
				return err
			}
		}
		if err := c.convert(); err != nil {
			return err
		}
		if c.action == before {
			break
		}
	}
	return nil
}

// convert brings every argument into its one spelling.
func (c *checking) convert() error {
	names := make([]string, 0, len(c.args))
	for name := range c.args {
		names = append(names, name)
	}
	slices.Sort(names) // so that of several errors it is always the same one
	for _, name := range names {
		p := c.action.param(name)
		switch {
		case p == nil:
			return invalid("%s takes no %s; %s", c.action.name, shown(name), suggest(name, c.arguments()))
		case !c.takes(p):
			return unsupported("%s has no %s that can be set; %s takes: %s", c.GetId(), name, c.action.name, listed(c.arguments()))
		}
		if err := c.convertOne(p); err != nil {
			return err
		}
	}
	for i := range c.action.params {
		p := &c.action.params[i]
		_, secretly := c.secret[p.name]
		if _, given := c.args[p.name]; p.required && !given && !secretly {
			return invalid("%s needs %s", c.action.name, p.name)
		}
	}
	return nil
}

func (c *checking) convertOne(p *param) error {
	a := c.argument(p)
	if n, ok := numberOf(c.args[p.name]); ok && n == 0 && p.field == argBrightness {
		a.Minimum = nil // which is off, and so below what it can be dimmed to
	}
	v, err := convert(a, c.args[p.name])
	if err != nil {
		return err
	}
	if p.secret {
		secret, _ := textOf(v)
		c.secret = map[string]string{p.name: secret}
		delete(c.args, p.name)
		return nil
	}
	if f, ok := c.writable(p.features...); ok {
		v = fit(p, f, v)
	}
	c.args[p.name] = v
	return nil
}

// arguments are the names of those that the entity takes with the action.
func (c *checking) arguments() []string {
	var names []string
	for i := range c.action.params {
		if p := &c.action.params[i]; c.takes(p) {
			names = append(names, p.name)
		}
	}
	return names
}

// fit puts a value on a scale of the source that is coarser than ours, so that it comes back as it was asked for.
func fit(p *param, f *entityv1.Feature, v *entityv1.Value) *entityv1.Value {
	n, ok := numberOf(v)
	switch {
	case !ok || n == 0:
		return v
	case p.name == argPercentage:
		return number(speed(f, n))
	case (p.name == argBrightness || p.name == argWhite) && scale(f) < 254:
		full := scale(f)
		return number(math.Round(max(1, math.Round(n*full/255)) * 255 / full))
	default:
		return v
	}
}

// Speeds is how many speeds a fan has, by its feature percentage; zero if it has no coarser scale than percent.
func Speeds(f *entityv1.Feature) float64 {
	n := float64(len(f.GetOptions()))
	if n == 0 && finite(f.Minimum) && finite(f.Maximum) {
		n = math.Floor(f.GetMaximum() - f.GetMinimum() + 1)
	}
	if n < 1 || n >= 100 {
		return 0
	}
	return n
}

// speed is the percentage of the slowest of a fan's speeds that is not below n, which is more than zero.
func speed(f *entityv1.Feature, n float64) float64 {
	all := Speeds(f)
	if all == 0 {
		return n
	}
	return math.Floor(100 * math.Ceil(n*all/100) / all)
}

// checked is what came of it.
func (c *checking) checked() Checked {
	done := Checked{Domain: c.domain.name, Action: c.action.name, Secret: c.secret, Timeout: c.action.timeout}
	for name, v := range c.args {
		done.Arguments = append(done.Arguments, field(name, v))
	}
	slices.SortFunc(done.Arguments, func(a, b *entityv1.Field) int { return strings.Compare(a.GetName(), b.GetName()) })
	if seconds, ok := numberOf(c.args[argTransition]); ok {
		done.Timeout += time.Duration(seconds * float64(time.Second))
	}
	done.Expected, done.Assumed = c.outcome()
	return done
}
