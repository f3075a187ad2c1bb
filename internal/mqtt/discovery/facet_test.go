package discovery

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// facetStep is something that happens to an entity: a message, or with an empty topic what it is asked for in words.
type facetStep struct {
	topic, text string
	// want is the state after a message as JSON, or what is published for a wish, a line each. For errors it is a part of the
	// message.
	want string
	// unfit says that the message is none for the entity, which want is part of; the state stays.
	unfit bool
}

func facetSaid(topic, payload, want string) facetStep {
	return facetStep{topic: topic, text: payload, want: want}
}
func facetUnfits(topic, payload string) facetStep {
	return facetStep{topic: topic, text: payload, unfit: true}
}
func facetAsked(words string, want ...string) facetStep {
	return facetStep{text: words, want: strings.Join(want, "\n")}
}

// facetPlay plays steps with an entity.
func facetPlay(t *testing.T, c Component, text string, steps []facetStep) {
	t.Helper()
	p := newPart(t, c, text)
	before := "{}"
	for _, s := range steps {
		switch {
		case s.topic == "":
			got := strings.TrimSuffix(p.ask(strings.Fields(s.text)...), "\n")
			if got != s.want && (s.want == "" || strings.HasPrefix(s.want, "x/") || strings.HasPrefix(s.want, "zigbee2mqtt/") || !strings.Contains(got, s.want)) {
				t.Errorf("asked for %s:\n%s", s.text, cmp.Diff(s.want, got))
			}
		case s.unfit:
			if got := p.say(s.topic, s.text); !isComplaint(p.unfit) || got != before {
				t.Errorf("%s %s: error %v and the state is %s, where none is the first and %s the second", s.topic, s.text, p.unfit, got, before)
			}
		default:
			got := p.say(s.topic, s.text)
			if isComplaint(p.unfit) {
				t.Errorf("%s %s: %v", s.topic, s.text, p.unfit)
			}
			if diff := cmp.Diff(s.want, got); diff != "" {
				t.Errorf("%s %s:\n%s", s.topic, s.text, diff)
			}
			before = got
		}
	}
}

// isComplaint says that an error of several inputs is more than that they were told nothing.
func isComplaint(err error) bool {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		return slices.ContainsFunc(several.Unwrap(), isComplaint)
	}
	return err != nil && !errors.Is(err, ErrIgnored)
}

// facetRefuses has Check refuse configurations, with the reason in its message.
func facetRefuses(t *testing.T, c Component, configs map[string]string) {
	t.Helper()
	for text, want := range configs {
		if err := c.Check(config(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, where one with %q was expected", text, err, want)
		}
	}
}
