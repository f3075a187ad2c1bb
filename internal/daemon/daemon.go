// Package daemon is the program that "statehouse serve" runs: a house, the broker or the client that takes devices in,
// and the server that answers. [Run] runs it; [Start] and [Daemon.Close] are for tests and for the demo.
//
// # The way up
//
//  1. HTTP listens: /healthz answers, /readyz says "replaying".
//  2. The database is locked and opened, and the log is replayed.
//  3. The embedded broker listens, or the client connects; what comes in waits.
//  4. The event system{started} is recorded, by "statehouse"; where there are no tokens yet, a first one is made; the server gets the house; the lock file tells other
//     processes where the daemon answers.
//  5. What the embedded broker has retained goes to the dialects, so that the lists of devices are known, and then
//     what waits.
//  6. "online" is published to statehouse/status, retained, and the daemon is ready.
//
// # The way down
//
//  1. "offline" is published; the broker or the client stops taking messages in, and finishes those it has.
//  2. The event system{stopped} is recorded. A system{started} that follows none tells of a crash.
//  3. Streams end, HTTP stops, the house takes a snapshot and is closed.
//
// # A damaged log
//
// Where the log is damaged ([statehouse.House.Damage]) the daemon serves what can be read of it and records nothing: /readyz,
// /v1/info, the metrics, the log and a header of every answer say so, writes are refused, and no message is acknowledged.
// The status topic says "offline".
//
// The two events are about no entity, so that a restart says nothing about any; they explain gaps in what was
// recorded. So does system{resumed}, which is recorded when the store could not write for a while, and can again. Once a
// week everything that is stored is verified, slowly, and system{verified} or system{damaged} recorded. All events of a
// run have one correlation, and those after system{started} name that as their cause. Where history is kept for a while
// only, what is older is removed once a day, which the log attests by itself.
package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
	"github.com/statehouse/statehouse/internal/server"
	"github.com/statehouse/statehouse/storage"
)

// Options are what a daemon needs beside its configuration. The zero value works.
type Options struct {
	// Logger takes what happens; nil means nothing is logged.
	Logger *slog.Logger
	// Out takes the line that says what was recovered; nil means nobody wants it.
	Out io.Writer
	// Version is what the daemon says of itself.
	Version string
	// RetryEvery is how often a store that cannot write is tried again; 0 means 5 seconds.
	RetryEvery time.Duration
	// RetainAfter is how long after the start history is removed that is too old; 0 means 5 minutes.
	RetainAfter time.Duration
	// VerifyAfter is how long after the start the database is verified at the earliest; 0 means 10 minutes.
	VerifyAfter time.Duration
}

// source is the source of the daemon's own events.
const source = "statehouse"

// Daemon is a running one.
type Daemon struct {
	cfg    Config
	parts  parts
	opts   Options
	log    *slog.Logger
	house  *statehouse.House
	server *server.Server
	tokens *access.Tokens
	intake atomic.Pointer[intake]
	// One of the two takes messages in.
	broker atomic.Pointer[broker.Broker]
	client atomic.Pointer[client.Client]
	// stopClient ends the goroutine in clientRuns, nil where there is none.
	stopClient context.CancelFunc
	clientRuns sync.WaitGroup
	// feed hands what the embedded broker retains to the dialects; nil where there is none.
	feed       func(ctx context.Context)
	mapped     *discovery.Engine // of the devices that the configuration describes
	dispatcher atomic.Pointer[dispatch.Dispatcher]
	// stopBackground ends the goroutines in background, nil where there are none: the one that tries a store again that
	// cannot write, the one that verifies, and the one that removes history.
	stopBackground context.CancelFunc
	background     sync.WaitGroup
	verifier       *verifier
	memory         *memory // nil where it is not the daemon's to look after

	run     string // the correlation of the daemon's own events
	ready   atomic.Bool
	started eventstore.Position // of the event; 0 until it was recorded
	closing sync.Once
	closed  error
}

// Run runs a daemon until ctx ends, which is no error, and closes it.
func Run(ctx context.Context, cfg Config, opts Options) error {
	m := startMemory()
	defer m.stop()
	d, err := startWith(ctx, cfg, opts, m)
	if err != nil {
		if ctx.Err() != nil {
			return nil // it was told to stop before it was up
		}
		return err
	}
	<-ctx.Done()
	d.log.Info("stopping")
	return d.Close()
}

