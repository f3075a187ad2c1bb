package server

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// params reads the parameters of a request. The first thing that is wrong with them is in err.
type params struct {
	values url.Values
	err    error
}

// newParams takes the parameters that a route knows; any other is an error, so that a slip of the pen is not taken for
// the wish to see everything.
func newParams(r *http.Request, known ...string) *params {
	p := &params{}
	if p.values, p.err = url.ParseQuery(r.URL.RawQuery); p.err != nil {
		p.err = invalid("the query cannot be read: %v", p.err)
		return p
	}
	for name := range p.values {
		if !slices.Contains(known, name) {
			p.fail("there is no parameter %.60q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return p
}

func (p *params) fail(format string, args ...any) {
	if p.err == nil {
		p.err = invalid(format, args...)
	}
}

// one is the value of a parameter that may come once, empty where it does not.
func (p *params) one(name string) string {
	v := p.values[name]
	if len(v) > 1 {
		p.fail("%s comes %d times; it may come once", name, len(v))
	}
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

// number is a whole number, 0 where the parameter does not come.
func (p *params) number(name string, least, most uint64) uint64 {
	text := p.one(name)
	if !p.values.Has(name) {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n < least || n > most {
		p.fail("%s=%.40q is not a whole number from %d to %d", name, text, least, most)
		return 0
	}
	return n
}

func (p *params) position(name string) eventstore.Position {
	return eventstore.Position(p.number(name, 0, uint64(eventstore.MaxPosition)))
}

// at is a moment, the present one where the parameter does not come.
func (p *params) at(name string) api.At {
	text := p.one(name)
	at, err := api.ParseAt(text)
	if err != nil || text == "" && p.values.Has(name) {
		p.fail("%s=%.60q is neither a time nor a position; %s", name, text, api.AtForms)
	}
	return at
}

// where is a filter, which chooses all where the parameter does not come.
func (p *params) where(name string) api.Where {
	text := p.one(name)
	w, err := api.ParseWhere(text)
	if err != nil {
		p.fail("%s: %v", name, err)
	} else if text == "" && p.values.Has(name) {
		p.fail("%s is empty; write an expression, as in domain == \"light\" && state.light.on", name)
	}
	return w
}

// flag is a yes or no, no where the parameter does not come.
func (p *params) flag(name string) bool {
	switch text := p.one(name); text {
	case "", "0", "false":
		return false
	case "1", "true":
		return true
	default:
		p.fail("%s=%.40q is neither 1 nor 0", name, text)
		return false
	}
}

// entities are entity ids; the parameter may come any number of times.
func (p *params) entities(name string) []string {
	for _, id := range p.values[name] {
		if err := eventstore.CheckEntityID(id); err != nil {
			p.fail("%s: %v", name, err)
		}
	}
	return p.values[name]
}

// domains are the parts of entity ids before the dot.
func (p *params) domains(name string) []string {
	for _, d := range p.values[name] {
		if eventstore.CheckEntityID(d+".x") != nil {
			p.fail("%s=%.60q is not a domain, as light or binary_sensor is", name, d)
		}
	}
	return p.values[name]
}

// storeKinds are the kinds without a dot.
var storeKinds = []eventstore.Kind{
	eventstore.KindStateChanged, eventstore.KindStateReported, eventstore.KindEntityRegistered,
	eventstore.KindEntityUnregistered, eventstore.KindEntityRenamed, eventstore.KindDeviceRegistered,
	eventstore.KindDeviceUnregistered, eventstore.KindAreaRegistered, eventstore.KindAreaUnregistered,
	eventstore.KindCommandIssued, eventstore.KindCommandSettled, eventstore.KindSystem, eventstore.KindHistoryRemoved,
}

func (p *params) kinds(name string) []eventstore.Kind {
	var kinds []eventstore.Kind
	for _, text := range p.values[name] {
		k := eventstore.Kind(text)
		if !slices.Contains(storeKinds, k) && !strings.Contains(text, ".") {
			p.fail("%s=%.60q is no kind of event; there are %v, and those of other programs, with a dot", name, text, storeKinds)
		}
		kinds = append(kinds, k)
	}
	return kinds
}

func (p *params) sources(name string) []string {
	for _, s := range p.values[name] {
		if len(s) > eventstore.MaxName {
			p.fail("%s=%.60q… is longer than the %d bytes of a source", name, s, eventstore.MaxName)
		}
	}
	return p.values[name]
}
