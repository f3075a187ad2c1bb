package discovery

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/internal/mqtt"
	recorded "github.com/statehouse/statehouse/internal/mqtt/play"
	"github.com/statehouse/statehouse/state"
)

var rewrite = flag.Bool("update", false, "rewrite the golden files in testdata")

// haMessage is a message of a file of samples.
type haMessage struct {
	Topic   string          `json:"topic"`
	Payload json.RawMessage `json:"payload"`
}

// haSamples are the sample messages of testdata, in the order of the files' names.
func haSamples(t testing.TB) []haMessage {
	t.Helper()
	files, err := filepath.Glob("testdata/samples/*.json")
	if err != nil || len(files) < 17 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var all []haMessage
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var m haMessage
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, m)
	}
	data, err := os.ReadFile("testdata/esphome.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var m haMessage
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(m.Topic, "/config") {
			all = append(all, m)
		}
	}
	return all
}

// TestAnnouncementsGolden: what the samples announce.
func TestAnnouncementsGolden(t *testing.T) {
	h := haStubbed(HomeAssistantOptions{})
	var b strings.Builder
	for _, m := range haSamples(t) {
		all, err := h.Translate(m.Topic, m.Payload)
		if err != nil {
			t.Errorf("%s: %v", m.Topic, err)
		}
		b.WriteString(haDump(all))
	}
	const path = "testdata/announcements.golden"
	if *rewrite {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

// haHouse are the announcements of the recorded house.
func haHouse(t testing.TB) []recorded.Record {
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
		if !strings.Contains(lines.Text(), "homeassistant/") {
			continue
		}
		r, err := recorded.ParseRecord(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(r.Topic, "homeassistant/") && strings.HasSuffix(r.Topic, "/config") {
			all = append(all, r)
		}
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return all
}

// TestHouseAnnouncements: all that a real Zigbee2MQTT announces is understood, by the components that there are, and taken
// for Zigbee2MQTT's own where that is asked for.
func TestHouseAnnouncements(t *testing.T) {
	h, covering := NewHomeAssistant(HomeAssistantOptions{}), NewHomeAssistant(HomeAssistantOptions{Covered: []string{"zigbee2mqtt/"}})
	messages, entities, removals, largest := haHouse(t), 0, 0, 0
	for _, m := range messages {
		all, err := h.Translate(m.Topic, m.Payload)
		if err != nil || len(all) != 1 || len(all[0].Entities) > 1 {
			t.Errorf("%s: %v\n%s", m.Topic, err, haDump(all))
			continue
		}
		if _, err := covering.Translate(m.Topic, m.Payload); len(m.Payload) > 0 && !errors.Is(err, ErrCovered) {
			t.Errorf("%s: %v", m.Topic, err)
		}
		if len(all[0].Entities) == 0 {
			removals++
			continue
		}
		entities++
		largest = max(largest, len(state.AppendJSON(nil, all[0].Entities[0].Config.Value)))
	}
	if got, want := [4]int{len(messages), entities, removals, largest}, [4]int{404, 388, 16, 1633}; got != want {
		t.Errorf("messages, entities, removals and bytes of the largest configuration are %v, want %v", got, want)
	}
}

// TestSamplesOfComponents: the samples are what their components take.
func TestSamplesOfComponents(t *testing.T) {
	h := NewHomeAssistant(HomeAssistantOptions{})
	for _, m := range haSamples(t) {
		if all, err := h.Translate(m.Topic, m.Payload); err != nil || len(all) != 1 {
			t.Errorf("%s: %v", m.Topic, err)
		}
	}
}

// haBounds says what of an announcement is beyond what is promised.
func haBounds(a Announcement) error {
	if len(a.Entities) > maxFormComponents {
		return fmt.Errorf("%d entities", len(a.Entities))
	}
	if d := a.Device; d != nil {
		if id := d.GetId(); id == "" || len(id) > maxDeviceID || strings.Contains(id, "/") || d.GetName() == "" {
			return fmt.Errorf("device %q, %q", id, d.GetName())
		}
		if via := d.GetViaDevice(); len(via) > maxDeviceID || strings.Contains(via, "/") {
			return fmt.Errorf("via %q", via)
		}
		if proto.Size(d) > 16*maxAnnouncedText {
			return fmt.Errorf("a device of %d bytes", proto.Size(d))
		}
	}
	seen := make(map[[2]string]bool)
	for _, e := range a.Entities {
		name := [2]string{e.Component, e.Key}
		if e.Key == "" || len(e.Key) > maxEntityKey || seen[name] {
			return fmt.Errorf("entity %q", e.Key)
		}
		seen[name] = true
		if proto.Size(e.Entity) > 4*maxAnnouncedText || len(e.Object) > maxAnnouncedText || len(e.Wish) > maxAnnouncedText {
			return fmt.Errorf("an entity of %d bytes, %q, %q", proto.Size(e.Entity), e.Object, e.Wish)
		}
		if size := len(state.AppendJSON(nil, e.Config.Value)); size > maxConfig {
			return fmt.Errorf("a configuration of %d bytes", size)
		}
		o, ok := haObjectOf(e.Config.Value)
		if !ok {
			return errors.New("a configuration that is no object")
		}
		for topic := range o.topics() {
			if err := mqtt.ValidTopic(topic); err != nil {
				return err
			}
		}
	}
	return nil
}

func FuzzAnnounce(f *testing.F) {
	for _, m := range haSamples(f) {
		f.Add(m.Topic, []byte(m.Payload))
	}
	for _, payload := range []string{
		"", "{}", `{"migr_discvry":true}`, `{"~":"a","avty":[{"t":"~/x"}],"stat_t":"~/~"}`, `{"unique_id":"a/b%\u0000","name":"","dev":{"cns":[["mac","AABBCCDDEEFF"]]}}`,
	} {
		f.Add("homeassistant/sensor/x/config", []byte(payload))
	}
	f.Add("homeassistant/device/n/x/config", []byte(`{"~":"r","dev":{"ids":["/"],"via_device":"a/b"},"stat_t":"~/s","cmps":{"a":{"p":"light","name":null},`+
		`"b":{"p":"light","uniq_id":"n/x"},"c":{"p":"tag"},"d":{"p":"light","uniq_id":"n/x","t":"a"}}}`))
	stubbed, real := haStubbed(HomeAssistantOptions{}), NewHomeAssistant(HomeAssistantOptions{Covered: []string{"zigbee2mqtt/"}})
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		if all, err := real.Translate(topic, payload); err != nil && errors.Is(err, ErrCovered) && len(all) > 0 {
			t.Errorf("covered, and %s", haDump(all))
		}
		all, err := stubbed.Translate(topic, payload)
		again, err2 := stubbed.Translate(topic, payload)
		if got, want := haDump(again), haDump(all); got != want || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Errorf("%s, %v, and then %s, %v", want, err, got, err2)
		}
		for _, a := range all {
			if a.Key != topic || a.Complete && err != nil {
				t.Errorf("%s: %v", haDump(all), err)
			}
			if err := haBounds(a); err != nil {
				t.Errorf("%v: %s", err, haDump(all))
			}
		}
	})
}
