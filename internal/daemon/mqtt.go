package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// statusTopic is where the daemon says, retained, whether it is there.
const (
	statusTopic   = "statehouse/status"
	statusOnline  = "online"
	statusOffline = "offline"
)

// startMQTT starts the embedded broker or the client of the user's. Messages wait until openMQTT.
func (d *Daemon) startMQTT(ctx context.Context) error {
	if d.cfg.MQTT.Broker.URL != "" {
		return d.startClient(ctx)
	}
	feed := newRetainedFeed(d.memory.took)
	in := newIntake(d.dialects(feed), d.cfg.MQTT.Ignore, true)
	d.intake.Store(in)
	opts := d.parts.broker
	opts.Handler, opts.Logger = in, d.log
	b, err := broker.Start(ctx, opts)
	if err != nil {
		return addressTaken(err, "mqtt.address", opts.Address, "Mosquitto or another statehouse",
			"stop it, listen elsewhere with --mqtt-address, or use that broker with --mqtt-broker-url")
	}
	d.broker.Store(b)
	d.feed = func(ctx context.Context) { feed.run(ctx, in, b.RetainedOn) }
	return nil
}

// startClient starts the client, which connects as soon as its broker is there.
func (d *Daemon) startClient(ctx context.Context) error {
	opts := d.parts.client
	var subscriber clientSubscriber
	in := newIntake(d.dialects(&subscriber), d.cfg.MQTT.Ignore, false)
	d.intake.Store(in)
	opts.Handler, opts.Logger, opts.Absent = in, d.log, d.house.Damage() != nil
	opts.ClientID = cmp.Or(opts.ClientID, defaultClientID(d.house.Store().UUID()))
	c, err := client.New(opts)
	if err != nil {
		return err
	}
	d.client.Store(c)
	subscriber.client.Store(c)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stopClient = stop
	// It ends only with its context, and has logged everything else.
	d.clientRuns.Go(func() { _ = c.Run(running) })
	return nil
}

// defaultClientID is the client id of the daemon of a log: the same at every start, and another for every log, so that two
// daemons at one broker do not throw each other out. Its 23 bytes are what every broker takes.
func defaultClientID(uuid string) string {
	return "statehouse-" + strings.ReplaceAll(uuid, "-", "")[:12]
}

// openMQTT lets messages in.
func (d *Daemon) openMQTT(ctx context.Context) error {
	in, b := d.intake.Load(), d.broker.Load()
	if d.house.Damage() != nil { // each message will be refused
		if err := in.open(ctx, nil); err != nil || b == nil {
			return err
		}
		return b.Publish(ctx, statusTopic, []byte(statusOffline), 1, true)
	}
	if err := d.declareDevices(ctx); err != nil {
		return err
	}
	if b == nil {
		// The user's broker sends what it has retained, and the client says that it is there.
		return in.open(ctx, nil)
	}
	if err := in.open(ctx, b.Retained); err != nil {
		return err
	}
	return b.Publish(ctx, statusTopic, []byte(statusOnline), 1, true)
}

// stopMQTT takes no more messages in and returns when those that were under way are recorded or given up.
func (d *Daemon) stopMQTT(ctx context.Context) error {
	if d.stopClient != nil {
		d.stopClient()
		d.clientRuns.Wait()
	}
	b := d.broker.Load()
	if b == nil {
		return nil
	}
	var published error
	if d.started != 0 {
		published = b.Publish(ctx, statusTopic, []byte(statusOffline), 1, true)
	}
	return errors.Join(published, b.Close())
}

// notReady says what keeps the daemon, apart from its store, from being ready.
func (d *Daemon) notReady() error {
	if !d.ready.Load() {
		return errors.New("MQTT is not up")
	}
	if c := d.client.Load(); c != nil {
		if s := c.Status(); !s.Connected {
			return fmt.Errorf("not connected to the MQTT broker %s: %s", d.cfg.MQTT.Broker.URL, cmp.Or(s.LastError, "connecting"))
		}
	}
	if b := d.broker.Load(); b != nil {
		return b.Stats().Fault
	}
	return nil
}

// runDevices has the deadlines of devices and of commands kept, and what is retained for devices that become known taken in.
func (d *Daemon) runDevices(ctx context.Context) {
	in := d.intake.Load()
	for _, e := range in.engines {
		d.background.Go(func() { e.Run(ctx) })
	}
	if d.feed != nil {
		d.background.Go(func() { d.feed(ctx) })
	}
	if slices.Contains(d.cfg.Dialects, dialectHomeAssistant) {
		d.background.Go(func() { d.birth(ctx, d.publisher()) })
	}
	d.background.Go(func() { d.dispatcher.Load().Run(ctx) })
}

// takeCommands lets commands in. Where the log is damaged it refuses them.
func (d *Daemon) takeCommands() {
	d.dispatcher.Store(dispatch.New(d.house, dispatch.Options{
		Publisher: d.publisher(), Renderer: d.intake.Load().renderer, Logger: d.log,
	}))
}

// publisher is what takes messages to devices.
func (d *Daemon) publisher() mqtt.Publisher {
	if b := d.broker.Load(); b != nil {
		return b.Publisher()
	}
	return d.client.Load()
}

// birth says on each connection that somebody listens to MQTT discovery, as Home Assistant does: devices that announce themselves
// unretained do so again then.
func (d *Daemon) birth(ctx context.Context, p mqtt.Publisher) {
	const look = time.Second
	said := int64(-1)
	for {
		connection := int64(0)
		if c := d.client.Load(); c != nil {
			if s := c.Status(); s.Connected {
				connection = s.Connects
			} else {
				connection = said
			}
		}
		if connection != said {
			message := mqtt.Publication{Topic: d.cfg.HomeAssistant.Prefix + "/status", Payload: []byte(statusOnline)}
			if err := p.Publish(ctx, message); err == nil {
				said = connection
			} else if ctx.Err() == nil {
				d.log.Warn("could not say that MQTT discovery is listened to", "topic", message.Topic, "error", err)
			}
		}
		if d.client.Load() == nil && said >= 0 {
			return // the embedded broker has one connection
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(look):
		}
	}
}
