package zigbee2mqtt

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Options say which Zigbee2MQTT is listened to, and how. The zero value works.
type Options struct {
	// Broker names the broker in the ids of devices; it must not change. Empty means "default".
	Broker string
	// BaseTopic is Zigbee2MQTT's mqtt.base_topic. Empty means "zigbee2mqtt".
	BaseTopic string
	// SilentAfter is for how long an entity must have been silent for a report that changes nothing to be an event.
	// Zero means one hour.
	SilentAfter time.Duration
	// MaxWaiting and MaxWaitingBytes bound what waits for the bridge's lists. Zero means 1,000 messages and 4 MiB.
	MaxWaiting, MaxWaitingBytes int
	// MaxMessageBytes is the largest report of a device that is taken in. Zero means 1 MiB, which is Zigbee2MQTT's own
	// limit. Lists of devices are as large as the broker lets them be.
	MaxMessageBytes int
	// MaxEntities is the most entities that the house may have for the dialect to add one, those of other sources and
	// those that are gone and remembered included. Zero means 100,000. A device that would bring more is left out.
	MaxEntities int
	// MinInterval is that of [dialect.Options].
	MinInterval func(entity string) time.Duration
	// Logger takes complaints; nil means none.
	Logger *slog.Logger
}

const (
	defaultBroker          = "default"
	defaultBaseTopic       = "zigbee2mqtt"
	defaultMaxWaiting      = 1000
	defaultMaxWaitingBytes = 4 << 20
	defaultMaxMessageBytes = 1 << 20
)

// Dialect takes the messages of one Zigbee2MQTT at one broker in. It is an [mqtt.Handler].
type Dialect struct {
	dialect.Intake
	opts     Options
	bridgeID string // device id

	heard heard
	plans sync.Map                   // device id → *plan: a memo, checked against the registry before each use
	index atomic.Pointer[topicIndex] // nil: to be read from the registry

	// bridge is held while the registry is changed, so that the index is never older than what is committed. It comes
	// before mu in the lock order.
	bridge  sync.Mutex
	groups  []listedGroup // guarded by bridge: the newest list, to be looked at again when the devices change
	started atomic.Bool   // what the log knows of when devices were heard of is in heard; set with bridge held

	mu          sync.Mutex // guards what follows; nothing is called with it held
	devicesSeen bool
	groupsSeen  bool
	waiting     waiting
}

var _ mqtt.Handler = (*Dialect)(nil)

// New makes the dialect of one Zigbee2MQTT.
func New(house dialect.House, opts Options) *Dialect {
	opts.Broker = cmp.Or(opts.Broker, defaultBroker)
	opts.BaseTopic = cmp.Or(strings.Trim(opts.BaseTopic, "/"), defaultBaseTopic)
	opts.MaxWaiting = cmp.Or(opts.MaxWaiting, defaultMaxWaiting)
	opts.MaxWaitingBytes = cmp.Or(opts.MaxWaitingBytes, defaultMaxWaitingBytes)
	opts.MaxMessageBytes = cmp.Or(opts.MaxMessageBytes, defaultMaxMessageBytes)
	d := &Dialect{
		opts: opts, waiting: waiting{maxMessages: opts.MaxWaiting, maxBytes: opts.MaxWaitingBytes},
	}
	d.Init(house, sourceName(opts.Broker, opts.BaseTopic), dialect.Options{
		SilentAfter: opts.SilentAfter, MaxEntities: opts.MaxEntities, MinInterval: opts.MinInterval,
		Logger: opts.Logger,
	})
	d.bridgeID = d.deviceID(bridgeAddress)
	return d
}