// Start starts a daemon and returns when it is ready. The defaults of cfg must be set; what [Config.Check] says against it
// is said before anything is opened. The context ends the start and nothing after it.
func Start(ctx context.Context, cfg Config, opts Options) (*Daemon, error) {
	return startWith(ctx, cfg, opts, nil)
}

// startWith is Start of who may look after the memory of the process.
func startWith(ctx context.Context, cfg Config, opts Options, m *memory) (*Daemon, error) {
	d := &Daemon{cfg: cfg, opts: opts, log: opts.Logger, memory: m, run: "run-" + rand.Text()}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Daemon) start(ctx context.Context) (err error) {
	if d.parts, err = d.cfg.parts(ctx); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	if err := registry.Register(metrics{d}); err != nil {
		return err
	}
	opts := d.parts.server
	opts.Version, opts.Logger, opts.Metrics, opts.Ready = d.opts.Version, d.log, registry, d.notReady
	d.verifier = &verifier{d: d, every: time.Duration(*d.cfg.VerifyEvery), after: cmp.Or(d.opts.VerifyAfter, defaultVerifyAfter)}
	opts.Verifier = d.verifier
	opts.Dispatcher = func() server.Dispatcher {
		if dispatcher := d.dispatcher.Load(); dispatcher != nil {
			return dispatcher
		}
		return nil
	}
	opts.Claims = func(topic string) []api.Claim {
		if in := d.intake.Load(); in != nil {
			return in.claims(d.house.Now().Registry, topic)
		}
		return nil
	}
	if d.server, err = server.Start(ctx, opts); err != nil {
		return addressTaken(err, "http.address", opts.Address, "another statehouse", "stop it, or listen elsewhere with --http-address")
	}
	if err := d.openHouse(ctx); err != nil {
		return err
	}
	// Only now, with the database's lock: a command may have revoked one while it had that.
	if d.tokens, err = access.Open(TokensPath(d.cfg.DB)); err != nil {
		return err
	}
	d.server.SetTokens(d.tokens)
	if err := d.startMQTT(ctx); err != nil {
		return err
	}
	damaged := d.house.Damage() != nil
	if !damaged {
		if err := d.record(ctx, "started", d.opts.Version); err != nil {
			return err
		}
		if err := d.firstToken(ctx); err != nil {
			return err
		}
	}
	if err := d.server.SetHouse(d.house); err != nil {
		return err
	}
	if err := d.house.Announce(d.server.URL()); err != nil {
		return err
	}
	if err := d.openMQTT(ctx); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stopBackground = stop
	d.takeCommands()
	if !damaged {
		d.background.Go(func() { d.retryStore(running, cmp.Or(d.opts.RetryEvery, defaultRetry)) })
		d.runDevices(running)
	}
	d.background.Go(func() { d.verifier.run(running) })
	d.background.Go(func() { newRetention(d).run(running) })
	d.background.Go(d.memory.release) // of what the start took
	d.ready.Store(true)
	d.log.Info("ready", "http", d.server.URL(), "mqtt", d.MQTTAddr(), "db", d.cfg.DB)
	return nil
}

// addressTaken adds to the error of a listener whose address another program has who that may be and what to do about it.
func addressTaken(err error, key, address, who, what string) error {
	const windows = syscall.Errno(10048) // what Windows says, which errors.Is does not take for the same
	if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, windows) {
		return err
	}
	return fmt.Errorf("%s: another program, perhaps %s, listens on %s already; %s: %w", key, who, address, what, err)
}

// SocketPath is where the daemon of a database takes requests of its owner.
func SocketPath(db string) string { return storage.Beside(db, ".sock") }

// lockPatience is how long a daemon waits for a command that has the database open for a moment.
const lockPatience = 5 * time.Second

