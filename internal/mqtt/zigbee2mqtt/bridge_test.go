package zigbee2mqtt

import (
	"fmt"
	"testing"
)

func TestBridgeInfo(t *testing.T) {
	b := newBench(t, Options{})
	info := `{"version":"2.1","log_level":"info","permit_join":%v,"restart_required":true,"coordinator":{"ieee_address":"0xc","type":"zStack","meta":{"revision":7}}}`
	b.say("zigbee2mqtt/bridge/info", fmt.Sprintf(info, true))
	b.expect("switch.zigbee2mqtt_bridge_permit_join", `{"on":true}`)
	b.expect("sensor.zigbee2mqtt_bridge_version", `{"text":"2.1"}`)
	b.expect("select.zigbee2mqtt_bridge_log_level", `{"option":"info"}`)
	b.expect("binary_sensor.zigbee2mqtt_bridge_restart_required", `none`)
	device, _ := b.house.Registry.Revision().Device(b.bridgeID)
	if device.GetSoftwareVersion() != "2.1" || device.GetHardwareVersion() != "zStack 7" || device.GetAddress() != "0xc" {
		t.Error(device)
	}
	b.expectKinds(b.stored("zigbee2mqtt/bridge/info", fmt.Sprintf(info, false)), "state_changed switch.zigbee2mqtt_bridge_permit_join")
	b.expectKinds(b.say("zigbee2mqtt/bridge/info", fmt.Sprintf(info, false)), "")
}
