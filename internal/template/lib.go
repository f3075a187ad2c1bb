package template

import (
	"math"
	"sync"
)

// lib is what templates can use.
type lib struct {
	filters map[string]*builtin
	tests   map[string]*builtin
	globals map[string]any
	// maxSteps is the bound of one run.
	maxSteps int
}

// library is the one library. It is made when it is first needed, and never changes.
var library = sync.OnceValue(func() *lib {
	l := &lib{filters: map[string]*builtin{}, tests: map[string]*builtin{}, globals: map[string]any{}, maxSteps: maxSteps}
	for _, filters := range [][]*builtin{textFilters, sequenceFilters, selectFilters, numberFilters, castFilters, dataFilters, regexFilters, timeFilters} {
		for _, b := range filters {
			l.filters[b.name] = b
		}
	}
	for _, b := range tests {
		l.tests[b.name] = b
	}
	for _, functions := range [][]*builtin{castFilters, numberFilters, timeFilters, functions} {
		for _, b := range functions {
			l.globals[b.name] = b
		}
	}
	for alias, name := range map[string]string{"d": "default", "count": "length", "e": "escape", "forceescape": "escape"} {
		l.filters[alias] = l.filters[name]
	}
	for alias, name := range map[string]string{"==": "eq", "equalto": "eq", "!=": "ne", "<": "lt", "lessthan": "lt", "<=": "le", ">": "gt", "greaterthan": "gt", ">=": "ge"} {
		l.tests[alias] = l.tests[name]
	}
	for _, name := range []string{"slugify", "pack", "unpack", "typeof", "flatten"} {
		l.globals[name] = l.filters[name]
	}
	for _, name := range filterOnly {
		delete(l.globals, name)
	}
	for _, name := range statesOnly {
		l.globals[name] = &unavailable{name}
		l.filters[name] = define(name, "args*", func(*run, []any) (any, error) { return nil, (&unavailable{name}).err() })
		l.tests[name] = l.filters[name]
	}
	for _, name := range []string{"filter", "test"} {
		known := l.filters
		if name == "test" {
			known = l.tests
		}
		l.tests[name] = define(name, "name", func(_ *run, a []any) (any, error) {
			text, _ := a[0].(string)
			return known[text] != nil, nil
		})
	}
	l.globals["pi"], l.globals["e"], l.globals["tau"] = math.Pi, math.E, 2*math.Pi
	return l
})

// filterOnly are the filters of the shared tables that are no functions.
var filterOnly = []string{"round", "multiply", "add", "abs", "timestamp_custom", "timestamp_local", "timestamp_utc"}

// statesOnly is what Home Assistant has for its states, its registries and its configuration.
var statesOnly = []string{
	"states", "state_attr", "is_state", "is_state_attr", "has_value", "state_translated", "state_attr_translated", "expand",
	"closest", "distance", "device_entities", "device_attr", "is_device_attr", "device_id", "device_name", "config_entry_id",
	"config_entry_attr", "integration_entities", "area_id", "area_name", "area_entities", "area_devices", "areas", "floors",
	"floor_id", "floor_name", "floor_areas", "floor_entities", "labels", "label_id", "label_name", "label_entities",
	"label_devices", "label_areas", "issues", "issue", "is_hidden_entity", "this",
}
