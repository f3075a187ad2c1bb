package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/faults"
)

// daemonMeasures are the measures of the daemon: the program as it is shipped, in a process of its own, with its embedded
// broker. Its clients are in this process.
func daemonMeasures() []Measure {
	return []Measure{
		{"mqtt.ingest", inDir(func(dir string) ([]Figure, error) { return mqttIngest(dir, bigIngest) })},
		{"zoo.memory", inDir(func(dir string) ([]Figure, error) { return zooMemory(dir, bigZoo) })},
	}
}

// publishers is the number of clients that publish at once.
const publishers = 16

// buildProgram builds the program into a directory and returns its path.
func buildProgram(dir string) (string, error) {
	program := filepath.Join(dir, "statehouse")
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, "./cmd/statehouse")
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return program, nil
}

// ingest is how much mqtt.ingest does.
type ingest struct {
	devices int // of each ecosystem
	// rounds of turns that publish as fast as they can, and how many messages a publisher sends before it waits for their
	// acknowledgements.
	rounds, window int
	turn           time.Duration
	// offers are turns in which so many messages a second are offered.
	offers    int
	perSecond int
	offer     time.Duration
}

// bigIngest is a house of 5,000 entities. A window of 20 messages is what Mosquitto's clients have under way by default.
var bigIngest = ingest{devices: 500, rounds: appendRounds, window: 20, turn: time.Second, offers: 5, perSecond: 1000, offer: 4 * time.Second}

