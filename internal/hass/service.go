package hass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/state"
)

// Dispatcher has devices do what somebody wants: [dispatch.Dispatcher] does. It may be called by any number of goroutines.
type Dispatcher interface {
	Call(ctx context.Context, c dispatch.Call) (dispatch.Result, error)
}

// serviceCall is a call of a service, as a client makes it.
type serviceCall struct {
	domain, service string
	// target says for what, and data how.
	target target
	data   *entityv1.Value
	// wait is how long the call waits for the answers of the devices; 0 means that it ends when everything is sent.
	wait time.Duration
}

// called is what became of a call for one entity.
type called struct {
	entity string
	result dispatch.Result
	err    error
}

// maxData is the most fields that the data of a service has.
const maxData = 64

// newServiceCall reads the data of a service, and for what it is: in the data itself, or in a target, which counts more.
func newServiceCall(domain, service string, data, aim jsonObject) (serviceCall, error) {
	c := serviceCall{domain: domain, service: service}
	if !knownService(domain, service) {
		// Home Assistant answers 400 by REST.
		return c, &failure{http.StatusBadRequest, codeNotFound, fmt.Sprintf("Service %.64s.%.64s not found.", domain, service)}
	}
	fields := map[string]json.RawMessage{}
	for _, o := range []jsonObject{data, aim} {
		if len(o) == 0 {
			continue
		}
		if err := json.Unmarshal(o, &fields); err != nil {
			return c, invalid("Message incorrectly formatted: the data of a service is an object")
		}
	}
	if len(fields) > maxData {
		return c, invalid("%d fields in the data of a service; there may be %d", len(fields), maxData)
	}
	var err error
	if c.target, err = takeTarget(fields); err != nil {
		return c, err
	}
	all := &entityv1.StructValue{}
	for name, text := range fields {
		v, err := state.ValueFromJSON(text)
		if err != nil { // its text, which may be a code, stays out
			return c, invalid("the field %.64q of the data of the service cannot be read", name)
		}
		all.Fields = append(all.Fields, &entityv1.Field{Name: name, Value: v})
	}
	c.data = &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: all}}
	if domain != generic { // wrong data is wrong, whatever the service is called for
		_, err = command.FromService(domain, service, c.data, domain+".any")
	}
	return c, err
}

// generic is the domain of the services that are for entities of any domain.
const generic = "homeassistant"

// call calls a service for each entity that it is meant for, all at once, and says what became of each, sorted by entity.
//
// As in Home Assistant, entities that are not there, are of another domain, are disabled or cannot be reached are left out.
// What an entity cannot do is an error where it was named, and nothing where it was meant as one of many.
func (v *view) call(ctx context.Context, d Dispatcher, who *access.Identity, c serviceCall) ([]called, error) {
	if err := v.changeable(); err != nil {
		return nil, err
	}
	if d == nil {
		return nil, &failure{http.StatusServiceUnavailable, codeError, "commands are not taken yet; try again soon"}
	}
	m := v.now()
	meant, err := c.target.resolve(m, who, c.domain)
	if err != nil {
		return nil, err
	}
	all := make([]called, 0, len(meant))
	var calls []dispatch.Call
	for _, e := range meant {
		if _, err := command.FromService(c.domain, c.service, nil, e.id); err != nil {
			continue // a sensor cannot be turned on
		}
		r, err := command.FromService(c.domain, c.service, c.data, e.id)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.id, err)
		}
		all = append(all, called{entity: e.id})
		calls = append(calls, dispatch.Call{Request: r, Source: who.Source(), Wait: c.wait > 0})
	}
	if c.wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.wait)
		defer cancel()
	}
	callAll(ctx, d, calls, all)
	return kept(all, meant)
}

// maxAtOnce is how many entities of one call are called at a time.
const maxAtOnce = 32

func callAll(ctx context.Context, d Dispatcher, calls []dispatch.Call, into []called) {
	var calling sync.WaitGroup
	room := make(chan struct{}, maxAtOnce)
	for i := range calls {
		room <- struct{}{}
		calling.Go(func() {
			defer func() { <-room }()
			into[i].result, into[i].err = d.Call(ctx, calls[i])
		})
	}
	calling.Wait()
}