func (d *Daemon) openHouse(ctx context.Context) (err error) {
	for began := time.Now(); ; {
		opts := d.parts.house
		opts.Logger, opts.ReadOnlyIfDamaged = d.log, true
		d.house, err = statehouse.OpenContext(ctx, d.cfg.DB, opts)
		if !errors.Is(err, storage.ErrLocked) || time.Since(began) > lockPatience {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err != nil {
		return err
	}
	r := d.house.Recovered()
	if d.opts.Out != nil {
		_, _ = fmt.Fprintln(d.opts.Out, recoveredLine(r))
	}
	if damage := d.house.Damage(); damage != nil {
		d.log.Error("the log is damaged: it is served as far as it can be read, and nothing is recorded; stop the daemon and run \"statehouse repair\"",
			"file", d.house.Path(), "damage", damage)
		if d.opts.Out != nil {
			_, _ = fmt.Fprintf(d.opts.Out, "damaged, and read-only: %s\n", damage)
		}
	}
	if r.ClockBehind.Abs() > 24*time.Hour {
		d.log.Warn("the clock is far from the last event; check the time of this machine",
			"clock_behind", r.ClockBehind.Round(time.Second), "last_position", r.Position)
	}
	return nil
}

// recoveredLine says what a start found.
func recoveredLine(r eventstore.Recovery) string {
	took := strconv.FormatInt(r.Took.Milliseconds(), 10) + " ms"
	if r.Took >= 10*time.Second {
		took = r.Took.Round(time.Second / 10).String()
	}
	return fmt.Sprintf("recovered position %s (snapshot %s + %s events) in %s",
		thousands(uint64(r.Position)), thousands(uint64(r.Snapshot)), thousands(r.Replayed), took)
}

// thousands writes a number with a comma between thousands.
func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// record records an event of the daemon's own life. What follows the start of a run names it as its cause.
func (d *Daemon) record(ctx context.Context, what, detail string) error {
	return d.recordOf(ctx, what, "daemon", detail)
}

// recordOf records an event of the daemon about something.
func (d *Daemon) recordOf(ctx context.Context, what, subject, detail string) error {
	span, err := d.house.Append(ctx, eventstore.Event{
		Source: source, CorrelationID: d.run, CausePosition: d.started, Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_System{System: &eventv1.System{What: what, Subject: subject, Detail: detail}},
		},
	})
	if err != nil {
		return fmt.Errorf("record that the %s %s: %w", subject, what, err)
	}
	if d.started == 0 {
		d.started = span.First
	}
	return nil
}

// House is the daemon's house.
func (d *Daemon) House() *statehouse.House { return d.house }

// URL is where the daemon answers over HTTP.
func (d *Daemon) URL() string { return d.server.URL() }

// MQTTAddr is where the embedded broker listens, or the URL of the user's broker.
func (d *Daemon) MQTTAddr() string {
	if b := d.broker.Load(); b != nil {
		return b.Addr().String()
	}
	return d.cfg.MQTT.Broker.URL
}

// MQTTURL is a URL under which a client on this machine reaches the embedded broker.
func (d *Daemon) MQTTURL() string {
	if d.cfg.MQTT.Broker.URL != "" {
		return d.cfg.MQTT.Broker.URL
	}
	scheme := "mqtt"
	if d.cfg.MQTT.TLS.Cert != "" {
		scheme = "mqtts"
	}
	host, port, err := net.SplitHostPort(d.MQTTAddr())
	if ip := net.ParseIP(host); err != nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Received is the number of messages that the dialects were handed since the start.
func (d *Daemon) Received() uint64 {
	var sum uint64
	for _, dialect := range d.intake.Load().dialects {
		sum += dialect.Stats().Received
	}
	return sum
}

// Close stops the daemon: see the way down in the package's comment. It may be called again.
func (d *Daemon) Close() error {
	d.closing.Do(func() { d.closed = d.close() })
	return d.closed
}

// closeTimeout bounds the steps of Close that wait for others.
const closeTimeout = 15 * time.Second

func (d *Daemon) close() error {
	d.ready.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	errs := []error{d.stopMQTT(ctx)}
	if d.stopBackground != nil {
		d.stopBackground()
		d.background.Wait()
	}
	if d.started != 0 {
		errs = append(errs, d.record(ctx, "stopped", ""))
	}
	if d.server != nil {
		errs = append(errs, d.server.Close(ctx))
	}
	if d.tokens != nil {
		d.tokens.Close()
	}
	if d.house != nil {
		errs = append(errs, d.house.Close())
	}
	return errors.Join(errs...)
}
