package mqtt_test

import (
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// matches is what the specification says of filters and topics, level by level.
func matches(filter, topic []string) bool {
	switch {
	case len(filter) == 0:
		return len(topic) == 0
	case filter[0] == "#":
		return true
	case len(topic) == 0:
		return false
	default:
		return (filter[0] == "+" || filter[0] == topic[0]) && matches(filter[1:], topic[1:])
	}
}

// FuzzTopics: a filter matches what the specification says; and a rule that covers what is asked for, which is how
// permissions are checked, matches every topic that that matches.
func FuzzTopics(f *testing.F) {
	for _, s := range [][3]string{
		{"#", "a/b", "a/b"}, {"a/#", "a", "a"}, {"+/b", "a/+", "a/b"}, {"$SYS/#", "#", "$SYS/x"}, {"a/+/c", "a/b/c", "a/b/c"},
		{"+", "#", "a"}, {"a/#", "a/+", "a/"}, {"/+", "+/+", "/a"}, {"$share/g/a/#", "a/b", "a/b"}, {"", "", ""}, {"+/#", "#", "a"}, {"+", "#", "a/b"}, {"a", "a/#", "a/b"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, rule, asked, topic string) {
		if len(rule)+len(asked)+len(topic) > 1000 || mqtt.ValidTopic(topic) != nil || strings.HasPrefix(rule, "$share/") ||
			mqtt.ValidFilter(rule) != nil {
			return
		}
		wild := strings.HasPrefix(rule, "#") || strings.HasPrefix(rule, "+")
		want := matches(strings.Split(rule, "/"), strings.Split(topic, "/")) && (!wild || !strings.HasPrefix(topic, "$"))
		if got := mqtt.Match(rule, topic); got != want {
			t.Errorf("%q matches %q: %v", rule, topic, got)
		}
		if mqtt.ValidFilter(asked) != nil || strings.HasPrefix(asked, "$share/") {
			return
		}
		if mqtt.Covers(rule, asked) && mqtt.Match(asked, topic) && !mqtt.Match(rule, topic) {
			t.Errorf("%q is said to cover %q, which matches %q as the rule does not", rule, asked, topic)
		}
	})
}