// kept are the entities that were called, and the first error that is one.
func kept(all []called, meant []aimed) ([]called, error) {
	named := map[string]bool{}
	for _, e := range meant {
		named[e.id] = e.named
	}
	var wrong error
	all = slices.DeleteFunc(all, func(c called) bool {
		err := c.err
		switch {
		case c.result.Command != 0 && errors.Is(err, context.DeadlineExceeded):
			return false // it was waited for long enough
		case err == nil && c.result.Outcome == eventv1.CommandOutcome_COMMAND_OUTCOME_FAILED:
			err = &failure{http.StatusInternalServerError, codeError, c.result.Reason}
		case errors.Is(err, statehouse.ErrNotFound), errors.Is(err, dispatch.ErrDisabled), errors.Is(err, dispatch.ErrUnavailable),
			errors.Is(err, command.ErrUnsupported) && !named[c.entity]:
			return true
		}
		if err != nil && wrong == nil {
			wrong = fmt.Errorf("%s: %w", c.entity, err)
			var f *failure
			if errors.As(err, &f) {
				wrong = &failure{f.status, f.code, c.entity + ": " + f.message}
			}
		}
		return c.result.Command == 0
	})
	return all, wrong
}

// contextOf is the context of a call: the first of the commands that it became. Where it became none it leads nowhere.
func (v *view) contextOf(ctx context.Context, who *access.Identity, all []called) (eventContext, error) {
	var first eventstore.Position
	for _, c := range all {
		if first == 0 || c.result.Command < first {
			first = c.result.Command
		}
	}
	if first == 0 {
		name := who.Name()
		return eventContext{ID: contextID{uint64(time.Now().UnixMilli()), 0, v.origins.tag}.String(), UserID: &name}, nil
	}
	contexts, err := v.origins.contextsOf(ctx, who, []eventstore.Position{first})
	if err != nil {
		return eventContext{}, err
	}
	return contexts.context(first, contexts.found[first]), nil
}

// errNoResponse is the answer to who wants one: services do something, and answer nothing.
var errNoResponse error = &failure{http.StatusBadRequest, codeService, "no service here returns a response; call it without return_response"}

// callService ends when everything is sent, as Home Assistant's ends when its integrations have: whether devices do it, their
// states tell.
func callService(c *conn, m message) (answer, error) {
	var asked struct {
		Domain   string     `json:"domain"`
		Service  string     `json:"service"`
		Data     jsonObject `json:"service_data"`
		Target   jsonObject `json:"target"`
		Response bool       `json:"return_response"`
	}
	if err := m.decode(&asked); err != nil {
		return answer{}, err
	}
	if err := c.view.changeable(); err != nil {
		return answer{}, err
	}
	if asked.Response {
		return answer{}, errNoResponse
	}
	call, err := newServiceCall(asked.Domain, asked.Service, asked.Data, asked.Target)
	if err != nil {
		return answer{}, err
	}
	all, err := c.view.call(c.ctx, c.h.opts.Dispatcher(), c.who, call)
	if err != nil {
		return answer{}, err
	}
	context, err := c.view.contextOf(c.ctx, c.who, all)
	return answer{result: map[string]any{"context": context, "response": nil}}, err
}

// words is a value that is one text, several, or several separated by commas.
type words []string

// UnmarshalJSON implements json.Unmarshaler.
func (w *words) UnmarshalJSON(data []byte) error {
	var one string
	if string(data) == "null" {
		return nil
	}
	if json.Unmarshal(data, &one) == nil {
		*w = strings.Split(one, ",")
	} else {
		var several []string
		if err := json.Unmarshal(data, &several); err != nil {
			return errors.New("it is neither a text nor a list of texts")
		}
		*w = several
	}
	for i, s := range *w {
		(*w)[i] = strings.TrimSpace(s)
	}
	return nil
}
