package command

func appliances() []*domain {
	speed := option("fan_speed", "fan_speed")
	activity := func(word string) []fact { return is("activity", text(word)) }
	return []*domain{
		{
			name: "vacuum", base: "activity", implied: true,
			names: map[string]string{"speed": "fan_speed"},
			words: map[string]string{
				"start": "start", "clean": "start", "pause": "pause", "stop": "stop", "locate": "locate", "spot": "clean_spot",
				"dock": "return_to_base", "return": "return_to_base", "home": "return_to_base",
			},
			actions: []action{
				{name: "start", sets: activity("cleaning"), timeout: robots},
				{name: "pause", sets: activity("paused"), timeout: robots},
				{name: "stop", sets: activity("idle"), timeout: robots},
				{name: "return_to_base", sets: activity("returning"), timeout: robots},
				{name: "clean_spot", sets: activity("cleaning"), timeout: robots},
				{name: "locate", timeout: locks},
				{name: "set_fan_speed", params: []param{need(speed)}, needs: speed.features, timeout: locks},
				{name: "send_command", needs: []string{"send_command"}, timeout: locks, params: []param{
					{name: "command", kind: KindText, required: true}, {name: "params", kind: KindAny},
				}},
			},
		},
		{
			name: "lawn_mower", base: "state", implied: true,
			words: map[string]string{"start": "start_mowing", "mow": "start_mowing", "pause": "pause", "dock": "dock", "return": "dock"},
			actions: []action{
				{name: "start_mowing", sets: is("state", text("mowing")), timeout: robots},
				{name: "pause", sets: is("state", text("paused")), timeout: robots},
				{name: "dock", sets: is("state", text("docked")), timeout: robots},
			},
		},
		{
			name: "update", base: "in_progress", implied: true, words: map[string]string{"install": "install", "update": "install"},
			actions: []action{{
				name: "install", timeout: updates, resolve: resolveUpdate, sets: is("in_progress", boolean(true)),
				params: []param{
					{name: argVersion, kind: KindText, features: []string{argVersion}},
					{name: "backup", kind: KindBool, features: []string{"backup"}},
				},
			}},
		},
	}
}
