package template

import (
	"fmt"
	"strings"

	"github.com/statehouse/statehouse/internal/regex"
)

const (
	// maxSteps is the work of one run. It is about a tenth of a second; the longest of Zigbee2MQTT's 4,637 templates takes 12,000.
	maxSteps = 1_000_000
	// maxOutput is the output of one run, as in Home Assistant.
	maxOutput = 256 << 10
	// maxString is any string or bytes that a template makes on the way.
	maxString = 1 << 20
	// maxItems is any list or dict that a template makes on the way, and what Jinja's sandbox allows range().
	maxItems = 100_000
	// maxDepth is how deep values may be nested where they are walked, and macros may call each other.
	maxDepth = 100
	// stepBytes is how many bytes are made for one step.
	stepBytes = 16
)

// run is one rendering.
type run struct {
	env     *Env
	payload *Payload // nil for a command
	lib     *lib
	steps   int
	depth   int
	out     *strings.Builder
	written int // bytes in all outputs, captured ones too
	scope   *scope
	loop    *loopState
	regexps map[regexpKey]*regex.Regex
}

// scope holds the variables of one block. A loop has a new one each time around, an if has none, as in Jinja.
type scope struct {
	names  map[string]any
	parent *scope
}

func newRun(env *Env, p *Payload, vars map[string]any) *run {
	r := &run{env: env, payload: p, lib: library(), out: new(strings.Builder)}
	r.scope = &scope{}
	if len(vars) > 0 {
		r.scope.names = make(map[string]any, len(vars))
		for name, v := range vars {
			r.scope.names[name] = fromGo(v)
		}
	}
	if p != nil {
		r.set("value", p.value())
	}
	r.push()
	return r
}

// step pays for n steps.
func (r *run) step(n int) error {
	if n < 0 || n > r.lib.maxSteps || r.steps+n > r.lib.maxSteps {
		r.steps = r.lib.maxSteps
		return fmt.Errorf("%w: more than %d steps", ErrTooLong, r.lib.maxSteps)
	}
	r.steps += n
	return nil
}

// steps64 pays for n steps, which may be more than an int has.
func (r *run) steps64(n int64) error { return r.step(int(min(n, maxSteps+1))) }

// text pays for a string of n bytes that is about to be made.
func (r *run) text(n int) error {
	if n > maxString || n < 0 {
		return fmt.Errorf("%w: a string of %d bytes; at most %d may be made", ErrTooLarge, n, maxString)
	}
	return r.step(1 + n/stepBytes)
}

// items pays for a list or dict of n items that is about to be made.
func (r *run) items(n int) error {
	if n > maxItems || n < 0 {
		return fmt.Errorf("%w: a list of %d items; at most %d may be made", ErrTooLarge, n, maxItems)
	}
	return r.step(1 + n)
}

// product is a times b, neither below 0, or beyond every bound where that is more than an int of 32 bits has.
func product(a, b int) int { return int(min(int64(a)*int64(b), 1<<30)) }

// deeper enters one level of nesting; r.depth-- leaves it.
func (r *run) deeper() error {
	if r.depth++; r.depth > maxDepth {
		r.depth--
		return fmt.Errorf("%w: nested more than %d deep", ErrTooLong, maxDepth)
	}
	return nil
}

func (r *run) push() { r.scope = &scope{parent: r.scope} }
func (r *run) pop()  { r.scope = r.scope.parent }

func (r *run) set(name string, v any) {
	if r.scope.names == nil {
		r.scope.names = map[string]any{}
	}
	r.scope.names[name] = v
}

// lookup is the value of a name.
func (r *run) lookup(name string) any {
	for s := r.scope; s != nil; s = s.parent {
		if v, ok := s.names[name]; ok {
			return v
		}
	}
	if name == "value_json" && r.payload != nil {
		return r.payload.valueJSON()
	}
	if v, ok := r.lib.globals[name]; ok {
		return v
	}
	return &undefined{hint: "'" + clip(name, 100) + "' is undefined"}
}

// write appends to the output.
func (r *run) write(s string) error {
	if r.written += len(s); r.written > maxOutput {
		return fmt.Errorf("%w: output has more than %d bytes", ErrTooLarge, maxOutput)
	}
	if err := r.step(1 + len(s)/stepBytes); err != nil {
		return err
	}
	r.out.WriteString(s)
	return nil
}

// capture runs statements in a scope of their own and gives what they write.
func (r *run) capture(body []stmt) (string, error) {
	outer := r.out
	r.out = new(strings.Builder)
	r.push()
	defer func() { r.pop(); r.out = outer }()
	if err := r.execAll(body); err != nil {
		return "", err
	}
	return r.out.String(), nil
}

func (r *run) execAll(body []stmt) error {
	for _, s := range body {
		if err := r.step(1); err != nil {
			return err
		}
		if err := s.exec(r); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) eval(e expr) (any, error) {
	if err := r.step(1); err != nil {
		return nil, err
	}
	return e.eval(r)
}

// evalTrue evaluates a condition.
func (r *run) evalTrue(e expr) (bool, error) {
	v, err := r.eval(e)
	if err != nil {
		return false, err
	}
	return truth(v), nil
}
