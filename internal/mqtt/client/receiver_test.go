package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// several is a recorder that has several messages under way. Those that begin with "alone" it leaves to Handle.
type several struct {
	recorder
	finish func(ctx context.Context, payload string) error
	began  atomic.Int32
	waited atomic.Int32
	most   atomic.Int32 // messages under way at once
}

func (s *several) Sequence() mqtt.Sequence { return s }

func (s *several) Begin(ctx context.Context, m mqtt.Message) func() error {
	payload := string(m.Payload)
	if strings.HasPrefix(payload, "alone") {
		return nil
	}
	s.most.Store(max(s.most.Load(), s.began.Add(1)-s.waited.Load()))
	return func() error {
		defer s.waited.Add(1)
		if s.finish != nil {
			if err := s.finish(ctx, payload); err != nil {
				return err
			}
		}
		return s.Handle(ctx, m)
	}
}

// reports are PUBLISH packets with the packet ids 1 to n, which are their payloads behind a word.
func reports(qos byte, payload string, n int) []byte {
	var all bytes.Buffer
	for i := range n {
		p := packets.Publish{Topic: "z/a", QoS: qos, PacketID: uint16(i + 1), Payload: fmt.Appendf(nil, "%s%d", payload, i+1), Properties: &packets.Properties{}}
		if _, err := p.WriteTo(&all); err != nil {
			panic(err)
		}
	}
	return all.Bytes()
}

// flood is a fake that does first as soon as a client is there, and the packet ids of what is acknowledged.
func flood(first func(p *peer)) (*fake, chan uint16) {
	acks := make(chan uint16, 1000)
	f := &fake{got: func(_ *peer, pk *packets.ControlPacket) bool {
		if a, ok := pk.Content.(*packets.Puback); ok {
			acks <- a.PacketID
		}
		return true
	}}
	f.born = func(p *peer) { f.done.Go(func() { first(p) }) }
	return f, acks
}

func (p *peer) write(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.nc.Write(b)
}

func expectAck(t *testing.T, acks chan uint16, want uint16) {
	t.Helper()
	select {
	case got := <-acks:
		if got != want {
			t.Fatalf("message %d is acknowledged, not %d", got, want)
		}
	case <-time.After(15 * time.Second):
		t.Fatalf("message %d is not acknowledged", want)
	}
}

// Messages that came together are under way together, at most so many, and are acknowledged in order, none before it is taken.
func TestSeveralUnderWay(t *testing.T) {
	const n, most = 100, 64
	gate, over := make(chan struct{}), make(chan struct{})
	h := &several{finish: func(context.Context, string) error {
		select {
		case <-gate:
		case <-over:
		}
		return nil
	}}
	f, acks := flood(func(p *peer) { p.write(reports(1, "", n)) })
	c, _ := run(t, client.Options{Endpoint: f.start(t), Handler: h})
	t.Cleanup(func() { close(over) })
	eventually(t, "all that may be are under way", func() bool { return h.began.Load() == most })
	for i := range n {
		if len(acks) > 0 {
			t.Fatalf("message %d is acknowledged before it is taken", <-acks)
		}
		gate <- struct{}{}
		expectAck(t, acks, uint16(i+1))
		if got := len(h.payloads()); got <= i {
			t.Fatalf("message %d is acknowledged when %d were taken", i+1, got)
		}
	}
	if h.most.Load() != most {
		t.Errorf("%d were under way at once", h.most.Load())
	}
	if s := c.Status(); s.Received != n || s.Acked != n || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
}

// When one fails, nothing behind it is acknowledged, all are waited for, and all come again: nothing is lost, whatever the order.
func TestOneUnderWayFails(t *testing.T) {
	const n = 40
	b := startBroker(t, broker.Options{})
	var failed atomic.Bool
	var after atomic.Int32 // what was under way behind the one that failed
	h := &several{}
	h.finish = func(ctx context.Context, payload string) error {
		switch {
		case ctx.Err() != nil:
			after.Add(1)
			return ctx.Err()
		case payload == "m7" && failed.CompareAndSwap(false, true):
			return errors.New("disk full")
		}
		return nil
	}
	c, stop := run(t, client.Options{Endpoint: endpoint(b), Handler: h})
	eventually(t, "a session", func() bool { return c.Status().Connected && status(b) == "online" })
	stop()
	var want []string
	for i := range n { // they wait for the client, and so come together
		want = append(want, fmt.Sprintf("m%d", i+1))
		publish(t, b, "z/a", want[i], false)
	}
	c, _ = run(t, client.Options{Endpoint: endpoint(b), Handler: h})
	eventually(t, "all", func() bool { return len(h.payloads()) >= n })
	got := h.payloads()
	if again := slices.Index(got[1:], "m1") + 1; again > 0 { // the broker need not have read the acknowledgements when the connection ended
		if !slices.Equal(got[:again], want[:again]) {
			t.Errorf("taken were %q", got)
		}
		got = got[again:]
	}
	if !slices.Equal(got, want) && !slices.Equal(got, want[6:]) {
		t.Errorf("taken were at last %q", got)
	}
	eventually(t, "all acknowledged", func() bool { return c.Status().Acked >= n })
	if s := c.Status(); s.Connects != 2 || s.Failed != int64(after.Load())+1 || h.began.Load() != h.waited.Load() {
		t.Errorf("%+v, %d of %d were waited for", s, h.waited.Load(), h.began.Load())
	}
	if after.Load() == 0 {
		t.Error("nothing was under way behind the one that failed")
	}
}

