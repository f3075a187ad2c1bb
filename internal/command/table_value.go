package command

// values are the domains of one value.
func values() []*domain {
	one := func(name, base string, kind Kind, arg string) *domain {
		p := param{name: arg, kind: kind, features: []string{base}, field: base, required: true, limits: kind == KindNumber}
		return &domain{
			name: name, base: base, implied: true, whole: true, bare: always(arg),
			actions: []action{{name: setValue, params: []param{p}, timeout: locks}},
		}
	}
	return []*domain{
		one("number", "value", KindNumber, argValue),
		one("text", "value", KindText, argValue),
		one("date", "value", KindDate, "date"),
		one("time", "value", KindTime, "time"),
		one("datetime", "timestamp", KindDateTime, "datetime"),
		selects(),
		{
			name: "button", base: "pressed", implied: true, words: map[string]string{"press": "press", "on": "press"},
			actions: []action{{name: "press", timeout: quick}},
		},
		{
			name: "scene", base: "activated", implied: true, words: map[string]string{"on": turnOn, "activate": turnOn},
			actions: []action{{name: turnOn, params: []param{ranged(argTransition, KindNumber, 0, 6553, unitSeconds)}, timeout: quick}},
		},
	}
}

func selects() *domain {
	cycle := []param{{name: argCycle, kind: KindBool}}
	return &domain{
		name: "select", base: argOption, implied: true, whole: true, bare: always(argOption),
		actions: []action{
			{name: selectOption, params: []param{need(option(argOption, argOption))}, timeout: locks},
			{name: "select_first", timeout: locks, resolve: resolveSelect},
			{name: "select_last", timeout: locks, resolve: resolveSelect},
			{name: "select_next", params: cycle, timeout: locks, resolve: resolveSelect},
			{name: "select_previous", params: cycle, timeout: locks, resolve: resolveSelect},
		},
	}
}
