package command

import "time"

func covers() []*domain {
	state := []string{"state", argPosition}
	stop := []string{"state"}
	position := need(percent(argPosition, argPosition, argPosition))
	tilt := "tilt_position"
	movable := func(name string, tilts bool) *domain {
		d := &domain{
			name: name, base: "state", implied: true, bare: barePosition,
			words: map[string]string{
				"open": "open_" + name, "close": "close_" + name, "stop": "stop_" + name, "toggle": toggle,
				"on": "open_" + name, "off": "close_" + name, turnOn: "open_" + name, turnOff: "close_" + name,
			},
			actions: []action{
				{name: "open_" + name, needs: state, sets: is("state", text("open")), timeout: motors},
				{name: "close_" + name, needs: state, sets: is("state", text("closed")), timeout: motors},
				{name: "stop_" + name, needs: stop, timeout: quick},
				{name: toggle, needs: state, timeout: motors, resolve: resolveMovable},
				{name: "set_" + name + "_position", params: []param{position}, needs: position.features, timeout: motors},
			},
		}
		if tilts {
			needs := []string{tilt}
			d.names = map[string]string{"tilt": tilt}
			d.actions = append(d.actions,
				action{name: "open_cover_tilt", needs: needs, sets: is(tilt, number(100)), timeout: motors},
				action{name: "close_cover_tilt", needs: needs, sets: is(tilt, number(0)), timeout: motors},
				action{name: "stop_cover_tilt", needs: needs, timeout: quick},
				action{name: "toggle_cover_tilt", needs: needs, timeout: motors, resolve: resolveTilt},
				action{name: "set_cover_tilt_position", params: []param{need(percent(tilt, tilt, tilt))}, needs: needs, timeout: motors},
			)
		}
		return d
	}
	return []*domain{movable("cover", true), movable("valve", false), lock(), alarm()}
}

func lock() *domain {
	with := []param{code()}
	return &domain{
		name: "lock", base: "state", implied: true,
		words: map[string]string{"lock": "lock", "unlock": "unlock", "open": "open"},
		actions: []action{
			{name: "lock", params: with, sets: is("state", text("locked")), timeout: locks},
			{name: "unlock", params: with, sets: is("state", text("unlocked")), timeout: locks},
			{name: "open", params: with, needs: []string{"open"}, sets: is("state", text("open")), timeout: locks},
		},
	}
}

func alarm() *domain {
	d := &domain{
		name: "alarm_control_panel", base: "state", implied: true,
		words: map[string]string{
			"disarm": "alarm_disarm", "trigger": "alarm_trigger", "off": "alarm_disarm",
			"arm_home": "alarm_arm_home", "arm_away": "alarm_arm_away", "arm_night": "alarm_arm_night",
			"arm_vacation": "alarm_arm_vacation", "home": "alarm_arm_home", "away": "alarm_arm_away",
			"night": "alarm_arm_night", "vacation": "alarm_arm_vacation",
		},
	}
	add := func(name, state string, timeout time.Duration) {
		d.actions = append(d.actions, action{
			name: name, params: []param{code()}, sets: is("state", text(state)), timeout: timeout,
		})
	}
	add("alarm_disarm", "disarmed", locks)
	for _, mode := range []string{"home", "away", "night", "vacation", "custom_bypass"} {
		add("alarm_arm_"+mode, "armed_"+mode, alarms)
	}
	add("alarm_trigger", "triggered", locks)
	return d
}
