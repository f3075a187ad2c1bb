package discovery

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/template"
	"github.com/statehouse/statehouse/state"
)

// reading is what a message says of one entity.
type reading struct {
	*item
	made *compiled
	// said is what it says to each input that listens to the topic.
	said []saying
	// reaches says that the message came on one of the entity's topics of availability.
	reaches bool
}

type saying struct {
	input *Input
	said  Said
}

// message is one that is being taken in: what its templates make of it is worked out once.
type message struct {
	mqtt.Message
	payload  *template.Payload
	rendered map[*template.Template]rendered
	tooLong  int // templates that took more than they may
}

// tooLongPatience is how many templates of one message may take more than they may; the others are not run then. A hostile publisher can
// have a thousand entities listen to one topic, each with another template.
const tooLongPatience = 3

var errTooManyTooLong = fmt.Errorf("%w: %d templates of this message did", template.ErrTooLong, tooLongPatience)

// rendered is what a template makes of a message.
type rendered struct {
	text string
	err  error
	read func() (*entityv1.Value, error)
}

// report takes in a message on a topic that entities listen to: one atomic batch. Templates are run before the writer's
// turn, and JSON is read there. A message on a topic of availability keeps others of that kind out until it is decided: what was
// said last is to be what is recorded last.
func (e *Engine) report(ctx context.Context, m mqtt.Message, uses []*item) error {
	if len(m.Payload) == 0 {
		e.Counters.Ignore(dialect.ReasonEmpty)
		return nil
	}
	taken := &message{Message: m, payload: template.NewPayload(m.Payload), rendered: map[*template.Template]rendered{}}
	stale := m.Retained && e.catalog.sameStored(m.Topic, sha256.Sum256(m.Payload))
	readings := make([]reading, 0, len(uses))
	var bad error
	reached := false
	for _, it := range uses {
		made, err := e.catalog.compile(it)
		if err != nil {
			bad = err
			continue
		}
		r := reading{item: it, made: made, reaches: made.listensForAvailability(m.Topic)}
		reached = reached || r.reaches
		if !stale {
			if err := r.read(taken); err != nil {
				bad = err
			}
		}
		if r.reaches || len(r.said) > 0 {
			readings = append(readings, r)
		}
	}
	if bad != nil {
		e.Complain(m, dialect.ReasonMalformed, bad)
	}
	if len(readings) == 0 {
		if bad == nil {
			e.Counters.Ignore(dialect.ReasonUnchanged)
		}
		return nil
	}
	if reached {
		e.reaching.Lock()
		defer e.reaching.Unlock()
		e.hear(m, readings)
	}
	return e.decide(ctx, m, readings)
}

// hear notes what a message says of availability. Its caller holds reaching.
func (e *Engine) hear(m mqtt.Message, readings []reading) {
	payload, heard := string(m.Payload), map[string]bool{}
	e.reachable.hear(m.Topic, payload)
	for i := range readings {
		for j := range readings[i].made.reaches {
			one := &readings[i].made.reaches[j]
			if one.topic == m.Topic && !heard[one.key] {
				heard[one.key] = true
				e.reachable.say(one, one.read(payload))
			}
		}
	}
}

// decide records what follows from what a message says.
func (e *Engine) decide(ctx context.Context, m mqtt.Message, readings []reading) error {
	var unfits error
	err := e.Decide(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
		b := e.NewBatch(p, m.ReceivedAt)
		unfits = nil
		for i := range readings {
			unfit, err := e.decideOne(b, &readings[i], m)
			switch {
			case errors.Is(err, dialect.ErrStateTooLarge): // the others are none the worse for it
				unfits = errors.Join(unfits, err)
			case err != nil:
				return nil, err
			}
			unfits = errors.Join(unfits, unfit)
		}
		return b, nil
	})
	if err == nil && unfits != nil {
		e.Complain(m, dialect.ReasonMalformed, unfits)
	}
	return err
}

// read runs the templates of the inputs that listen to a message's topic. A template that needs what the message does not
// speak of says nothing.
func (r *reading) read(m *message) (bad error) {
	for i := range r.made.inputs {
		in := &r.made.inputs[i]
		if in.Momentary && m.Retained {
			continue
		}
		for _, s := range in.Sources {
			if s.Topic != m.Topic {
				continue
			}
			made := m.render(s.Template)
			switch {
			case errors.Is(made.err, template.ErrUndefined):
			case made.err != nil:
				bad = made.err
			case made.text != "":
				r.said = append(r.said, saying{in, Said{Text: made.text, Payload: m.payload, At: m.ReceivedAt, read: made.read}})
			}
		}
	}
	return bad
}

// render is what a template makes of the message, nil for none.
func (m *message) render(t *template.Template) rendered {
	made, ok := m.rendered[t]
	if ok {
		return made
	}
	switch made.text = string(m.Payload); {
	case t == nil:
	case m.tooLong >= tooLongPatience:
		made.err = errTooManyTooLong
	default:
		if made.text, made.err = t.Render(m.payload, nil); errors.Is(made.err, template.ErrTooLong) {
			m.tooLong++
		}
	}
	text := made.text
	made.read = sync.OnceValues(func() (*entityv1.Value, error) { return state.ValueFromJSON([]byte(text)) })
	if start := strings.TrimSpace(text); made.err == nil && start != "" && (start[0] == '{' || start[0] == '[') {
		_, _ = made.read() // now, and not in the writer's turn; whoever needs it sees its error
	}
	m.rendered[t] = made
	return made
}

// decideOne appends what follows for one entity. It is a function of the pending state, the reading and what was said of
// availability; beside that it sets deadlines, which a second run sets again.
func (e *Engine) decideOne(b *dialect.Batch, r *reading, m mqtt.Message) (unfits, err error) {
	entry, ok := b.Pending.EntityByUniqueID(r.unique)
	if !ok || !dialect.Enabled(entry) {
		return nil, nil
	}
	st, old := b.StateOf(entry.GetId())
	a := proto.CloneOf(old)
	spoken := false
	for _, s := range r.said {
		switch err := s.input.Set(a, s.said); {
		case err == nil:
			spoken = true
		case !errors.Is(err, ErrIgnored):
			unfits = errors.Join(unfits, err)
		}
	}
	if r.made.component.Finish != nil {
		r.made.component.Finish(r.made.config, a)
	}
	// What a broker had stored is a sign of life of an entity that nothing is known of, and of no other.
	alive := spoken && (!m.Retained || old.GetDomain() == nil)
	if alive {
		for _, d := range deadlinesOf(r.unique, r.made.config, a, m.ReceivedAt) {
			e.deadlines.set(d)
		}
	}
	expires := r.made.config.seconds(keyExpireAfter)
	if r.reaches || alive && expires > 0 {
		a.Availability = e.availability(r, a.GetAvailability(), alive && expires > 0)
	}
	return unfits, b.Report(entry.GetId(), dialect.Report{
		Before: st, Old: old, New: a, At: m.ReceivedAt, Spoken: spoken, Stored: m.Retained,
		Always: r.made.config.Flag(keyForceUpdate, false) || expires > 0 && m.ReceivedAt.Sub(st.UpdatedAt) >= expires/2,
	})
}

// availability is whether an entity can be reached, which its topics say and its silence.
func (e *Engine) availability(r *reading, before entityv1.Availability, heard bool) entityv1.Availability {
	said := e.reachable.of(r.made)
	switch {
	case said == offline || e.deadlines.silent(r.unique):
		return offline
	case said == online || heard && (before != offline || len(r.made.reaches) == 0):
		return online
	default:
		return before
	}
}
