package discovery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"unique"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
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
	// from and to are where what it says to the entity's inputs is among what the message says.
	from, to int
	at       int // the place of the message's topic among the entity's
	// reaches says that the message came on one of the entity's topics of availability.
	reaches bool
	// disabled says that the last run of the decision found the entity disabled: it takes nothing in.
	disabled bool
	// silent says that a run of the decision found that the entity had been silent for too long; a second run does not any more.
	silent bool
}

type saying struct {
	input *Input
	said  Said
}

// message is one that is being taken in: what its templates make of it is worked out once.
type message struct {
	mqtt.Message
	payload  *template.Payload
	raw      *template.Payload // the same as bytes, nil where nobody has asked for that
	rendered map[rendering]*rendered
	sayings  []saying
	readings []reading
	// env bounds what all its templates take together: a hostile publisher can have a thousand entities listen to one topic, each with
	// another template.
	env *template.Env
}

// rendering is a template, and whether value is bytes to it.
type rendering struct {
	template *template.Template
	raw      bool
}

// rendered is what a template makes of a message.
type rendered struct {
	text string
	err  error
	read func() (*entityv1.Value, error) // nil where it is not worth sharing

	once  sync.Once
	value *entityv1.Value
	bad   error
}

// json is the text as JSON, read once.
func (r *rendered) json() (*entityv1.Value, error) {
	r.once.Do(func() { r.value, r.bad = state.ValueFromJSON([]byte(r.text)) })
	return r.value, r.bad
}

// report takes in a message on a topic that entities listen to: one atomic batch. Templates are run before the writer's
// turn, and JSON is read there. A message on a topic of availability keeps others of that kind out until it is decided: what was
// said last is to be what is recorded last.
func (e *Engine) report(ctx context.Context, m mqtt.Message, uses []*item) error {
	if len(m.Payload) == 0 {
		e.Counters.Ignore(dialect.ReasonEmpty)
		return nil
	}
	if m.Retained {
		e.catalog.store(m.Topic, m.Payload)
	}
	taken, bad := e.take(m, uses)
	if e.says(taken, bad) {
		if taken.reaches() {
			e.reaching.Lock()
			defer e.reaching.Unlock()
			e.hear(taken)
		}
		if err := e.decide(ctx, taken); err != nil {
			return err
		}
	}
	if m.Retained {
		e.catalog.took(m.Topic, taken.enabled(uses))
	}
	return nil
}

// enabled are those of some items that were not found to be disabled.
func (m *message) enabled(uses []*item) []*item {
	for i := range m.readings {
		if r := &m.readings[i]; r.disabled {
			uses = slices.DeleteFunc(slices.Clone(uses), func(it *item) bool { return it == r.item })
		}
	}
	return uses
}

// Begin implements [dialect.Sequencer]: for fresh reports that say nothing of availability.
func (e *Engine) Begin(ctx context.Context, q *eventstore.Sequence, m mqtt.Message) func() error {
	select {
	case <-e.ready:
	default:
		return nil
	}
	if m.Retained || len(m.Payload) == 0 || len(m.Payload) > e.opts.MaxMessageBytes || e.announces(m.Topic) {
		return nil
	}
	uses := e.catalog.uses(m.Topic)
	if len(uses) == 0 || slices.ContainsFunc(uses, func(it *item) bool { return e.reachedOn(it, m.Topic) }) {
		return nil
	}
	taken, bad := e.take(m, uses)
	var unfits error
	if len(taken.readings) == 0 {
		return nil
	}
	wait := e.Intake.Begin(ctx, q, m, e.decision(taken, &unfits))
	if wait == nil {
		return nil
	}
	e.Counters.Received.Add(1)
	e.says(taken, bad)
	return func() error {
		again, err := wait()
		if again {
			return e.decide(ctx, taken)
		}
		e.misfit(taken, err, unfits)
		return err
	}
}

// reachedOn says that a topic is one of an entity's topics of availability.
func (e *Engine) reachedOn(it *item, topic string) bool {
	made, err := e.catalog.compile(it)
	return err == nil && made.reachesOn(slices.Index(it.topics, topic))
}

