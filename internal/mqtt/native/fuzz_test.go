package native

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
	"github.com/statehouse/statehouse/internal/template"
)

// checkAnnouncement checks what holds for every announcement: topics that can be ones, templates that compile, names that are
// bounded, keys that are each there once.
func checkAnnouncement(t testing.TB, a discovery.Announcement) {
	t.Helper()
	if a.Key == "" || a.Device.GetId() == "" || len(a.Device.GetId()) > 128 || a.Device.GetName() == "" {
		t.Errorf("announcement %q of device %v", a.Key, a.Device)
	}
	if len(a.Entities) > 1000 {
		t.Errorf("%d entities", len(a.Entities))
	}
	seen := map[string]bool{}
	for _, e := range a.Entities {
		if e.Key == "" || seen[e.Component+" "+e.Key] {
			t.Errorf("%s %q is there twice, or has no key", e.Component, e.Key)
		}
		seen[e.Component+" "+e.Key] = true
		checkConfig(t, e.Config.Node)
	}
}

func checkConfig(t testing.TB, n dialect.Node) {
	t.Helper()
	for _, f := range n.Value.GetStructValue().GetFields() {
		name := f.GetName()
		text, isText := dialect.TextOf(f.GetValue())
		switch {
		case isText && (name == "topic" || strings.HasSuffix(name, "_topic")):
			if err := mqtt.ValidTopic(text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case isText && (name == "template" || strings.HasSuffix(name, "_template")):
			if _, err := template.Compile(text); err != nil {
				t.Errorf("%s: %q: %v", name, text, err)
			}
		}
		for _, one := range f.GetValue().GetListValue().GetValues() {
			checkConfig(t, dialect.Node{Value: one})
		}
	}
}

// fuzzTranslator hands messages to two translators, which say the same, and to an engine.
func fuzzTranslator(f *testing.F, name string) {
	for _, file := range []string{name, name + "-more"} {
		for _, m := range messages(f, file) {
			f.Add(m.Topic, m.payload(), "shellyplus1-aabbccddeeff/status/sys", []byte("{}"))
		}
	}
	f.Fuzz(func(t *testing.T, topic string, payload []byte, later string, other []byte) {
		if mqtt.ValidTopic(topic) != nil || mqtt.ValidTopic(later) != nil {
			return
		}
		make := ecosystems[name]
		first, second, h := make(), make(), newHome(t, make())
		for _, m := range []struct {
			topic   string
			payload []byte
		}{{topic, payload}, {later, other}, {topic, payload}, {topic, nil}} {
			said, err := translate(first, m.topic, m.payload)
			again, errAgain := translate(second, m.topic, m.payload)
			if (err == nil) != (errAgain == nil) {
				t.Errorf("%v, and %v", err, errAgain)
			}
			texts := [2]string{}
			for i, all := range [][]discovery.Announcement{said, again} {
				for _, a := range all {
					checkAnnouncement(t, a)
					texts[i] += describe(a)
				}
			}
			if texts[0] != texts[1] {
				t.Errorf("two that heard the same say: %s", cmp.Diff(texts[0], texts[1]))
			}
			h.say(m.topic, string(m.payload))
		}
	})
}

func FuzzTasmota(f *testing.F) { fuzzTranslator(f, "tasmota") }
func FuzzShelly1(f *testing.F) { fuzzTranslator(f, "shelly-gen1") }
func FuzzShelly2(f *testing.F) { fuzzTranslator(f, "shelly-gen2") }