// sourceName names a Zigbee2MQTT among all: "zigbee2mqtt/<broker>/<base topic>". Slashes within a part are escaped, so
// that no two get the same name.
func sourceName(broker, base string) string {
	escape := strings.NewReplacer("%", "%25", "/", "%2F")
	name := strings.ToValidUTF8("zigbee2mqtt/"+escape.Replace(broker)+"/"+escape.Replace(base), "%")
	const longest = 160 // an event's source has 255 bytes at most
	if len(name) <= longest {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.ToValidUTF8(name[:longest-33], "%") + "~" + hex.EncodeToString(sum[:16])
}

func (d *Dialect) deviceID(address string) string { return d.Source() + "/" + address }

// Filters implements [mqtt.Handler].
func (d *Dialect) Filters() []string { return []string{d.opts.BaseTopic + "/#"} }

// Handle implements [mqtt.Handler].
func (d *Dialect) Handle(ctx context.Context, m mqtt.Message) error {
	d.Counters.Received.Add(1)
	return d.handle(ctx, m)
}

func (d *Dialect) handle(ctx context.Context, m mqtt.Message) error {
	name, ok := strings.CutPrefix(m.Topic, d.opts.BaseTopic+"/")
	if !ok || name == "" {
		d.Counters.Ignore(dialect.ReasonOther)
		return nil
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	if topic, ok := strings.CutPrefix(name, "bridge/"); ok {
		return d.handleBridge(ctx, topic, m)
	}
	return d.handleDevice(ctx, name, m)
}

// start remembers, before the first message changes anything, when the log says that devices were last heard of.
func (d *Dialect) start(ctx context.Context) error {
	if d.started.Load() {
		return nil
	}
	d.bridge.Lock()
	defer d.bridge.Unlock()
	if d.started.Load() {
		return nil
	}
	var known map[string]lastHeard
	_, err := d.House().Decide(ctx, func(p statehouse.Pending) ([]eventstore.Event, error) {
		known = recollect(p, p.Devices(d.Source()))
		return nil, nil
	})
	if err != nil {
		return err
	}
	d.heard.start(known)
	d.started.Store(true)
	return nil
}

func (d *Dialect) handleBridge(ctx context.Context, topic string, m mqtt.Message) error {
	var handle func(context.Context, mqtt.Message) error
	switch topic {
	case "devices":
		handle = d.handleDevices
	case "groups":
		handle = d.handleGroups
	case "state":
		handle = d.handleBridgeState
	case "info":
		handle = d.handleBridgeInfo
	case "logging":
		d.Counters.Ignore(dialect.ReasonLogging)
		return nil
	default:
		d.Counters.Ignore(dialect.ReasonBridge)
		return nil
	}
	if len(m.Payload) == 0 {
		d.Counters.Ignore(dialect.ReasonEmpty)
		return nil
	}
	d.bridge.Lock()
	defer d.bridge.Unlock()
	return handle(ctx, m)
}

// handleDevice takes in what is published under a device's topic.
func (d *Dialect) handleDevice(ctx context.Context, name string, m mqtt.Message) error {
	ix, err := d.topics(ctx)
	if err != nil {
		return err
	}
	r := ix.route(name)
	if r.kind == routeCopy && !d.listed() {
		d.park(m) // it may be a device whose name begins with another's
		return nil
	}
	if r.kind != routeUnknown {
		err := d.deviceMessage(ctx, r, m)
		if !errors.Is(err, errStale) {
			return err
		}
		d.index.CompareAndSwap(ix, nil)
	}
	// A list that is being recorded now may have it, or it was renamed a moment ago.
	r, err = d.routeSurely(ctx, name)
	if err != nil {
		return err
	}
	if r.kind != routeUnknown {
		err = d.deviceMessage(ctx, r, m)
		if !errors.Is(err, errStale) {
			return err
		}
	}
	d.park(m)
	return nil
}

// routeSurely waits for a list that is being recorded, and looks then.
func (d *Dialect) routeSurely(ctx context.Context, name string) (route, error) {
	d.bridge.Lock()
	defer d.bridge.Unlock()
	ix, err := d.topicsLocked(ctx)
	if err != nil {
		return route{}, err
	}
	return ix.route(name), nil
}

// park lets the message of an unknown device wait, or drops it once the lists are known.
func (d *Dialect) park(m mqtt.Message) {
	switch {
	case len(m.Payload) == 0:
		d.Counters.Ignore(dialect.ReasonEmpty)
		return
	case len(m.Payload) > d.opts.MaxMessageBytes:
		d.Complain(m, dialect.ReasonTooLarge, nil)
		return
	}
	d.mu.Lock()
	listed := d.devicesSeen && d.groupsSeen
	dropped := 0
	if !listed {
		dropped = d.waiting.add(m)
	}
	d.mu.Unlock()
	if listed {
		d.Complain(m, dialect.ReasonUnknownDevice, nil)
	}
	for range dropped {
		d.Counters.Ignore(dialect.ReasonWaitingFull)
	}
}

// listed says that both of the bridge's lists have arrived.
func (d *Dialect) listed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.devicesSeen && d.groupsSeen
}

// deviceMessage takes in the message of a known device.
func (d *Dialect) deviceMessage(ctx context.Context, r route, m mqtt.Message) error {
	switch {
	case r.kind == routeCommand:
		d.Counters.Ignore(dialect.ReasonCommand)
	case r.kind == routeAction:
		d.Counters.Ignore(dialect.ReasonAction)
	case r.kind == routeCopy:
		d.Counters.Ignore(dialect.ReasonCopy)
	case len(m.Payload) == 0:
		d.Counters.Ignore(dialect.ReasonEmpty)
	case len(m.Payload) > d.opts.MaxMessageBytes:
		d.Complain(m, dialect.ReasonTooLarge, nil)
	case r.kind == routeAvailability:
		online, err := parseAvailability(m.Payload)
		if err != nil {
			d.Complain(m, dialect.ReasonMalformed, err)
			return nil
		}
		return d.Decide(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
			b := d.newBatch(p, m.ReceivedAt)
			return b.Batch, d.deviceAvailable(b, r, online)
		})
	default:
		return d.handleReport(ctx, r, m)
	}
	return nil
}

