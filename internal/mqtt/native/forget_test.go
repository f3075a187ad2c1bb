package native

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
)

// recordings are all messages of an ecosystem in testdata.
func recordings(t testing.TB, name string) []recorded {
	return append(messages(t, name), messages(t, name+"-more")...)
}

// book is what was taken in of announcements: the newest of each entity, and of each device.
type book map[string]any

func (b book) take(all []discovery.Announcement) {
	for _, a := range all {
		b["device "+a.Key] = a.Device
		for _, one := range a.Entities {
			b[a.Key+" "+one.Component+" "+one.Key] = one
		}
	}
}

// text is all of it, a line each.
func (b book) text() []string {
	var lines []string
	for key, one := range b {
		lines = append(lines, fmt.Sprint(key, one))
	}
	slices.Sort(lines)
	return lines
}

// forget says of announcements that they came to nothing, to whom it matters.
func forget(tr discovery.Translator, all []discovery.Announcement) {
	if f, ok := tr.(discovery.Forgetter); ok {
		for _, a := range all {
			f.Forget(a.Key)
		}
	}
}

// What a refused announcement spoke of is announced again by the same message, and by a later one where that one was the last.
func TestWhatCameToNothingIsAnnouncedAgain(t *testing.T) {
	for _, name := range []string{"shelly-gen1", "shelly-gen2"} {
		make, all := ecosystems[name], recordings(t, name)
		say := func(t rapid.TB, tr discovery.Translator, m recorded) []discovery.Announcement {
			announced, err := translate(tr, m.Topic, m.payload())
			if err != nil {
				t.Fatalf("%s: %v", m.Topic, err)
			}
			return announced
		}
		plain, undisturbed := book{}, make()
		for _, m := range all {
			plain.take(say(t, undisturbed, m))
		}
		want := plain.text()
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			repeated, late := book{}, book{}
			refused, crowded := make(), make()
			for _, m := range all {
				times := rapid.IntRange(0, 2).Draw(t, "refusals")
				for range times {
					forget(refused, say(t, refused, m))
				}
				repeated.take(say(t, refused, m))
				if announced := say(t, crowded, m); times > 0 {
					forget(crowded, announced)
				} else {
					late.take(announced)
				}
			}
			for _, m := range all { // now there is room
				late.take(say(t, crowded, m))
			}
			if diff := cmp.Diff(want, repeated.text()); diff != "" {
				t.Errorf("refused, and said again (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, late.text()); diff != "" {
				t.Errorf("left out, and announced later (-want +got):\n%s", diff)
			}
		}))
	}
}

// A house that could not record a device has it as soon as it can.
func TestARefusedDeviceIsNotLost(t *testing.T) {
	refused := errors.New("the disk is full")
	for name, make := range ecosystems {
		want, h := newHome(t, make()), newHome(t, make())
		for _, m := range recordings(t, name) {
			want.say(m.Topic, string(m.payload()))
			h.house.Fail = refused
			err := h.Handle(t.Context(), mqtt.Message{Topic: m.Topic, Payload: m.payload(), ReceivedAt: h.now.Add(time.Second)})
			if err != nil && !errors.Is(err, refused) {
				t.Fatal(err)
			}
			h.house.Fail = nil
			h.say(m.Topic, string(m.payload()))
		}
		if diff := cmp.Diff(want.dump(), h.dump()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A device that there was no room for is there with its next message after there is.
func TestALeftOutDeviceIsNotLost(t *testing.T) {
	for name, topics := range shellyTwins {
		translator := ecosystems[name]()
		h := newHome(t, translator)
		for _, most := range []int{1, 2} {
			h.Engine = discovery.NewEngine(h.house, translator, discovery.Options{Options: dialect.Options{MaxEntities: most}})
			for range 2 {
				for _, topic := range topics {
					h.say(topic, `{"output":true}`)
				}
			}
			if _, entities, _ := h.house.Counts(); entities != most {
				t.Errorf("%s: %d entities, where there is room for %d", name, entities, most)
			}
		}
	}
}

// Keys of devices that are not known are nothing, and take no memory.
func TestForgetOfTheUnknown(t *testing.T) {
	one, two := new(Shelly1), new(Shelly2)
	for _, key := range []string{"", "shellies/", "shellies/shelly1-A1", "shellyplus1-aabbccddeeff", "shellies/shellies/x"} {
		one.Forget(key)
		two.Forget(key)
	}
	if len(one.memory.devices) != 0 || len(two.memory.devices) != 0 {
		t.Errorf("remembered: %v, %v", one.memory.devices, two.memory.devices)
	}
}

// shellyTwins are topics of two devices that have a switch each.
var shellyTwins = map[string][2]string{
	"shelly-gen1": {"shellies/shelly1-A1/relay/0", "shellies/shelly1-B2/relay/0"},
	"shelly-gen2": {"shellyplus1-aabbccddeeff/status/switch:0", "shellyplus1-aabbccddee00/status/switch:0"},
}

// Only the device of the key is announced again.
func TestForgetIsOfOneDevice(t *testing.T) {
	for name, topics := range shellyTwins {
		tr, payload := ecosystems[name](), []byte(`{"output":true}`)
		first, err := translate(tr, topics[0], payload)
		if err != nil || len(first) != 1 {
			t.Fatalf("%s: %v, %v", topics[0], first, err)
		}
		if all, err := translate(tr, topics[1], payload); err != nil || len(all) != 1 {
			t.Fatalf("%s: %v, %v", topics[1], all, err)
		}
		forget(tr, first)
		for i, want := range []int{1, 0} {
			if all, err := translate(tr, topics[i], payload); err != nil || len(all) != want {
				t.Errorf("%s: %v, %v", topics[i], all, err)
			}
		}
	}
}

// Announcements are made, and forgotten, by several goroutines at once.
func TestForgetMeanwhile(t *testing.T) {
	for _, name := range []string{"shelly-gen1", "shelly-gen2"} {
		tr, all := ecosystems[name](), recordings(t, name)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for _, m := range all {
					announced, err := translate(tr, m.Topic, m.payload())
					if err != nil {
						t.Error(err)
					}
					forget(tr, announced)
				}
			})
		}
		group.Wait()
	}
}
