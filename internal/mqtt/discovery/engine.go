package discovery

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// Options say whose devices are taken in, and how. The zero value works, for a broker that has nothing retained.
type Options struct {
	dialect.Options
	// Broker names the broker in the ids of devices; it must not change. Empty means "default".
	Broker string
	// Subscriber has the messages of a device come to the engine's Handle; nil means that all messages do.
	Subscriber mqtt.Subscriber
	// MaxMessageBytes is the largest message of a device that is taken in. Zero means 1 MiB.
	MaxMessageBytes int
	// MaxTopics is the most topics that the devices of the ecosystem may listen to. Zero means 200,000.
	MaxTopics int
	// Now is the clock; nil means mqtt.Now.
	Now func() time.Time
}

const (
	defaultMaxMessageBytes = 1 << 20
	defaultMaxTopics       = 200_000
)

// Engine takes the devices of one ecosystem in. It is a [dialect.Dialect].
type Engine struct {
	dialect.Intake
	translator Translator
	opts       Options

	// announcing is held while the registry is changed. It comes before the catalog's lock in the lock order.
	announcing sync.Mutex
	started    bool // what the registry knows is in the catalog; guarded by announcing
	ready      chan struct{}
	// migrating are the keys that said that others will take over what they announced; guarded by announcing.
	migrating map[string]bool

	catalog   catalog
	reachable reachable
	// reaching is held while what a message says of availability is heard and decided. It comes before the leaves of the lock
	// order and is held with no other.
	reaching  sync.Mutex
	deadlines deadlines
	wanted    wanted

	filters []string // the translator's
}

var _ dialect.Dialect = (*Engine)(nil)

// NewEngine makes the dialect of an ecosystem. [Engine.Run] has to run for its deadlines and subscriptions.
func NewEngine(house dialect.House, t Translator, opts Options) *Engine {
	opts.MaxMessageBytes = cmp.Or(opts.MaxMessageBytes, defaultMaxMessageBytes)
	opts.MaxTopics = cmp.Or(opts.MaxTopics, defaultMaxTopics)
	if opts.Now == nil {
		opts.Now = mqtt.Now
	}
	e := &Engine{translator: t, opts: opts, filters: t.Filters(), ready: make(chan struct{}), migrating: map[string]bool{}}
	e.Init(house, sourceName(t.Name(), opts.Broker), opts.Options)
	e.catalog.init(opts.MaxTopics, e.reachable.forget)
	e.reachable.init()
	e.deadlines.init()
	e.wanted.init()
	return e
}

// Filters implements [mqtt.Handler]: where devices make themselves known. What else the engine listens to is subscribed to
// as it becomes known.
func (e *Engine) Filters() []string { return slices.Clone(e.filters) }

// Start makes known what the registry knows. It is called before the first message; Handle does it otherwise.
func (e *Engine) Start(ctx context.Context) error {
	select {
	case <-e.ready:
		return nil
	default:
	}
	e.announcing.Lock()
	defer e.announcing.Unlock()
	if e.started {
		return nil
	}
	known, devices, err := e.registered(ctx)
	if err != nil {
		return fmt.Errorf("%s: read the registry: %w", e.Source(), err)
	}
	for _, r := range known {
		it, err := e.catalog.newItem(r.entry.GetUniqueId(), r.entry.GetDeviceId(), r.entry)
		if err != nil {
			continue // of an older program: it is announced again
		}
		e.catalog.put(it)
		if r.state.Attributes.GetDomain() == nil {
			continue
		}
		if made, err := e.catalog.compile(it); err == nil {
			e.deadlines.restore(it.unique, made.deadlines(it.unique, r.state.Attributes, r.state.UpdatedAt), r.state.Attributes.GetAvailability())
		}
	}
	for _, d := range devices {
		e.catalog.setDevice(d)
	}
	e.wanted.add(e.catalog.topicNames()...)
	e.started = true
	close(e.ready)
	return nil
}

// registered is an entity as the registry and the log know it.
type registered struct {
	entry *entityv1.Entity
	state state.State // of those that deadlines may follow from
}

// registered are the entities and the devices of the ecosystem. What is made of them is made after the writer's turn.
func (e *Engine) registered(ctx context.Context) (known []registered, devices []*entityv1.Device, err error) {
	_, err = e.House().Decide(ctx, func(p statehouse.Pending) ([]eventstore.Event, error) {
		known, devices = nil, p.Devices(e.Source())
		for _, device := range devices {
			for _, entry := range p.DeviceEntities(device.GetId()) {
				r := registered{entry: entry}
				if dialect.Enabled(entry) && mayBeDue(definitionOf(entry)) {
					r.state, _ = p.State(entry.GetId())
				}
				known = append(known, r)
			}
		}
		return nil, nil
	})
	return known, devices, err
}

// Handle implements [mqtt.Handler].
func (e *Engine) Handle(ctx context.Context, m mqtt.Message) error {
	e.Counters.Received.Add(1)
	if err := e.Start(ctx); err != nil {
		return err
	}
	if len(m.Payload) > e.opts.MaxMessageBytes {
		e.Complain(m, dialect.ReasonTooLarge, nil)
		return nil
	}
	announces := e.announces(m.Topic)
	if announces && !m.Fetched { // it was taken in, at the start or as it came
		if err := e.announce(ctx, m); err != nil {
			return err
		}
	}
	uses := e.catalog.uses(m.Topic)
	switch {
	case len(uses) > 0:
		return e.report(ctx, m, uses)
	case !announces:
		e.Counters.Ignore(dialect.ReasonOther)
	}
	return nil
}

// announces says that devices make themselves known on a topic.
func (e *Engine) announces(topic string) bool {
	return slices.ContainsFunc(e.filters, func(f string) bool { return mqtt.Match(f, topic) })
}

// Wants implements [dialect.Dialect].
func (e *Engine) Wants(topic string) bool {
	return e.announces(topic) || len(e.catalog.uses(topic)) > 0
}

// Claim implements [dialect.Dialect].
func (e *Engine) Claim(topic string) dialect.Claim {
	uses := e.catalog.uses(topic)
	if len(uses) == 0 {
		return dialect.Claim{Note: "announcement"}
	}
	c := dialect.Claim{Note: "report"}
	for _, it := range uses {
		c.Entities = append(c.Entities, it.unique)
	}
	return c
}
