package command_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
)

func mustCheck(t *testing.T, entity, words string) command.Checked {
	t.Helper()
	r, err := command.ParseWords(entity, strings.Split(words, " "))
	if err != nil {
		t.Fatal(err)
	}
	c, err := command.Check(r, things[entity], nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// signature is an action as one line.
func signature(a command.Action) string {
	parts := make([]string, len(a.Arguments))
	for i, g := range a.Arguments {
		parts[i] = g.Name + " " + string(g.Kind)
		if g.Minimum != nil {
			parts[i] += fmt.Sprint(" ", *g.Minimum)
		}
		if g.Maximum != nil {
			parts[i] += fmt.Sprint("..", *g.Maximum)
		}
		if g.Step != nil {
			parts[i] += fmt.Sprint("/", *g.Step)
		}
		parts[i] += strings.TrimRight(" "+g.Unit, " ")
		if len(g.Options) > 0 {
			parts[i] += " {" + strings.Join(g.Options, "|") + "}"
		}
		if g.Required {
			parts[i] += "!"
		}
		if g.Secret {
			parts[i] += " secret"
		}
	}
	return a.Name + "(" + strings.Join(parts, ", ") + ")"
}

// What each entity can be asked to do: "entity".
func TestActions(t *testing.T) {
	golden(t, "testdata/actions.golden", func(question string) string {
		if things[question] == nil {
			t.Fatalf("no entity: %s", question)
		}
		all := command.Actions(things[question])
		lines := make([]string, len(all))
		for i, a := range all {
			lines[i] = signature(a)
		}
		return strings.Join(lines, " ")
	})
}

// What is listed of an entity is what Check takes, and nothing else.
func TestActionsAreWhatCheckTakes(t *testing.T) {
	for id, e := range things {
		domain, _, _ := strings.Cut(id, ".")
		var can []string
		for _, a := range command.Actions(e) {
			can = append(can, a.Name)
		}
		for _, a := range command.Domains() {
			if a.Domain != domain {
				continue
			}
			_, err := command.Check(command.Request{Entity: id, Action: a.Name}, e, nil)
			if refused := err != nil && strings.Contains(err.Error(), "which "+a.Name+" needs"); refused && slices.Contains(can, a.Name) {
				t.Errorf("%s lists %s, and refuses it: %v", id, a.Name, err)
			}
			if err == nil && !slices.Contains(can, a.Name) {
				t.Errorf("%s does %s, and does not list it", id, a.Name)
			}
		}
	}
}

// What is handed out is nobody's to keep: changing it changes nothing for others.
func TestWhatIsListedIsACopy(t *testing.T) {
	spoil := func(all []command.Action) {
		for _, a := range all {
			for i := range a.Arguments {
				if a.Arguments[i].Minimum != nil {
					*a.Arguments[i].Minimum = -1e9
				}
				for j := range a.Arguments[i].Options {
					a.Arguments[i].Options[j] = "spoilt"
				}
			}
		}
	}
	e := things["climate.trv"]
	before, all := fmt.Sprint(signatures(command.Actions(e))), fmt.Sprint(signatures(command.Domains()))
	spoil(command.Actions(e))
	spoil(command.Domains())
	if after := fmt.Sprint(signatures(command.Actions(e))); after != before {
		t.Errorf("the entity's actions became %s", after)
	}
	if after := fmt.Sprint(signatures(command.Domains())); after != all {
		t.Errorf("the domains' actions became %s", after)
	}
}

func signatures(all []command.Action) []string {
	lines := make([]string, len(all))
	for i, a := range all {
		lines[i] = a.Domain + "." + signature(a)
	}
	return lines
}

// Arguments of a checked request, by type.
func TestCheckedArguments(t *testing.T) {
	c := mustCheck(t, "light.color", "on brightness=50% transition=1.5 xy=0.3,0.4 effect=blink")
	if n, ok := c.Int("brightness"); !ok || n != 128 {
		t.Errorf("brightness %v %v", n, ok)
	}
	if n, ok := c.Float("transition"); !ok || n != 1.5 || c.Timeout.Seconds() != 11.5 {
		t.Errorf("transition %v %v, timeout %v", n, ok, c.Timeout)
	}
	if all, ok := c.Floats("xy"); !ok || !slices.Equal(all, []float64{0.3, 0.4}) {
		t.Errorf("xy %v %v", all, ok)
	}
	if s, ok := c.String("effect"); !ok || s != "blink" {
		t.Errorf("effect %v %v", s, ok)
	}
	if _, ok := c.Bool("effect"); ok {
		t.Error("a text is a truth")
	}
	if _, ok := c.Argument("flash"); ok {
		t.Error("there is an argument that was not given")
	}
	if b, ok := mustCheck(t, "fan.three", "oscillating=yes").Bool("oscillating"); !ok || !b {
		t.Error("oscillating is not true")
	}
}

// A code reaches who renders the command, and no argument, no error and no attributes.
func TestCodesStaySecret(t *testing.T) {
	const secret = "735511"
	c := mustCheck(t, "lock.door", "unlock code="+secret)
	if code, ok := c.Code(); !ok || code != secret {
		t.Errorf("code %q %v", code, ok)
	}
	if said := fmt.Sprint(c.Arguments, c.Expected, c.Assumed, c.Action); strings.Contains(said, secret) {
		t.Errorf("the code is in %s", said)
	}
	long := strings.Repeat(secret, 100)
	for _, words := range [][]string{
		{"unlock", secret}, {secret}, {"code=" + long, "unlock"}, {"unlock", "code=" + secret, "code=" + secret}, {"unlock", "code=" + long},
		{"code=" + secret, "position=3"},
	} {
		r, err := command.ParseWords("lock.door", words)
		if err == nil {
			_, err = command.Check(r, things["lock.door"], nil)
		}
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%.40v: %v", words, err)
		}
	}
}

func TestCheckOfAnotherEntity(t *testing.T) {
	for _, e := range []*entityv1.Entity{nil, things["light.hue"]} {
		if c, err := command.Check(command.Request{Entity: "light.color", Action: "turn_on"}, e, nil); err == nil {
			t.Errorf("it did %v", c)
		}
	}
}

func TestTooManyWords(t *testing.T) {
	for name, words := range map[string][]string{
		"none": nil, "many": make([]string, 100), "long": {"on", strings.Repeat("x", 1<<20)}, "no UTF-8": {"\xff"},
	} {
		if r, err := command.ParseWords("text.note", words); err == nil || len(err.Error()) > 500 {
			t.Errorf("%s: %v %v", name, r, err)
		}
	}
}