// take works out what a message says of the entities that listen to its topic.
func (e *Engine) take(m mqtt.Message, uses []*item) (taken *message, bad error) {
	taken = &message{
		Message: m, payload: template.NewPayload(m.Payload), readings: make([]reading, 0, len(uses)), env: bounded(),
	}
	for _, it := range uses {
		made, err := e.catalog.compile(it)
		if err != nil {
			bad = err
			continue
		}
		topic := slices.Index(it.topics, m.Topic)
		r := reading{item: it, made: made, at: topic, reaches: made.reachesOn(topic), from: len(taken.sayings)}
		if !m.Retained || !it.stored.has(topic) && !e.overtaken(m, it, topic) {
			if err := taken.read(made.feeds[topic], made.raw); err != nil {
				bad = err
			}
		}
		if r.to = len(taken.sayings); r.reaches || r.to > r.from {
			taken.readings = append(taken.readings, r)
		}
	}
	return taken, bad
}

// bounded has the templates that run in it share a budget.
func bounded() *template.Env { return &template.Env{Budget: &template.Budget{}} }

// overtaken says of a message that was fetched that an item has taken in a later one.
func (e *Engine) overtaken(m mqtt.Message, it *item, topic int) bool {
	return m.Fetched && !e.catalog.lacks(it, topic)
}

// says counts a message that says nothing, and complains of what is bad in it.
func (e *Engine) says(m *message, bad error) bool {
	if bad != nil {
		e.Complain(m.Message, dialect.ReasonMalformed, bad)
	} else if len(m.readings) == 0 {
		e.Counters.Ignore(dialect.ReasonUnchanged)
	}
	return len(m.readings) > 0
}

// reaches says that a message is about availability.
func (m *message) reaches() bool {
	return slices.ContainsFunc(m.readings, func(r reading) bool { return r.reaches })
}

// hear notes what a message says of availability. Its caller holds reaching.
func (e *Engine) hear(m *message) {
	heard := map[unique.Handle[manner]]bool{}
	latest := e.reachable.hear(m.Message, string(m.Payload))
	for i := range m.readings {
		r := &m.readings[i]
		for j := range r.made.reaches {
			one := &r.made.reaches[j]
			if r.topics[one.topic] == m.Topic && !heard[one.manner] {
				heard[one.manner] = true
				if latest || !e.reachable.knows(m.Topic, one) {
					e.reachable.say(m.Topic, one, one.read(m.payload, m.env))
				}
			}
		}
	}
}

// decide records what follows from what a message says.
func (e *Engine) decide(ctx context.Context, m *message) error {
	var unfits error
	err := e.Decide(ctx, m.Message, e.decision(m, &unfits))
	e.misfit(m, err, unfits)
	return err
}

// misfit complains of what did not fit into the states of a message that was taken in.
func (e *Engine) misfit(m *message, err, unfits error) {
	if err == nil && unfits != nil {
		e.Complain(m.Message, dialect.ReasonMalformed, unfits)
	}
}

// decision is what follows from what a message says. Its last run leaves what did not fit in unfits.
func (e *Engine) decision(m *message, unfits *error) func(statehouse.Pending) (*dialect.Batch, error) {
	return func(p statehouse.Pending) (*dialect.Batch, error) {
		b := e.NewBatch(p, m.ReceivedAt)
		*unfits = nil
		var draft dialect.Draft
		for i := range m.readings {
			unfit, err := e.decideOne(b, &draft, &m.readings[i], m)
			switch {
			case errors.Is(err, dialect.ErrStateTooLarge): // the others are none the worse for it
				*unfits = errors.Join(*unfits, err)
			case err != nil:
				return nil, err
			}
			if unfit != nil {
				*unfits = errors.Join(*unfits, unfit)
			}
		}
		return b, nil
	}
}

// read runs the templates of what a topic goes into. A template that needs what the message does not speak of says nothing.
func (m *message) read(feeds []feed, raw bool) (bad error) {
	for i := range feeds {
		f := &feeds[i]
		if f.input.Momentary && m.Retained {
			continue
		}
		made := m.render(rendering{f.template, raw && f.template != nil})
		switch {
		case errors.Is(made.err, template.ErrUndefined):
		case made.err != nil:
			bad = made.err
		case made.text != "":
			m.sayings = append(m.sayings, saying{f.input, Said{Text: made.text, Payload: m.payload, At: m.ReceivedAt, read: made.read}})
		}
	}
	return bad
}

