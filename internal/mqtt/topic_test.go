package mqtt_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/mqtt"
	"pgregory.net/rapid"
)

func TestValidTopic(t *testing.T) {
	for topic, ok := range map[string]bool{
		"a": true, "/": true, "a//b": true, "zigbee2mqtt/Küche/Lampe 1": true, "$SYS/x": true,
		"": false, "a/+": false, "#": false, "a#": false, "a\x00b": false, "a\xff": false,
		strings.Repeat("x", mqtt.MaxTopicBytes): true, strings.Repeat("x", mqtt.MaxTopicBytes+1): false,
	} {
		err := mqtt.ValidTopic(topic)
		if (err == nil) != ok || (err != nil && !errors.Is(err, mqtt.ErrTopic)) {
			t.Errorf("ValidTopic(%.20q) = %v, want ok=%v", topic, err, ok)
		}
	}
}

func TestValidFilter(t *testing.T) {
	for filter, ok := range map[string]bool{
		"#": true, "+": true, "a/+/b": true, "a/#": true, "/+": true, "+/+/#": true, "$share/g/a/#": true,
		"": false, "a/#/b": false, "a#": false, "a+/b": false, "##": false, "$share/g": false, "$share//a": false,
		"$share/g/": false, "$share/+/a": false, "a\x00": false, "\xff": false,
	} {
		if err := mqtt.ValidFilter(filter); (err == nil) != ok {
			t.Errorf("ValidFilter(%q) = %v, want ok=%v", filter, err, ok)
		}
	}
	if got := mqtt.SharedFilter("$share/g/a/#"); got != "a/#" {
		t.Errorf("SharedFilter = %q", got)
	}
}

func TestMatchAndCovers(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/c", false}, {"a/+", "a/b", true}, {"a/+", "a", false}, {"a/+", "a/b/c", false},
		{"a/#", "a", true}, {"a/#", "a/b/c", true}, {"a/#", "ab", false}, {"#", "a/b", true}, {"+/+", "/a", true},
		{"#", "$SYS/a", false}, {"+/a", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true}, {"+", "a/", false}, {"a/+/#", "a/b", true},
	} {
		if got := mqtt.Match(c.filter, c.topic); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.filter, c.topic, got)
		}
	}
	for _, c := range []struct {
		held, asked string
		want        bool
	}{
		{"a/#", "a/#", true}, {"a/#", "a/+/b", true}, {"a/#", "a", true}, {"a/+", "a/#", false}, {"a/+", "a/+", true},
		{"a/b", "a/+", false}, {"#", "#", true}, {"+", "#", false}, {"#", "$SYS/#", false}, {"+/#", "#", false},
	} {
		if got := mqtt.Covers(c.held, c.asked); got != c.want {
			t.Errorf("Covers(%q, %q) = %v", c.held, c.asked, got)
		}
	}
}

// TestCoversMeansMatches: what a held filter covers, it matches, topic by topic.
func TestCoversMeansMatches(t *testing.T) {
	level := rapid.SampledFrom([]string{"a", "b", "+", ""})
	filter := rapid.Custom(func(t *rapid.T) string {
		s := strings.Join(rapid.SliceOfN(level, 1, 4).Draw(t, "levels"), "/")
		if rapid.Bool().Draw(t, "hash") {
			s += "/#"
		}
		return s
	})
	topic := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", ""}), 1, 5).Draw(t, "topic"), "/")
	})
	rapid.Check(t, func(t *rapid.T) {
		held, asked, top := filter.Draw(t, "held"), filter.Draw(t, "asked"), topic.Draw(t, "top")
		if mqtt.Covers(held, asked) && mqtt.Match(asked, top) && !mqtt.Match(held, top) {
			t.Fatalf("%q covers %q, which matches %q, but %q does not", held, asked, top, held)
		}
	})
}
