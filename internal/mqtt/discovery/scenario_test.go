package discovery

import (
	"errors"
	"strings"
	"testing"
)

// scenario is an entity and what happens to it: messages ("topic payload") and what the state then is, and what is asked of it
// ("> words") and what is published for that. A message that fits nothing is "unfit …", one that is passed over "ignored"; both
// leave the state as it was.
type scenario struct {
	name, component, config string
	steps                   [][2]string
}

func runScenarios(t *testing.T, all []scenario) {
	t.Helper()
	for _, s := range all {
		t.Run(s.component+"/"+s.name, func(t *testing.T) {
			p := newPart(t, components[s.component], s.config)
			before := "{}"
			for _, step := range s.steps {
				got := ""
				words, asks := strings.CutPrefix(step[0], "> ")
				if asks {
					got = strings.TrimSuffix(p.ask(strings.Split(words, " ")...), "\n")
				} else {
					topic, payload, _ := strings.Cut(step[0], " ")
					got = p.say(topic, payload)
					switch {
					case p.unfit == nil:
						before = got
					case got != before:
						t.Errorf("%s: %v, and the state is %s", step[0], p.unfit, got)
					case errors.Is(p.unfit, ErrIgnored):
						got = "ignored"
					default:
						got = "unfit"
					}
				}
				part, isPart := strings.CutSuffix(step[1], "…") // of an error
				if right := got == step[1] || asks && isPart && strings.Contains(got, part); !right {
					t.Errorf("%s\n got %s\nwant %s", step[0], got, step[1])
				}
			}
		})
	}
}
