package command

func climates() []*domain {
	return []*domain{climate(), waterHeater(), humidifier(), fan()}
}

// temperatures are the arguments of a set temperature, between limits in °C.
func temperatures(low, high float64) []param {
	target := func(name, field string) param {
		return limited(answeredBy(ranged(name, KindNumber, low, high, unitTemperature, field), field))
	}
	return []param{
		target(argTemperature, "target_temperature"),
		target(argHigh, "target_temperature_high"),
		target(argLow, "target_temperature_low"),
	}
}

var targetFeatures = []string{"target_temperature", "target_temperature_high", "target_temperature_low"}

func climate() *domain {
	mode := option(argHvacMode, argHvacMode, "off", "heat", "cool", "heat_cool", "auto", "dry", "fan_only")
	modes := []string{argHvacMode}
	one := func(name, feature string) action {
		return action{name: name, params: []param{need(option(feature, feature))}, needs: []string{feature}, timeout: locks}
	}
	humidity := answeredBy(ranged("humidity", KindNumber, 0, 100, unitPercent, "target_humidity"), "target_humidity")
	return &domain{
		name: "climate", base: argHvacMode, words: onOffWords, bare: bareClimate,
		names: map[string]string{
			"mode": argHvacMode, "preset": argPreset, "fan": "fan_mode", "swing": "swing_mode", "target": argTemperature,
			"high": argHigh, "low": argLow, "target_temperature": argTemperature,
		},
		actions: []action{
			{name: setHvacMode, params: []param{need(mode)}, needs: modes, timeout: locks},
			{name: "set_temperature", params: append(temperatures(7, 35), mode), needs: targetFeatures, timeout: locks, resolve: resolveTemperature},
			{name: turnOn, params: []param{mode}, needs: modes, timeout: locks, resolve: resolveModeOn(argHvacMode, setHvacMode)},
			{name: turnOff, needs: modes, timeout: locks, resolve: resolveModeOff(argHvacMode, setHvacMode)},
			{name: toggle, needs: modes, timeout: locks, resolve: resolveModeToggle(argHvacMode)},
			one("set_fan_mode", "fan_mode"),
			one("set_preset_mode", argPreset),
			one("set_swing_mode", "swing_mode"),
			one("set_swing_horizontal_mode", "swing_horizontal_mode"),
			{name: "set_humidity", params: []param{need(limited(humidity))}, needs: humidity.features, timeout: locks},
		},
	}
}

func waterHeater() *domain {
	mode := option(argOperation, argOperation, "off", "eco", "electric", "gas", "heat_pump", "high_demand", "performance")
	modes := []string{argOperation}
	away := param{name: "away_mode", kind: KindBool, features: []string{"away_mode"}, field: "away_mode", required: true}
	return &domain{
		name: "water_heater", base: argOperation, words: onOffWords, bare: bareMode(argTemperature, argOperation),
		names: map[string]string{"mode": argOperation, "away": "away_mode", "target": argTemperature},
		actions: []action{
			{name: setOperation, params: []param{need(mode)}, needs: modes, timeout: locks},
			{name: "set_temperature", params: append(temperatures(0, 100), mode), needs: targetFeatures, timeout: locks, resolve: resolveTemperature},
			{name: turnOn, params: []param{mode}, needs: modes, timeout: locks, resolve: resolveModeOn(argOperation, setOperation)},
			{name: turnOff, needs: modes, timeout: locks, resolve: resolveModeOff(argOperation, setOperation)},
			{name: toggle, needs: modes, timeout: locks, resolve: resolveModeToggle(argOperation)},
			{name: "set_away_mode", params: []param{away}, needs: away.features, timeout: locks},
		},
	}
}

func humidifier() *domain {
	humidity := answeredBy(ranged("humidity", KindNumber, 0, 100, unitPercent, "target_humidity"), "target_humidity")
	mode := option("mode", "mode", "normal", "eco", "away", "boost", "comfort", "home", "sleep", "auto", "baby")
	return &domain{
		name: "humidifier", base: "on", implied: true, words: onOffWords, bare: bareMode("humidity", "mode"),
		actions: append(onOff(nil, nil, nil),
			action{name: "set_humidity", params: []param{need(limited(humidity))}, needs: humidity.features, timeout: quick},
			action{name: "set_mode", params: []param{need(mode)}, needs: mode.features, timeout: quick},
		),
	}
}

func fan() *domain {
	percentage := percent(argPercentage, argPercentage, argPercentage)
	preset := option(argPreset, argPreset)
	oscillating := param{name: "oscillating", kind: KindBool, features: []string{"oscillating"}, field: "oscillating", required: true}
	direction := option("direction", "direction", "forward", "reverse")
	speed := []string{argPercentage}
	step := ranged(argPercentageStep, KindInteger, 1, 100, unitPercent, argPercentage)
	on := is("on", boolean(true))
	return &domain{
		name: "fan", base: "on", implied: true, words: onOffWords, bare: bareMode(argPercentage, argPreset),
		names: map[string]string{"speed": argPercentage, "preset": argPreset, "mode": argPreset},
		actions: append(onOff(resolveFan, []param{percentage, preset}, nil),
			action{name: setPercentage, params: []param{need(percentage)}, needs: speed, sets: on, timeout: quick, resolve: resolveFan},
			action{name: "set_preset_mode", params: []param{need(preset)}, needs: preset.features, sets: on, timeout: quick},
			action{name: "increase_speed", params: []param{step}, needs: speed, timeout: quick, resolve: resolveFanStep(1)},
			action{name: "decrease_speed", params: []param{step}, needs: speed, timeout: quick, resolve: resolveFanStep(-1)},
			action{name: "oscillate", params: []param{oscillating}, needs: oscillating.features, timeout: quick},
			action{name: "set_direction", params: []param{need(direction)}, needs: direction.features, timeout: quick},
		),
	}
}
