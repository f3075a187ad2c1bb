package native

import (
	"slices"
	"strconv"
)

// Modes of a switch. Those that are even and not 0 are mostly their predecessor turned round.
const (
	switchToggle         = 0
	switchPushButton     = 3
	switchPushHoldInv    = 6
	switchPushToggle     = 7
	switchToggleMulti    = 8
	switchFollowMulti    = 9
	switchFollowMultiInv = 10
	switchPushOn         = 13
	switchPushOnInv      = 14
)

// switchInputs are the switches: what follows its position is a binary sensor, and what is pressed is an event.
func (c *tasmotaConfig) switchInputs() []entity {
	var all []entity
	for i, mode := range c.switches {
		name := "Switch" + strconv.Itoa(i+1)
		shown := "Switch " + strconv.Itoa(i+1)
		if i < len(c.switchNames) && c.switchNames[i] != "" {
			name = c.switchNames[i]
			shown = firstText(name, shown)
		}
		if mode < switchToggle || !plainText(name) || len(name) > maxName {
			continue
		}
		// What is either pressed or changes over has no position.
		if mode != switchToggle && mode != switchPushToggle && mode != switchToggleMulti && (mode <= switchFollowMultiInv || mode == switchPushOn || mode == switchPushOnInv) {
			all = append(all, c.switchSensor(i, mode, name, shown))
		}
		if types := c.switchActions(mode); len(types) > 0 {
			all = append(all, c.pressed("switch_"+strconv.Itoa(i), name, shown, "SWITCH"+strconv.Itoa(i+1), types))
		}
	}
	return all
}

// switchActions are the words that a switch says when it is pressed. The first of the device's is that for a press, the
// second that for holding, with which some modes say that it was pressed twice.
func (c *tasmotaConfig) switchActions(mode int) []string {
	takes := 0
	switch mode {
	case switchToggle, switchPushButton, switchPushButton + 1, switchPushToggle, 11, 12:
		takes = 1
	case switchPushHoldInv - 1, switchPushHoldInv, switchToggleMulti:
		takes = 2
	case switchFollowMulti, switchFollowMultiInv:
		if len(c.actions) > 1 {
			return c.actions[1:2]
		}
	}
	return c.actions[:min(takes, len(c.actions))]
}

func (c *tasmotaConfig) switchSensor(i, mode int, name, shown string) entity {
	action := jsonPath(name, "Action") // what is not one of the two is an event
	from := c.results("{{ "+action+" if "+action+" in "+quotedList([]string{c.stateOn, c.stateOff})+" }}", "SWITCH"+strconv.Itoa(i+1))
	config := c.common.with(fields{"payload_on": c.stateOn, "payload_off": c.stateOff})
	if mode == switchPushOn || mode == switchPushOnInv {
		config["off_delay"] = 1 // a motion sensor says only that it begins
	} else {
		from = append(from, source{c.tele + "SENSOR", inJSON(name)}, source{c.stat + "STATUS10", inJSON("StatusSNS", name)},
			source{c.stat + "STATUS8", inJSON("StatusSNS", name)})
	}
	config["state_topic"] = sources(from...)
	return entity{component: "binary_sensor", key: "switch_" + strconv.Itoa(i), name: shown, config: config}
}

// buttonEvents are the buttons that send what is done with them.
func (c *tasmotaConfig) buttonEvents() []entity {
	types := []string{"SINGLE", "DOUBLE", "TRIPLE", "QUAD", "PENTA", "HOLD"}
	if c.option("13") {
		types = types[:1]
	}
	var all []entity
	for i, used := range c.buttons {
		number := strconv.Itoa(i + 1)
		if used == 1 {
			all = append(all, c.pressed("button_"+strconv.Itoa(i), "Button"+number, "Button "+number, "BUTTON"+number, types))
		}
	}
	return all
}

// pressed is an event that the device reports as {"Button1":{"Action":"SINGLE"}}.
func (c *tasmotaConfig) pressed(key, name, shown, topic string, types []string) entity {
	action := jsonPath(name, "Action")
	said := "{% if " + action + " in " + quotedList(types) + " %}{{ {'event_type': " + action + "} | to_json }}{% endif %}"
	config := c.common.with(fields{"state_topic": sources(c.results(said, topic)...), "event_types": words(types...)})
	delete(config, "expire_after") // what happened does not expire
	e := entity{component: "event", key: key, name: shown, config: config}
	e.class = "button"
	return e
}

// statusSensors tell of the device itself.
func (c *tasmotaConfig) statusSensors() []entity {
	type status struct {
		key  string
		path []any
		reading
	}
	plain := func(name string) reading { return reading{name: name} }
	all := []status{
		{"rssi", []any{"Wifi", "RSSI"}, measured("RSSI", "", "%").hidden()},
		{"signal", []any{"Wifi", "Signal"}, measured("Signal", "signal_strength", "dBm").hidden()},
		{"ssid", []any{"Wifi", "SSId"}, plain("SSID").hidden()},
		{"link_count", []any{"Wifi", "LinkCount"}, counted("WiFi connect count", "", "").hidden()},
		{"mqtt_count", []any{"MqttCount"}, counted("MQTT connect count", "", "").hidden()},
		{"uptime", []any{"UptimeSec"}, measured("Uptime", "duration", "s").hidden()},
	}
	if c.battery {
		all = append(all, status{"battery", []any{"BatteryPercentage"}, measured("Battery level", "battery", "%")})
	}
	entities := make([]entity, 0, len(all)+1)
	for _, s := range all {
		from := sources(source{c.tele + "STATE", inJSON(s.path...)}, source{c.stat + "STATUS11", inJSON(slices.Insert(s.path, 0, any("StatusSTS"))...)})
		entities = append(entities, s.diagnosis().entity("status_"+s.key, "", from, c.common))
	}
	restart := sources(source{c.stat + "STATUS1", inJSON("StatusPRM", "RestartReason")}, source{c.tele + "INFO3", inJSON("Info3", "RestartReason")})
	return append(entities, plain("Restart reason").hidden().diagnosis().entity("status_restart_reason", "", restart, c.common))
}