// Begin implements [dialect.Sequencer]: for fresh reports of known devices that can be read.
func (d *Dialect) Begin(ctx context.Context, q *eventstore.Sequence, m mqtt.Message) func() error {
	ix, name := d.index.Load(), strings.TrimPrefix(m.Topic, d.opts.BaseTopic+"/")
	if ix == nil || m.Retained || len(m.Payload) == 0 || len(m.Payload) > d.opts.MaxMessageBytes || !d.started.Load() {
		return nil
	}
	r := ix.route(name)
	if r.kind != routeReport {
		return nil
	}
	rep, err := parseReport(m)
	if err != nil {
		return nil
	}
	wait := d.Intake.Begin(ctx, q, m, func(p statehouse.Pending) (*dialect.Batch, error) {
		b := d.newBatch(p, rep.at)
		return b.Batch, d.decideReport(b, r, rep)
	})
	if wait == nil {
		return nil
	}
	d.Counters.Received.Add(1)
	return func() error {
		again, err := wait()
		switch {
		case again || errors.Is(err, errStale) && ctx.Err() == nil: // what follows a stale one came to nothing, too
			return d.handle(ctx, m)
		case err == nil:
			d.heard.note(r.device, rep)
		}
		return err
	}
}

func (d *Dialect) handleReport(ctx context.Context, r route, m mqtt.Message) error {
	rep, err := parseReport(m)
	switch {
	case errors.Is(err, eventstore.ErrTooLarge):
		d.Complain(m, dialect.ReasonTooLarge, err)
		return nil
	case err != nil:
		d.Complain(m, dialect.ReasonMalformed, err)
		return nil
	}
	if rep.retained {
		var news bool
		if rep.at, news = d.heard.news(r.device, rep, m.ReceivedAt); !news {
			d.Counters.Ignore(dialect.ReasonRetained)
			return nil
		}
	}
	err = d.Decide(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
		b := d.newBatch(p, rep.at)
		return b.Batch, d.decideReport(b, r, rep)
	})
	if err == nil {
		d.heard.note(r.device, rep)
	}
	return err
}
