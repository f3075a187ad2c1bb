// Package clients lets hostile clients at the doors of the shipped program: slow, stuck, half-open and vanishing ones,
// floods, garbage, claimed lengths. Beside them devices report and readers follow the log, as in a house. They must not
// notice: every message is acknowledged and in the log, once and in order; every reader gets every event once and in
// order; the program's memory stays within a bound; and when the hostile ones are gone nothing is left of them.
package clients

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/faults"
)

const (
	devices = 2
	readers = 2
	// hostile is the number of hostile clients at a time.
	hostile = 12
	// maxResident bounds the program's memory: what it is allowed to hold for its clients, twice for what the collector has
	// not collected, and its own.
	maxResident = 512 << 20
)

// Run implements [faults.Run]. A round is a visit of a hostile client.
func Run(ctx context.Context, seed uint64, b faults.Budget) (faults.Report, error) {
	if err := b.Check(); err != nil {
		return faults.Report{}, err
	}
	m := b.NewMeter("visits")
	p, err := faults.Start(b.Binary, filepath.Join(b.Dir, "home.db"), "--max-entities", "500")
	if err != nil {
		return m.Report, err
	}
	defer p.Kill()
	if err := p.Ready(ctx); err != nil {
		return m.Report, err
	}
	s := &scene{p: p}
	err = s.play(ctx, seed, m)
	if ctx.Err() != nil {
		return m.Report, nil
	}
	if err == nil {
		err = p.Stop()
	}
	if err != nil {
		return m.Report, fmt.Errorf("%w\n%s", err, p.Log())
	}
	return m.Report, nil
}

// scene is the house and its honest clients.
type scene struct {
	p     *faults.Program
	acked [devices]atomic.Int64 // messages, which are numbered from 1
}

// play lets everybody at the doors until the budget is used up, and then looks at what is there.
func (s *scene) play(ctx context.Context, seed uint64, m *faults.Meter) error {
	bridge, err := faults.Dial(s.p.MQTT, "bridge", "", "")
	if err != nil {
		return err
	}
	if err := errors.Join(faults.Announce(bridge, devices), bridge.Close()); err != nil {
		return err
	}
	goroutines, err := s.p.Metric(ctx, "go_goroutines")
	if err != nil {
		return err
	}
	honest, goHome := context.WithCancel(ctx)
	defer goHome()
	var house sync.WaitGroup
	errs := make(chan error, devices+readers)
	for i := range devices {
		house.Go(func() { errs <- s.report(honest, i) })
	}
	var followed [readers]atomic.Int64
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	for i := range readers {
		house.Go(func() { errs <- s.follow(reading, &followed[i]) })
	}
	err = s.visits(ctx, seed, m)
	goHome()
	for range devices {
		err = errors.Join(err, <-errs)
	}
	if err == nil {
		err = s.compare(ctx)
	}
	for i := range followed {
		if err == nil {
			err = s.caughtUp(ctx, &followed[i])
		}
	}
	if err == nil {
		err = s.settle(ctx, goroutines)
	}
	stopReading()
	house.Wait()
	for range readers {
		err = errors.Join(err, <-errs)
	}
	for i := range devices {
		m.Count("honest messages", int(s.acked[i].Load()))
	}
	for i := range followed {
		m.Count("followed events", int(followed[i].Load()))
	}
	return err
}

// visits has hostile clients come and go.
func (s *scene) visits(ctx context.Context, seed uint64, m *faults.Meter) error {
	r := rand.New(rand.NewPCG(seed, 0))
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, hostile)
	before := [devices]int64{}
	for m.More(ctx) {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		v, mood := visitors[r.IntN(len(visitors))], rand.New(rand.NewPCG(seed, r.Uint64()))
		m.Rounds++
		m.Count(v.name, 1)
		wg.Go(func() {
			v.visit(&visit{scene: s, rand: mood})
			<-room
		})
		if m.Rounds%100 != 0 {
			continue
		}
		resident, err := s.p.Metric(ctx, "process_resident_memory_bytes")
		if err != nil {
			return err
		}
		if resident > maxResident {
			return fmt.Errorf("the program takes %d MiB of memory, more than %d", int(resident)>>20, maxResident>>20)
		}
		m.Counts["MiB at most"] = max(m.Counts["MiB at most"], int(resident)>>20)
		for i := range devices {
			acked := s.acked[i].Load()
			if acked == before[i] {
				return fmt.Errorf("nothing of device %d was acknowledged during 100 visits", i)
			}
			before[i] = acked
		}
	}
	return nil
}