// mqttIngest measures how many QoS 1 messages a second the daemon takes of 16 publishers, and how long one waits for its
// acknowledgement while 1,000 a second are offered, whether they are behind their time or not. Each message has five values, one
// of which is another, and is acknowledged when that is durable and part of the present, which is checked at the end. The
// reference is a log that as many callers append the events of such messages to: what remains when there is no MQTT.
func mqttIngest(dir string, size ingest) (figures []Figure, err error) {
	c, err := startIngest(dir, size)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	log, err := openLog(filepath.Join(dir, "log.db"), eventstore.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	events := newFleet(time.Second).reports(ringSize)
	alone := log.side(events, 1, publishers)
	rates, err := takeTurnsOrFail(size.rounds, c.fast(&zigbee), c.fast(&discovery), alone.turn)
	if err != nil {
		return nil, err
	}
	p99s, err := takeTurnsOrFail(size.offers, size.offered(c.reporting(&zigbee, 1)), size.offered(c.reporting(&discovery, 1)), size.offered(alone.append))
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	for i, e := range []*ecosystem{&zigbee, &discovery} {
		figures = append(figures,
			Figure{"/s", rates[i], e.name + ", beside a log alone", rates[2], atLeastRate(20_000)},
			Figure{"ms", p99s[i], e.name + ", p99 at 1,000/s", p99s[2], atMostOf(10, "ms")})
	}
	return figures, nil
}

// ingestRun are the publishers of mqtt.ingest and the daemon that takes their messages.
type ingestRun struct {
	size    ingest
	daemon  *faults.Program
	clients [publishers]*faults.Publisher
	// devices are those of an ecosystem, by publisher.
	devices map[*ecosystem][publishers][]*device
	// acked are the acknowledged messages of each publisher, each of which changed one value.
	acked [publishers]int
	// before is the daemon's position when all devices had reported.
	before uint64
}

// startIngest starts a daemon and has all devices announced and report.
func startIngest(dir string, size ingest) (*ingestRun, error) {
	program, err := buildProgram(dir)
	if err != nil {
		return nil, err
	}
	c := &ingestRun{size: size, devices: map[*ecosystem][publishers][]*device{}}
	if c.daemon, err = startProgram(program, filepath.Join(dir, "home.db")); err != nil {
		return nil, err
	}
	for i := range c.clients {
		if c.clients[i], err = faults.Dial(c.daemon.MQTT, fmt.Sprintf("bench-%d", i), "", ""); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	for _, e := range []*ecosystem{&zigbee, &discovery} {
		if err := c.introduce(e); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	if c.before, err = c.position(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// introduce has the devices of an ecosystem announced, and report once.
func (c *ingestRun) introduce(e *ecosystem) error {
	all := e.devices(c.size.devices)
	first := make([]message, len(all))
	var shares [publishers][]*device
	for i, d := range all {
		first[i] = d.report()
		shares[i%publishers] = append(shares[i%publishers], d)
	}
	c.devices[e] = shares
	return errors.Join(publishAll(c.clients[:], e.announce(e, c.size.devices), true), publishAll(c.clients[:], first, false))
}

// startProgram starts the program and waits until it is ready.
func startProgram(program, db string) (*faults.Program, error) {
	p, err := faults.Start(program, db)
	if err != nil {
		return nil, err
	}
	if err := p.Ready(context.Background()); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// publishAll publishes messages, shared out among clients, and waits until all of them are acknowledged.
func publishAll(clients []*faults.Publisher, all []message, retain bool) error {
	const window = 20
	errs := make([]error, len(clients))
	var running sync.WaitGroup
	for i, client := range clients {
		running.Go(func() {
			var mine []message
			for j := i; j < len(all); j += len(clients) {
				mine = append(mine, all[j])
			}
			for part := range slices.Chunk(mine, window) {
				for _, m := range part {
					client.Add(m.topic, m.payload, retain)
				}
				if errs[i] = client.Flush(func() {}); errs[i] != nil {
					return
				}
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// reporting has the devices of an ecosystem report, so many messages at once. Each publisher's devices take turns.
func (c *ingestRun) reporting(e *ecosystem, window int) func(caller, n int) (int, error) {
	shares := c.devices[e]
	return func(caller, n int) (int, error) {
		client, mine := c.clients[caller], shares[caller]
		for i := range window {
			d := mine[(n*window+i)%len(mine)]
			d.change()
			m := d.report()
			client.Add(m.topic, m.payload, false)
		}
		err := client.Flush(func() { c.acked[caller]++ })
		return window, err
	}
}

// fast is a side that publishes the messages of an ecosystem as fast as it can.
func (c *ingestRun) fast(e *ecosystem) side {
	once := c.reporting(e, c.size.window)
	return func() (float64, error) {
		l, err := drive(publishers, c.size.turn, once)
		return l.rate, errors.Join(err, c.settle())
	}
}

// settle waits until the daemon seals no more, which would take processor time from who is next.
func (c *ingestRun) settle() error {
	for last := -1.0; ; time.Sleep(100 * time.Millisecond) {
		sealed, err := c.daemon.Metric(context.Background(), "statehouse_log_sealed_position")
		if err != nil || sealed == last {
			return err
		}
		last = sealed
	}
}

// offered is a side that answers the p99 of what is offered to once, in milliseconds.
func (size ingest) offered(once func(caller, n int) (int, error)) side {
	return func() (float64, error) {
		waits, err := offer(publishers, size.perSecond, size.offer, once)
		if err != nil {
			return 0, err
		}
		return microseconds(quantile(waits, 0.99)) / 1000, nil
	}
}

// offer calls once so many times a second for a while, whether it answers in time or not, in turns of callers, and answers how
// long each call took since it was due.
func offer(callers, perSecond int, turn time.Duration, once func(caller, n int) (int, error)) ([]time.Duration, error) {
	waits, errs := make([][]time.Duration, callers), make([]error, callers)
	var running sync.WaitGroup
	begin := time.Now()
	for c := range callers {
		running.Go(func() {
			for n := 0; ; n++ {
				due := begin.Add(time.Duration(n*callers+c) * time.Second / time.Duration(perSecond))
				if due.Sub(begin) >= turn {
					return
				}
				// A call that comes late since the one before took its time is late from when it was due. How late a timer is says
				// nothing of what is measured.
				if wait := time.Until(due); wait > 0 {
					time.Sleep(wait)
					due = time.Now()
				}
				if _, errs[c] = once(c, n); errs[c] != nil {
					return
				}
				waits[c] = append(waits[c], time.Since(due))
			}
		})
	}
	running.Wait()
	return slices.Concat(waits...), errors.Join(errs...)
}

// position is the daemon's.
func (c *ingestRun) position() (uint64, error) {
	var info struct{ Position uint64 }
	err := c.daemon.Get(context.Background(), "/v1/info", &info)
	return info.Position, err
}

// check fails unless every acknowledged message was an event, and what each device said last is in the present.
func (c *ingestRun) check() error {
	after, err := c.position()
	if err != nil {
		return err
	}
	acked := 0
	for _, n := range c.acked {
		acked += n
	}
	if got := after - c.before; got != uint64(acked) {
		return fmt.Errorf("%d messages were acknowledged, and %d events recorded", acked, got)
	}
	want := map[string]float64{}
	for _, shares := range c.devices {
		for _, share := range shares {
			for _, d := range share {
				d.values(want)
			}
		}
	}
	return checkPresent(c.daemon, want)
}

// checkPresent fails unless these entities, and no others that have a number, are as they are to be.
func checkPresent(daemon *faults.Program, want map[string]float64) error {
	var present struct {
		States []struct {
			EntityID   string `json:"entity_id"`
			Attributes struct{ Number *float64 }
		}
	}
	if err := daemon.Get(context.Background(), "/v1/states", &present); err != nil {
		return err
	}
	got := 0
	for _, s := range present.States {
		number := s.Attributes.Number
		if number == nil {
			continue
		}
		got++
		if v, ok := want[s.EntityID]; !ok || v != *number {
			return fmt.Errorf("%s is %v, and should be %v", s.EntityID, *number, v)
		}
	}
	if got != len(want) {
		return fmt.Errorf("%d entities have a number, and %d should", got, len(want))
	}
	return nil
}

func (c *ingestRun) close() error {
	for _, client := range c.clients {
		if client != nil {
			_ = client.Close() // everything was acknowledged, or has failed
		}
	}
	return c.daemon.Stop()
}
