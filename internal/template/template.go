package template

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// maxText is how long a template may be. The longest of Zigbee2MQTT has 1.6 KiB.
const maxText = 64 << 10

// Template is a compiled template. It never changes, and is safe for concurrent use.
type Template struct {
	text string
	body []stmt
	// direct is the path of a template that is nothing but a path. It is nil where there is none.
	direct *directPath
}

// Env is what a template can see besides its variables. The zero value works.
type Env struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Location is what Home Assistant calls local time; nil means time.Local.
	Location *time.Location
	// Budget is what this run and others may take together; nil means that each run is bounded alone.
	Budget *Budget
}

// Budget bounds what several runs take together: three times what one may. The zero value is a whole one. It is safe for concurrent use.
type Budget struct{ spent atomic.Int64 }

// maxBudget is far beyond what the thousand templates of a real message take.
const maxBudget = 3 * maxSteps

// pay takes what a run took, which may be more than was left.
func (b *Budget) pay(steps int) { b.spent.Add(int64(steps)) }

// err says that nothing is left.
func (b *Budget) err() error {
	if b.spent.Load() < maxBudget {
		return nil
	}
	return fmt.Errorf("%w: more than %d steps together with others", ErrTooLong, maxBudget)
}

func (e *Env) now() time.Time {
	if e == nil || e.Now == nil {
		return time.Now().In(e.location())
	}
	return e.Now().In(e.location())
}

func (e *Env) location() *time.Location {
	if e == nil || e.Location == nil {
		return time.Local
	}
	return e.Location
}

// interned holds the templates that are in use, by their text. It holds them weakly: 40,000 entities share a few dozen
// templates, and nothing grows when they go.
var interned = struct {
	mu sync.Mutex // guards all; a leaf: nothing is locked below it
	m  map[string]weak.Pointer[Template]
}{m: map[string]weak.Pointer[Template]{}}

// Compile parses a template. It fails with ErrSyntax, or with ErrTooLarge if the text has more than 64 KiB.
func Compile(text string) (*Template, error) {
	text = pyStrip(text)
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: text has %d bytes; at most %d are taken", ErrTooLarge, len(text), maxText)
	}
	if t := lookup(text); t != nil {
		return t, nil
	}
	t, err := parse(strings.Clone(text))
	if err != nil {
		return nil, err
	}
	return intern(t), nil
}

func lookup(text string) *Template {
	interned.mu.Lock()
	defer interned.mu.Unlock()
	return interned.m[text].Value()
}

// intern makes t the one of its text, or gives the one that was faster.
func intern(t *Template) *Template {
	interned.mu.Lock()
	defer interned.mu.Unlock()
	if other := interned.m[t.text].Value(); other != nil {
		return other
	}
	mine := weak.Make(t)
	interned.m[t.text] = mine
	runtime.AddCleanup(t, func(text string) {
		interned.mu.Lock()
		defer interned.mu.Unlock()
		if interned.m[text] == mine { // and not a younger one of the same text
			delete(interned.m, text)
		}
	}, t.text)
	return t
}

// parse compiles a text, past the sharing.
func parse(text string) (*Template, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := parser{tokens: tokens, lib: library()}
	body, err := p.template()
	if err != nil {
		return nil, err
	}
	return &Template{text: text, body: body, direct: directOf(body)}, nil
}

// Text is the text that was compiled, without the blanks around it.
func (t *Template) Text() string { return t.text }

// Render renders a value template over a payload. Vars are further variables (entity_id, name); value and value_json are
// always the payload's. A variable is nil, bool, an int or float of any size, string, []byte, time.Time, []any, []string, map[string]any or *entityv1.Value.
func (t *Template) Render(p *Payload, vars map[string]any) (string, error) {
	return t.RenderIn(nil, p, vars)
}

// RenderIn is Render with a clock, a time zone and a budget; nil means those of the machine, and none.
func (t *Template) RenderIn(env *Env, p *Payload, vars map[string]any) (string, error) {
	if t.direct != nil {
		return t.direct.render(p)
	}
	return t.interpret(env, p, vars)
}

// RenderCommand renders a command template, which sees variables alone: value, and others such as position or tone.
func (t *Template) RenderCommand(vars map[string]any) (string, error) {
	return t.interpret(nil, nil, vars)
}

// RenderCommandIn is RenderCommand with a clock and a time zone; nil means those of the machine.
func (t *Template) RenderCommandIn(env *Env, vars map[string]any) (string, error) {
	return t.interpret(env, nil, vars)
}

// interpret runs the template. A panic is a defect of this package, and must not end a daemon over one template all the
// same: it is an error of the run.
func (t *Template) interpret(env *Env, p *Payload, vars map[string]any) (out string, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			out, err = "", failf("the interpreter is at fault: %v", fault)
		}
	}()
	r := newRun(env, p, vars)
	if env != nil && env.Budget != nil {
		if err := env.Budget.err(); err != nil {
			return "", err
		}
		defer func() { env.Budget.pay(r.steps) }()
	}
	if err := r.execAll(t.body); err != nil {
		return "", err
	}
	return pyStrip(r.out.String()), nil
}