// report is an honest device. It does not lose its connection, whatever others do.
func (s *scene) report(ctx context.Context, i int) error {
	c, err := faults.Dial(s.p.MQTT, fmt.Sprintf("dev%d", i), "", "")
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	for n := 1; ctx.Err() == nil; n++ {
		if err := c.Publish(faults.Topic(i), faults.ReportOf(n), false); err != nil {
			return fmt.Errorf("message %d of device %d: %w", n, i, err)
		}
		s.acked[i].Store(int64(n))
		time.Sleep(2 * time.Millisecond) // a device is not a flood
	}
	return nil
}

// follow reads the log from its beginning and live, and wants every position once.
func (s *scene) follow(ctx context.Context, last *atomic.Int64) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.p.HTTP+"/v1/events?follow=1", nil)
	if err != nil {
		return err
	}
	res, err := s.p.Web.Do(r)
	if err != nil {
		return fmt.Errorf("follow the log: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e api.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || int(e.Position) != int(last.Load())+1 {
			return fmt.Errorf("a reader gets %.200s after position %d (%v)", lines.Bytes(), last.Load(), err) //nolint:errorlint // nil as a rule
		}
		last.Add(1)
	}
	if ctx.Err() == nil {
		return fmt.Errorf("a reader was cut off after position %d: %w", last.Load(), lines.Err())
	}
	return nil
}

// caughtUp waits until a reader has everything.
func (s *scene) caughtUp(ctx context.Context, last *atomic.Int64) error {
	for end := time.Now().Add(settlePatience); ; time.Sleep(50 * time.Millisecond) {
		head, err := s.p.Metric(ctx, "statehouse_log_position")
		if err != nil || last.Load() >= int64(head) {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("a reader is at position %d after %s, and the log ends at %d", last.Load(), settlePatience, int64(head))
		}
	}
}

// compare wants every acknowledged message in the log, once and in order.
func (s *scene) compare(ctx context.Context) error {
	for i := range devices {
		var text []byte
		if err := s.p.Get(ctx, "/v1/events?kind=state_changed&entity="+faults.Temperature(i), &text); err != nil {
			return err
		}
		n := 0
		d := json.NewDecoder(bytesReader(text))
		for d.More() {
			var e api.Event
			if err := d.Decode(&e); err != nil {
				return err
			}
			if e.State == "unavailable" || e.State == "unknown" {
				continue
			}
			if n++; e.State != strconv.Itoa(n) {
				return fmt.Errorf("%s is %s at position %d, and %d is due", e.EntityID, e.State, e.Position, n)
			}
		}
		if acked := int(s.acked[i].Load()); n < acked || n > acked+1 {
			return fmt.Errorf("%d messages of device %d were acknowledged, and the log has %d", acked, i, n)
		}
	}
	return nil
}

// settlePatience is how long what hostile clients leave may stay: the longest of the program's own timeouts is for a
// stream that nobody reads.
const settlePatience = 90 * time.Second

// settle waits until nothing is left of the hostile clients.
func (s *scene) settle(ctx context.Context, goroutines float64) error {
	var now, streams, clients float64
	for end := time.Now().Add(settlePatience); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		var err1, err2, err3 error
		now, err1 = s.p.Metric(ctx, "go_goroutines")
		streams, err2 = s.p.Metric(ctx, "statehouse_http_open_streams")
		clients, err3 = s.p.Metric(ctx, "statehouse_mqtt_broker_clients")
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		// A reader takes a connection and its stream; a scrape a connection.
		if streams <= readers && clients == 0 && now <= goroutines+4*readers+4 {
			return nil
		}
	}
	return fmt.Errorf("when everybody had gone there were %v streams, %v MQTT clients, and %v goroutines, %v at first", streams, clients, now, goroutines)
}

// visit is one of a hostile client.
type visit struct {
	*scene
	rand *rand.Rand
}

// stay waits for a moment, as whoever is up to something does.
func (v *visit) stay() { time.Sleep(time.Duration(v.rand.IntN(200)) * time.Millisecond) }

// dial connects, and leave ends a connection, one way or another.
func (v *visit) dial(addr string) net.Conn {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil // it may be refused
	}
	return c
}

func (v *visit) leave(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok && v.rand.IntN(2) == 0 {
		_ = tcp.SetLinger(0) // it vanishes
	}
	_ = c.Close()
}
