package discovery

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/template"
)

// reading is what a message says of one entity.
type reading struct {
	*item
	made *compiled
	// said is what it says to each input that listens to the topic.
	said []saying
	// availability is what its topics of availability say, and reaches says that the message came on one of them.
	availability entityv1.Availability
	reaches      bool
}

type saying struct {
	input *Input
	said  Said
}

// report takes in a message on a topic that entities listen to: one atomic batch. Templates are run before the writer's
// turn.
func (e *Engine) report(ctx context.Context, m mqtt.Message, uses []*item) error {
	if len(m.Payload) == 0 {
		e.Counters.Ignore(dialect.ReasonEmpty)
		return nil
	}
	payload := template.NewPayload(m.Payload)
	readings := make([]reading, 0, len(uses))
	var bad error
	for _, it := range uses {
		made, err := e.catalog.compile(it)
		if err != nil {
			bad = err
			continue
		}
		r := reading{item: it, made: made}
		if r.reaches = made.listensForAvailability(m.Topic); r.reaches {
			e.catalog.hear(m.Topic, string(m.Payload))
		}
		r.availability = e.catalog.availability(made, m.Topic)
		if err := r.read(m, payload); err != nil {
			bad = err
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
	var unfits error
	var due []deadline
	err := e.Decide(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
		b := e.NewBatch(p, m.ReceivedAt)
		unfits, due = nil, nil
		for i := range readings {
			unfit, err := readings[i].decide(b, m, &due)
			if err != nil {
				return nil, err
			}
			unfits = errors.Join(unfits, unfit)
		}
		return b, nil
	})
	if err != nil {
		return err
	}
	if unfits != nil {
		e.Complain(m, dialect.ReasonMalformed, unfits)
	}
	for _, d := range due {
		e.deadlines.set(d)
	}
	return nil
}

// read runs the templates of the inputs that listen to a message's topic. A template that needs what the message does not
// speak of says nothing.
func (r *reading) read(m mqtt.Message, payload *template.Payload) (bad error) {
	for i := range r.made.inputs {
		in := &r.made.inputs[i]
		if in.Momentary && m.Retained {
			continue
		}
		for _, s := range in.Sources {
			if s.Topic != m.Topic {
				continue
			}
			text := string(m.Payload)
			if s.Template != nil {
				rendered, err := s.Template.Render(payload, nil)
				switch {
				case errors.Is(err, template.ErrUndefined):
					continue
				case err != nil:
					bad = err
					continue
				case rendered == "":
					continue
				}
				text = rendered
			}
			r.said = append(r.said, saying{in, Said{Text: text, Payload: payload, At: m.ReceivedAt}})
		}
	}
	return bad
}

// decide appends what follows from a reading. It is a function of the pending state and of the reading.
func (r *reading) decide(b *dialect.Batch, m mqtt.Message, due *[]deadline) (unfits, err error) {
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
	expires := r.made.config.seconds(keyExpireAfter)
	switch {
	case r.reaches && r.availability != unsaid:
		a.Availability = r.availability
	case spoken && expires > 0 && r.availability != offline: // it was silent for too long, and is no more
		a.Availability = online
	}
	if spoken {
		*due = append(*due, r.deadlinesAfter(a, m.ReceivedAt)...)
	}
	at := m.ReceivedAt
	return unfits, b.Report(entry.GetId(), dialect.Report{
		Before: st, Old: old, New: a, At: at, Spoken: spoken, Stored: m.Retained,
		Always: r.made.config.Flag(keyForceUpdate, false) || expires > 0 && at.Sub(st.UpdatedAt) >= expires/2,
	})
}

// reasonOf is why an announcement is dropped.
func reasonOf(err error) dialect.Reason {
	switch {
	case errors.Is(err, ErrCovered):
		return dialect.ReasonCopy
	default:
		return dialect.ReasonMalformed
	}
}