// A panic in the handler, in whichever of its methods, is the message's failure: the process goes on, what came before is acknowledged,
// nothing behind it is, and all of it comes again.
func TestTheHandlerPanics(t *testing.T) {
	for _, method := range []string{"Handle", "Begin", "wait"} {
		t.Run(method, func(t *testing.T) {
			var panicked, tried atomic.Int32
			bad := func(m mqtt.Message) {
				if string(m.Payload) != "3" {
					return
				}
				tried.Add(1)
				if panicked.Add(1) <= 2 {
					panic("bad message")
				}
			}
			var h mqtt.Handler
			one := &recorder{}
			switch method {
			case "Handle":
				one.do = func(_ context.Context, m mqtt.Message) error { bad(m); return nil }
				h = one
			case "Begin":
				h = &panicky{recorder: one, begin: bad}
			default:
				h = &panicky{recorder: one, wait: bad}
			}
			f, acks := flood(func(p *peer) { p.write(reports(1, "", 5)) })
			var log syncBuffer
			c, _ := run(t, client.Options{Endpoint: f.start(t), Handler: h, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			for _, id := range []uint16{1, 2, 1, 2, 1, 2, 3, 4, 5} {
				expectAck(t, acks, id)
			}
			if s := c.Status(); s.Failed < 2 || s.Connects != 3 || !strings.Contains(s.LastError, "panic: bad message") {
				t.Errorf("%+v", s)
			}
			if got := log.String(); strings.Count(got, "panic in the handler") != 2 || !strings.Contains(got, "receiver_test.go") || tried.Load() != 3 {
				t.Errorf("tried %d times, logged:\n%s", tried.Load(), got)
			}
		})
	}
}

// panicky is a recorder that has several messages under way, of which the one or the other step may panic.
type panicky struct {
	*recorder
	begin, wait func(m mqtt.Message)
}

func (p *panicky) Sequence() mqtt.Sequence { return p }

func (p *panicky) Begin(ctx context.Context, m mqtt.Message) func() error {
	if p.begin != nil {
		p.begin(m)
	}
	return func() error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if p.wait != nil {
			p.wait(m)
		}
		return p.Handle(ctx, m)
	}
}

// What cannot be under way beside others meets what they did, and those behind it what it did.
func TestAloneBetweenOthers(t *testing.T) {
	f, acks := flood(func(p *peer) {
		p.write(slices.Concat(reports(1, "", 3), reports(1, "alone", 3), reports(2, "two", 2), reports(0, "zero", 3), reports(1, "", 2)))
	})
	h := &several{}
	h.do = func(_ context.Context, m mqtt.Message) error {
		if !strings.HasPrefix(string(m.Payload), "alone") && !strings.HasPrefix(string(m.Payload), "two") {
			return nil
		}
		if h.began.Load() != h.waited.Load() {
			t.Errorf("%s is handled beside others", m.Payload)
		}
		return nil
	}
	run(t, client.Options{Endpoint: f.start(t), Handler: h})
	for _, id := range []uint16{1, 2, 3, 1, 2, 3, 1, 2} {
		expectAck(t, acks, id)
	}
	want := []string{"1", "2", "3", "alone1", "alone2", "alone3", "two1", "two2", "zero1", "zero2", "zero3", "1", "2"}
	if got := h.payloads(); !slices.Equal(got, want) {
		t.Errorf("taken were %q", got)
	}
}

// A message waits for no other: wherever the stream pauses, all that are whole are acknowledged.
func TestHalfAPacket(t *testing.T) {
	stream := reports(1, strings.Repeat("x", 150), 2) // lengths of two bytes
	first := len(stream) / 2
	for cut := first; cut < len(stream); cut++ {
		on := make(chan struct{})
		goOn := sync.OnceFunc(func() { close(on) })
		f, acks := flood(func(p *peer) {
			p.write(stream[:cut])
			<-on
			p.write(stream[cut:])
		})
		h := &several{}
		_, stop := run(t, client.Options{Endpoint: f.start(t), Handler: h})
		t.Cleanup(goOn)
		expectAck(t, acks, 1)
		goOn()
		expectAck(t, acks, 2)
		stop()
	}
}
