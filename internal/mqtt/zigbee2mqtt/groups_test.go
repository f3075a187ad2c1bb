package zigbee2mqtt

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestGroups(t *testing.T) {
	b := newBench(t, Options{})
	group := func(members ...string) string {
		var list []string
		for _, m := range members {
			list = append(list, fmt.Sprintf(`{"ieee_address":%q,"endpoint":1}`, m))
		}
		return `[{"id":1,"friendly_name":"living/room","members":[` + strings.Join(list, ",") + `],"scenes":[]}]`
	}
	// The groups may come before the devices: the broker delivers what it retains in any order.
	b.say("zigbee2mqtt/bridge/groups", group("0x1"))
	b.expectIDs()
	warm := strings.Replace(exposeLight, `]}`, `,{"type":"numeric","name":"color_temp","property":"color_temp","access":7,"value_min":%d,"value_max":%d}]}`, 1)
	devices := "[" + strings.Join([]string{
		device("0x1", "one", fmt.Sprintf(warm, 150, 500)), device("0x2", "two", fmt.Sprintf(warm, 200, 400)),
		device("0x3", "plug", exposeSwitch, feature("binary", "child_lock", `,"value_on":"LOCK","value_off":"UNLOCK"`)),
	}, ",") + "]"
	b.say("zigbee2mqtt/bridge/devices", devices)
	if !slices.Contains(b.ids(), "light.living_room") {
		t.Error("the group did not learn what its member can do")
	}
	b.expectKinds(b.say("zigbee2mqtt/bridge/groups", group("0x1", "0x2", "0x3")),
		"entity_registered light.living_room, entity_registered switch.living_room")
	e, _ := b.house.Registry.Revision().Entity("light.living_room")
	limits := e.GetCapabilities().GetFeatureDetails()[2]
	if limits.GetName() != featureColorTemp || limits.GetMinimum() != 200 || limits.GetMaximum() != 400 {
		t.Error(limits)
	}
	b.expectKinds(b.say("zigbee2mqtt/living/room", `{"state":"ON","brightness":254,"color_temp":250}`),
		"state_changed light.living_room, state_changed switch.living_room")
	b.expect("light.living_room", `{"on":true,"brightness":255,"color_temp_kelvin":4000}`)
	b.expectKinds(b.say("zigbee2mqtt/living/room", `{"last_seen":"2026-11-23T01:45:08Z","linkquality":7,"elapsed":5}`), "")
	b.expectKinds(b.say("zigbee2mqtt/bridge/groups", group("0x1", "0x2", "0x3")), "")
	b.expectKinds(b.say("zigbee2mqtt/bridge/devices", devices), "")
	b.expectKinds(b.say("zigbee2mqtt/bridge/groups", group("0x1", "0x2")), "entity_unregistered switch.living_room")
	b.expectKinds(b.say("zigbee2mqtt/bridge/groups", `[{"friendly_name":"no id"}]`), "")
	b.expectKinds(b.say("zigbee2mqtt/bridge/groups", `[]`), "entity_unregistered light.living_room, device_unregistered")
	b.expectKinds(b.say("zigbee2mqtt/living/room", `{"state":"OFF"}`), "")
	if slices.Contains(b.ids(), "light.living_room") || len(b.ids()) != 7 {
		t.Error(b.ids())
	}
}