// render is what a template makes of the message, nil for none.
func (m *message) render(by rendering) *rendered {
	if made, ok := m.rendered[by]; ok {
		return made
	}
	made := &rendered{}
	if by.template == nil {
		made.text = string(m.Payload)
	} else {
		made.text, made.err = by.template.RenderIn(m.env, m.payloadFor(by), nil)
	}
	const short = 64 // what costs no more to read again
	if start := strings.TrimSpace(made.text); made.err == nil && start != "" && (len(start) > short || start[0] == '{' || start[0] == '[') {
		made.read = made.json
		if start[0] == '{' || start[0] == '[' {
			_, _ = made.json() // now, and not in the writer's turn; whoever needs it sees its error
		}
	}
	if m.rendered == nil {
		m.rendered = make(map[rendering]*rendered)
	}
	m.rendered[by] = made
	return made
}

func (m *message) payloadFor(by rendering) *template.Payload {
	if !by.raw {
		return m.payload
	}
	if m.raw == nil {
		m.raw = template.NewBinaryPayload(m.Payload)
	}
	return m.raw
}

// decideOne appends what follows for one entity. It is a function of the pending state, the reading and what was said of
// availability; beside that it sets deadlines and notes what was heard, as a second run does again.
func (e *Engine) decideOne(b *dialect.Batch, draft *dialect.Draft, r *reading, m *message) (unfits, err error) {
	entry, ok := r.find(b.Pending)
	if r.disabled = ok && !dialect.Enabled(entry); !ok || r.disabled {
		return nil, nil
	}
	sayings := m.sayings[r.from:r.to]
	if e.overtaken(m.Message, r.item, r.at) {
		if sayings = nil; !r.reaches {
			return nil, nil
		}
	}
	st, old := b.StateOf(entry.GetId())
	a := draft.Of(old)
	spoken := false
	for _, s := range sayings {
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
	before := a.GetAvailability()
	if alive {
		if r.silent = r.silent || e.deadlines.silent(r.unique); r.silent {
			before = unsaid // it was offline for its silence
		}
		for _, d := range r.made.deadlines(r.unique, a, m.ReceivedAt) {
			e.deadlines.set(d)
		}
	}
	expires := r.made.expireAfter
	if r.reaches || alive && expires > 0 || !r.made.tells() {
		a.Availability = e.availability(r.item, r.made, before, alive && expires > 0)
	}
	err = b.Report(entry.GetId(), dialect.Report{
		Before: st, Old: old, New: a, At: m.ReceivedAt, Spoken: spoken, Stored: m.Retained,
		Always: r.made.always || expires > 0 && m.ReceivedAt.Sub(st.UpdatedAt) >= expires/2,
	})
	if b.Has(entry.GetId()) {
		draft.Keep()
	}
	if err == nil && spoken && !m.Retained {
		e.catalog.hear(r.item, r.at)
	}
	return unfits, err
}

// find is the registry's entry of an entity. It looks where it was last: the look-up by unique id took a third of the writer's turn.
// What the source says anew is not remembered, since that may never be committed: who announces it puts another item in.
func (it *item) find(p statehouse.Pending) (*entityv1.Entity, bool) {
	last := it.entry.Load()
	entry, ok := p.Entity(last.GetId())
	if !ok || entry.GetUniqueId() != it.unique {
		if entry, ok = p.EntityByUniqueID(it.unique); !ok {
			return nil, false
		}
	}
	if entry != last && dialect.SameEntity(entry, last) {
		it.entry.Store(entry)
	}
	return entry, true
}

// availability is whether an entity can be reached, which its topics say and its silence.
func (e *Engine) availability(it *item, made *compiled, before entityv1.Availability, heard bool) entityv1.Availability {
	said := e.reachable.of(it, made)
	switch {
	case !made.tells():
		return unsaid
	case said == offline || e.deadlines.silent(it.unique):
		return offline
	case said == online || heard && (before != offline || len(made.reaches) == 0):
		return online
	default:
		return before
	}
}
