package hass

import (
	"sync"

	"github.com/statehouse/statehouse/internal/command"
)

// serviceEntry is a service as get_services has it.
type serviceEntry struct {
	Name        string                  `json:"name"`
	Description string                  `json:"description"`
	Fields      map[string]serviceField `json:"fields"`
	Target      any                     `json:"target"`
}

// serviceField is a field of the data of a service.
type serviceField struct {
	Required bool           `json:"required"`
	Selector map[string]any `json:"selector"`
}

// services are the services that there are, by domain and name. They follow from what entities can be asked to do, and must
// not be modified.
var services = sync.OnceValue(func() map[string]map[string]serviceEntry {
	all := map[string]map[string]serviceEntry{generic: {}}
	for _, name := range []string{"turn_on", "turn_off", "toggle"} {
		all[generic][name] = serviceEntry{Name: name, Fields: map[string]serviceField{}, Target: map[string]any{"entity": []any{map[string]any{}}}}
	}
	for _, a := range command.Domains() {
		if all[a.Domain] == nil {
			all[a.Domain] = map[string]serviceEntry{}
		}
		s := serviceEntry{
			Name: a.Name, Fields: map[string]serviceField{},
			Target: map[string]any{"entity": []any{map[string]any{"domain": []string{a.Domain}}}},
		}
		for _, p := range a.Arguments {
			name := p.Name
			switch p.Kind {
			case command.KindXY, command.KindHS, command.KindRGB, command.KindRGBW, command.KindRGBWW:
				name += "_color" // as Home Assistant's clients call it
			}
			s.Fields[name] = serviceField{p.Required, selector(p)}
		}
		all[a.Domain][a.Name] = s
	}
	return all
})

func knownService(domain, service string) bool {
	_, ok := services()[domain][service]
	return ok
}

// selector says with what a field can be chosen, as Home Assistant's selectors are written.
func selector(p command.Argument) map[string]any {
	of := map[string]any{}
	set := func(name string, v *float64) {
		if v != nil {
			of[name] = number(*v)
		}
	}
	switch p.Kind {
	case command.KindNumber, command.KindInteger:
		set("min", p.Minimum)
		set("max", p.Maximum)
		set("step", p.Step)
		if p.Minimum == nil || p.Maximum == nil {
			of["mode"] = "box"
		}
		if p.Unit != "" {
			of["unit_of_measurement"] = p.Unit
		}
		return map[string]any{"number": of}
	case command.KindBool:
		return map[string]any{"boolean": of}
	case command.KindOption:
		if len(p.Options) == 0 {
			return map[string]any{"text": of}
		}
		return map[string]any{"select": map[string]any{"options": p.Options}}
	case command.KindText:
		return map[string]any{"text": of}
	case command.KindDate:
		return map[string]any{"date": of}
	case command.KindTime:
		return map[string]any{"time": of}
	case command.KindDateTime:
		return map[string]any{"datetime": of}
	case command.KindRGB:
		return map[string]any{"color_rgb": of}
	case command.KindTexts:
		return map[string]any{"text": map[string]any{"multiple": true}}
	default:
		return map[string]any{"object": of}
	}
}
