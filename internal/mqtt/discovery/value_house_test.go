package discovery

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	recorded "github.com/statehouse/statehouse/internal/mqtt/play"
	"github.com/statehouse/statehouse/internal/template"
	"github.com/statehouse/statehouse/state"
)

// recordedHouse are all messages of the recorded house.
func recordedHouse(t testing.TB) []recorded.Record {
	t.Helper()
	f, err := os.Open("../../../testdata/zigbee2mqtt/house.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, recorded.MaxLine)
	var all []recorded.Record
	for lines.Scan() {
		r, err := recorded.ParseRecord(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return all
}

// nativeHouse are the last states of the recorded house as the native dialect has them, by entity id, without availability.
func nativeHouse(t testing.TB) map[string]map[string]any {
	t.Helper()
	data, err := os.ReadFile("../zigbee2mqtt/testdata/house.golden")
	if err != nil {
		t.Fatal(err)
	}
	states := make(map[string]map[string]any)
	for line := range strings.Lines(string(data)) {
		id, rest, _ := strings.Cut(line, " ")
		at := strings.IndexByte(rest, '{')
		if !strings.Contains(id, ".") || at < 0 {
			continue
		}
		st := map[string]any{}
		if json.Unmarshal([]byte(rest[at:]), &st) != nil {
			continue
		}
		delete(st, "availability")
		states[id] = st
	}
	return states
}

// announcedPart is an entity of the recorded house, with its inputs made once.
type announcedPart struct {
	*part
	id     string
	inputs []Input
}

// announcedParts are the entities that the house announces last, of the components of this file's neighbours.
func announcedParts(t testing.TB, all []recorded.Record) (parts []*announcedPart, counts map[string]int) {
	t.Helper()
	own := make(map[string]bool)
	for _, c := range slices.Concat(valueComponents, openingComponents, otherComponents) {
		own[c.Name] = true
	}
	last := make(map[string]string)
	for _, r := range all {
		if strings.HasPrefix(r.Topic, "homeassistant/") && strings.HasSuffix(r.Topic, "/config") && len(r.Payload) > 0 {
			last[r.Topic] = string(r.Payload)
		}
	}
	counts = make(map[string]int)
	for _, topic := range slices.Sorted(maps.Keys(last)) {
		component := strings.Split(topic, "/")[1]
		if !own[component] {
			continue
		}
		counts[component]++
		p := newPart(t, components[component], last[topic])
		parts = append(parts, &announcedPart{p, p.config.Str("default_entity_id"), p.component.Inputs(p.config)})
	}
	return parts, counts
}

func (p *announcedPart) hear(r recorded.Record, payload *template.Payload) error {
	var unfits error
	for _, in := range p.inputs {
		for _, s := range in.Sources {
			if s.Topic != r.Topic || in.Momentary && r.Retain {
				continue
			}
			text := string(r.Payload)
			if s.Template != nil {
				var err error
				if text, err = s.Template.Render(payload, nil); errors.Is(err, template.ErrUndefined) || err == nil && text == "" {
					continue
				} else if err != nil {
					return err
				}
			}
			if err := in.Set(p.attributes, Said{Text: text, Payload: payload, At: moment}); !errors.Is(err, ErrIgnored) {
				unfits = errors.Join(unfits, err)
			}
		}
	}
	if p.component.Finish != nil {
		p.component.Finish(p.config, p.attributes)
	}
	return unfits
}

// Why an entity of the recorded house has another state by its announcement than natively.
const (
	moreNatively = "the native dialect keeps what the announced template leaves out"
	nullIsOff    = "the announced template writes false for null"
	noVersion    = "the announced template puts -1, which means none, into quotes"
	theBridge    = "natively it never is offline: whoever says so is gone"
)

// differentStates are the entities of the recorded house that differ; every other is the same.
func differentStates(parts []*announcedPart) map[string]string {
	different := map[string]string{
		"binary_sensor.develco_smoke_fault": moreNatively, "cover.bedroom_curtain": moreNatively, "switch.double_wall_switch_left": moreNatively,
		"binary_sensor.zigbee2mqtt_bridge_connection_state": theBridge,
		"switch.hall_smoke_heartbeat_indicator":             nullIsOff, "switch.hall_smoke_linkage_alarm": nullIsOff,
		"switch.bedroom_radiator_smart_temperature_control": nullIsOff,
	}
	for _, plug := range []string{"fridge_plug", "washing_machine"} {
		for _, setting := range []string{"auto_off", "led_disabled_night", "power_outage_memory"} {
			different["switch."+plug+"_"+setting] = nullIsOff
		}
	}
	for _, p := range parts {
		if p.attributes.GetUpdate().GetInstalledVersion() == "-1" {
			different[p.id] = noVersion
		}
	}
	return different
}

// TestTheRecordedHouseIsTheSameFromBothSides: what Zigbee2MQTT announces to Home Assistant, and reports, leads to the states
// that the native dialect makes of the same reports.
func TestTheRecordedHouseIsTheSameFromBothSides(t *testing.T) {
	all := recordedHouse(t)
	parts, counts := announcedParts(t, all)
	byTopic := make(map[string][]*announcedPart)
	for _, p := range parts {
		topics := make(map[string]bool)
		for _, in := range p.inputs {
			for _, s := range in.Sources {
				topics[s.Topic] = true
			}
		}
		for topic := range topics {
			byTopic[topic] = append(byTopic[topic], p)
		}
	}
	unfit := make(map[string]int)
	for _, r := range all {
		uses := byTopic[r.Topic]
		if len(uses) == 0 || len(r.Payload) == 0 {
			continue
		}
		payload := template.NewPayload(r.Payload)
		for _, p := range uses {
			if err := p.hear(r, payload); err != nil {
				unfit[p.id+": "+err.Error()]++
			}
		}
	}
	for problem, n := range unfit {
		t.Errorf("%d times %s", n, problem)
	}
	native, different := nativeHouse(t), differentStates(parts)
	same := 0
	for _, p := range parts {
		want, ok := native[p.id]
		if !ok {
			continue
		}
		text, err := state.JSON(p.attributes)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]any{}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		diff := cmp.Diff(want, got)
		switch {
		case diff == "":
			same++
		case different[p.id] == "":
			t.Errorf("%s differs (-native +announced):\n%s", p.id, diff)
		}
		if diff == "" && different[p.id] != "" {
			t.Errorf("%s does not differ any more: %s", p.id, different[p.id])
		}
	}
	if len(parts) != 369 || same != 220 {
		t.Errorf("%d entities %v, %d the same", len(parts), counts, same)
	}
}
