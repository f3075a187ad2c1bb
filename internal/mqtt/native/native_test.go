package native

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/dialect/dialecttest"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
	"github.com/statehouse/statehouse/state"
)

var rewrite = flag.Bool("update", false, "rewrite the golden files in testdata")

// recorded is a message of a file in testdata. A payload that is a string is what it says, any other is JSON.
type recorded struct {
	Topic   string          `json:"topic"`
	Retain  bool            `json:"retain"`
	Payload json.RawMessage `json:"payload"`
}

func (r recorded) payload() []byte {
	var text string
	if json.Unmarshal(r.Payload, &text) == nil {
		return []byte(text)
	}
	return r.Payload
}

func messages(t testing.TB, name string) []recorded {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var all []recorded
	for s := bufio.NewScanner(f); s.Scan(); {
		var r recorded
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		all = append(all, r)
	}
	return all
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

// ecosystems are the translators, by the name that their files of testdata begin with.
var ecosystems = map[string]func() discovery.Translator{
	"tasmota":     func() discovery.Translator { return new(Tasmota) },
	"shelly-gen1": func() discovery.Translator { return new(Shelly1) },
	"shelly-gen2": func() discovery.Translator { return new(Shelly2) },
}

// home is an engine that takes an ecosystem's devices in.
type home struct {
	testing.TB
	*discovery.Engine
	house *dialecttest.Memory
	now   time.Time
}

func newHome(t testing.TB, translator discovery.Translator) *home {
	h := &home{TB: t, house: dialecttest.NewMemory(), now: dialecttest.Base}
	h.Engine = discovery.NewEngine(h.house, translator, discovery.Options{Broker: "local"})
	return h
}

func (h *home) say(topic, payload string) {
	h.Helper()
	h.now = h.now.Add(time.Second)
	if err := h.Handle(h.Context(), mqtt.Message{Topic: topic, Payload: []byte(payload), ReceivedAt: h.now}); err != nil {
		h.Fatalf("%s %s: %v", topic, payload, err)
	}
}

// state is an entity's state as JSON.
func (h *home) state(id string) string {
	h.Helper()
	e, ok := h.house.Registry.Revision().Entity(id)
	if !ok {
		return "there is no such entity"
	}
	if e.GetDisabled() {
		return "disabled"
	}
	s, _ := h.house.Cache.Revision().Get(id)
	text, err := state.JSON(s.Attributes)
	if err != nil {
		h.Fatal(err)
	}
	return string(text)
}

// dump is the house as text: devices, and entities with their states.
func (h *home) dump() string {
	var lines []string
	for id, d := range h.house.Registry.Revision().Devices.All() {
		lines = append(lines, fmt.Sprintf("device %s: %s, %s %s (%s), %s", id, d.GetName(), d.GetManufacturer(), d.GetModel(), d.GetModelId(), d.GetSoftwareVersion()))
	}
	for id, e := range h.house.Registry.Revision().Entities.All() {
		lines = append(lines, fmt.Sprintf("%s %q [%s %s %d %d] %s", id, e.GetName(), e.GetDeviceClass(), e.GetUnit(), e.GetStateClass(), e.GetCategory(), h.state(id)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// inventory is what there is, without ids, which are made of the name that a device had first, and without states.
func (h *home) inventory() string {
	var lines []string
	for id, d := range h.house.Registry.Revision().Devices.All() {
		lines = append(lines, fmt.Sprintf("%s %s %s %s", id, d.GetName(), d.GetModel(), d.GetSoftwareVersion()))
	}
	for _, e := range h.house.Registry.Revision().Entities.All() {
		definition, _ := dialect.TextOf(e.GetCapabilities().GetDefinition())
		lines = append(lines, fmt.Sprintf("%s %q %s", e.GetUniqueId(), e.GetName(), definition))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// ask has an entity do something, and returns what is published for it, a line each.
func (h *home) ask(id string, words ...string) string {
	h.Helper()
	e, ok := h.house.Registry.Revision().Entity(id)
	if !ok {
		return "there is no such entity"
	}
	s, _ := h.house.Cache.Revision().Get(id)
	request, err := command.ParseWords(id, words)
	if err != nil {
		return err.Error()
	}
	checked, err := command.Check(request, e, s.Attributes)
	if err != nil {
		return err.Error()
	}
	rendered, err := h.Render(dialect.Target{Entity: e, State: s.Attributes}, checked)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, p := range rendered.Publications {
		lines = append(lines, p.Topic+" "+string(p.Payload))
	}
	return strings.Join(lines, "\n")
}

// describe is an announcement as text.
func describe(a discovery.Announcement) string {
	var b strings.Builder
	d := a.Device
	fmt.Fprintf(&b, "%s complete=%v %s %q %s %s (%s) %s topic=%s\n", a.Key, a.Complete, d.GetId(), d.GetName(), d.GetManufacturer(), d.GetModel(),
		d.GetModelId(), d.GetSoftwareVersion(), d.GetTopic())
	for _, one := range a.Entities {
		e := one.Entity
		text := state.AppendJSON(nil, one.Config.Value)
		fmt.Fprintf(&b, "  %s %s %q class=%s unit=%s state=%d category=%d disabled=%v\n    %s\n", one.Component, one.Key, e.GetName(),
			e.GetDeviceClass(), e.GetUnit(), e.GetStateClass(), e.GetCategory(), e.GetDisabled(), text)
	}
	return b.String()
}

func TestRecordings(t *testing.T) {
	for name, make := range ecosystems {
		for _, file := range []string{name, name + "-more"} {
			t.Run(file, func(t *testing.T) {
				translator, h := make(), newHome(t, make())
				var b strings.Builder
				for _, m := range messages(t, file) {
					all, err := translate(translator, m.Topic, m.payload())
					if err != nil {
						fmt.Fprintf(&b, "%s: %v\n", m.Topic, err)
					}
					for _, a := range all {
						checkAnnouncement(t, a)
						b.WriteString(describe(a))
					}
					h.say(m.Topic, string(m.payload()))
				}
				b.WriteString("\n" + h.dump())
				for reason, n := range h.Stats().Ignored {
					if reason == dialect.ReasonMalformed && n > 0 {
						t.Errorf("%d messages are malformed", n)
					}
				}
				golden(t, file, b.String())
			})
		}
	}
}

// translate hands a message over, if it is one for the translator.
func translate(tr discovery.Translator, topic string, payload []byte) ([]discovery.Announcement, error) {
	for _, f := range tr.Filters() {
		if mqtt.Match(f, topic) {
			return tr.Translate(topic, payload)
		}
	}
	return nil, nil
}

// The same messages in another order, and more than once, come to the same devices and entities.
func TestOrderAndDuplicatesDoNotMatter(t *testing.T) {
	for name, make := range ecosystems {
		for _, file := range []string{name, name + "-more"} {
			all := messages(t, file)
			all = slices.DeleteFunc(all, func(r recorded) bool { return strings.Contains(r.Topic, "A020A6000004") })
			backwards := slices.Clone(all)
			slices.Reverse(backwards)
			var dumps []string
			for _, order := range [][]recorded{all, backwards, slices.Concat(backwards, all), slices.Concat(all, all)} {
				h := newHome(t, make())
				for _, m := range slices.Concat(order, order) {
					h.say(m.Topic, string(m.payload()))
				}
				dumps = append(dumps, h.inventory())
			}
			for i, dump := range dumps[1:] {
				if diff := cmp.Diff(dumps[0], dump); diff != "" {
					t.Errorf("%s, order %d (-first +other):\n%s", file, i+1, diff)
				}
			}
		}
	}
}

// moments are those at which events occurred.
var moments = regexp.MustCompile(`"occurred":"[^"]*"`)

func TestARestartAnnouncesAgain(t *testing.T) {
	for name, make := range ecosystems {
		all := messages(t, name+"-more")
		h := newHome(t, make())
		for _, m := range all {
			h.say(m.Topic, string(m.payload()))
		}
		before := h.dump()
		h.Engine = discovery.NewEngine(h.house, make(), discovery.Options{Broker: "local"})
		for _, m := range all {
			h.say(m.Topic, string(m.payload()))
		}
		if diff := cmp.Diff(moments.ReplaceAllString(before, ""), moments.ReplaceAllString(h.dump(), "")); diff != "" {
			t.Errorf("%s (-before +after):\n%s", name, diff)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	tr := new(Shelly1)
	for i := range maxDevices {
		if all, err := tr.Translate(fmt.Sprintf("shellies/d%d/relay/0", i), []byte("on")); err != nil || len(all) != 1 {
			t.Fatalf("device %d: %v, %v", i, all, err)
		}
	}
	if all, err := tr.Translate("shellies/more/relay/0", []byte("on")); !errors.Is(err, ErrTooMany) || all != nil {
		t.Errorf("one more device: %v, %v", all, err)
	}
	if all, err := tr.Translate("shellies/d1/relay/1", []byte("on")); err != nil || len(all) != 1 {
		t.Errorf("one that is known: %v, %v", all, err)
	}
	components := new(Shelly2)
	for i := range maxComponents {
		if all, err := components.Translate(fmt.Sprintf("shellyx-aabbccddeeff/status/switch:%d", i), []byte("{}")); err != nil || len(all) != 1 {
			t.Fatalf("component %d: %v, %v", i, all, err)
		}
	}
	if all, err := components.Translate("shellyx-aabbccddeeff/status/switch:100", []byte("{}")); !errors.Is(err, ErrTooMany) || all != nil {
		t.Errorf("one more component: %v, %v", all, err)
	}
}
