package daemon

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
	"github.com/statehouse/statehouse/registry"
)

// intake hands messages to the dialects that want them. It is the [mqtt.Handler] of the broker and of the client.
type intake struct {
	dialects []dialect.Dialect
	engines  []*discovery.Engine // those of dialects whose devices announce themselves
	// everything says that the handler is to get all messages, since what devices publish on is not known beforehand.
	everything bool
	ignore     []string // filters of what no dialect gets
	dropped    atomic.Uint64
	// opened is closed when messages may come in: what a broker had retained goes first.
	opened chan struct{}
}

func newIntake(dialects []dialect.Dialect, ignore []string, everything bool) *intake {
	in := &intake{dialects: dialects, ignore: ignore, everything: everything, opened: make(chan struct{})}
	for _, d := range dialects {
		if e, ok := d.(*discovery.Engine); ok {
			in.engines = append(in.engines, e)
		}
	}
	return in
}

// Filters implements [mqtt.Handler].
func (in *intake) Filters() []string {
	if in.everything {
		return []string{"#"}
	}
	var filters []string
	for _, d := range in.dialects {
		filters = append(filters, d.Filters()...)
	}
	return filters
}

// Handle implements [mqtt.Handler].
func (in *intake) Handle(ctx context.Context, m mqtt.Message) error {
	select {
	case <-in.opened:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return in.handle(ctx, m)
}

func (in *intake) handle(ctx context.Context, m mqtt.Message) error {
	if in.ignores(m.Topic) {
		in.dropped.Add(1)
		return nil
	}
	for _, d := range in.dialects {
		if d.Wants(m.Topic) {
			if err := take(ctx, d, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// take hands a message to a dialect. What panics there is not to hold up what comes behind it, nor to end the process.
func take(ctx context.Context, d dialect.Dialect, m mqtt.Message) error {
	return d.Contain(m, func() error { return d.Handle(ctx, m) })
}

// ignores says that the user wants nothing of a topic.
func (in *intake) ignores(topic string) bool {
	for _, f := range in.ignore {
		if mqtt.Match(f, topic) {
			return true
		}
	}
	return false
}

// open takes in what a broker had retained, if there is one that can be asked, and then lets messages in. What known devices
// publish on follows from the engines' subscriptions.
func (in *intake) open(ctx context.Context, retained func(filter string) iter.Seq[mqtt.Message]) error {
	defer close(in.opened)
	if retained == nil {
		return nil
	}
	var errs []error
	for _, d := range in.dialects {
		for _, filter := range d.Filters() {
			for m := range retained(filter) {
				if in.ignores(m.Topic) {
					continue
				}
				if err := take(ctx, d, m); err != nil {
					errs = append(errs, fmt.Errorf("retained message %s: %w", m.Topic, err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// renderer is the dialect that a source names, nil where there is none.
func (in *intake) renderer(source string) dispatch.Renderer {
	for _, d := range in.dialects {
		if d.Source() == source {
			return d
		}
	}
	return nil
}

// fetched takes in what a broker has retained on a topic that an engine has subscribed to. The other dialects have had it.
func (in *intake) fetched(ctx context.Context, m mqtt.Message) error {
	if in.ignores(m.Topic) {
		return nil
	}
	m.Fetched = true
	for _, e := range in.engines {
		if e.Wants(m.Topic) {
			if err := take(ctx, e, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// retryRetained is the time from one attempt to record a retained message to the next.
const retryRetained = 5 * time.Second

// retainedFeed is the [mqtt.Subscriber] of an intake that gets all messages of a broker: what is retained is all that it lacks.
type retainedFeed struct {
	mu     sync.Mutex // guards topics
	topics []string
	poke   chan struct{}
	took   func(messages int) // is told when nothing waits any more
}

func newRetainedFeed(took func(messages int)) *retainedFeed {
	return &retainedFeed{poke: make(chan struct{}, 1), took: took}
}

// Subscribe implements [mqtt.Subscriber].
func (f *retainedFeed) Subscribe(topics ...string) {
	f.mu.Lock()
	f.topics = append(f.topics, topics...)
	f.mu.Unlock()
	select {
	case f.poke <- struct{}{}:
	default: // it will look anyway
	}
}

// run hands over what is retained until ctx ends. What could not be recorded is tried again. Messages come meanwhile, and are recorded
// before the broker retains them: what is fetched here may be older by then, so that the engines decide whether it is news.
func (f *retainedFeed) run(ctx context.Context, in *intake, retained func(topic string) (mqtt.Message, bool)) {
	select {
	case <-in.opened:
	case <-ctx.Done():
		return
	}
	for {
		select {
		case <-f.poke:
		case <-ctx.Done():
			return
		}
		f.mu.Lock()
		topics := f.topics
		f.topics = nil
		f.mu.Unlock()
		for _, topic := range topics {
			// Until the store takes it; what is retained may be something else by then.
			for m, ok := retained(topic); ok && in.fetched(ctx, m) != nil; m, ok = retained(topic) {
				select {
				case <-ctx.Done():
					return
				case <-time.After(retryRetained):
				}
			}
		}
		f.took(len(topics))
	}
}

// claims are what the dialects make of a topic, for people.
func (in *intake) claims(registry registry.Revision, topic string) []api.Claim {
	if in.ignores(topic) {
		return []api.Claim{{Topic: topic, Dialect: source, Note: "ignored"}}
	}
	if topic == statusTopic {
		return []api.Claim{{Topic: topic, Dialect: source, Note: "status"}}
	}
	var all []api.Claim
	for _, d := range in.dialects {
		if !d.Wants(topic) {
			continue
		}
		c := d.Claim(topic)
		claim := api.Claim{Topic: topic, Dialect: d.Source(), Note: c.Note}
		for _, name := range c.Entities {
			if e, ok := registry.EntityByUniqueID(name); ok {
				name = e.GetId()
			}
			claim.Entities = append(claim.Entities, name)
		}
		slices.Sort(claim.Entities)
		all = append(all, claim)
	}
	return all
}
