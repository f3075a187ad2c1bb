package broker_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// several is a recorder that has several messages under way. Those that begin with "alone" it leaves to Handle.
type several struct {
	recorder
	begin  func(payload string) // may panic
	finish func(ctx context.Context, payload string) error
	began  atomic.Int32
	waited atomic.Int32
	most   atomic.Int32 // messages under way at once
}

func (s *several) Sequence() mqtt.Sequence { return s }

func (s *several) Begin(ctx context.Context, m mqtt.Message) func() error {
	payload := string(m.Payload)
	if s.begin != nil {
		s.begin(payload)
	}
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

// publications are several PUBLISH packets with the packet ids 1 to n and their ids as payloads, to be sent at once.
func publications(version byte, qos byte, n int) (all []byte) {
	for i := range n {
		all = append(all, publication(version, qos, uint16(i+1), 0, fmt.Sprint(i+1))...)
	}
	return all
}

func publication(version, qos byte, id uint16, flags byte, payload string) []byte {
	body := [][]byte{str("a/b")}
	if qos > 0 {
		body = append(body, binary.BigEndian.AppendUint16(nil, id))
	}
	if version == 5 {
		body = append(body, []byte{0})
	}
	return packet(tPublish<<4|qos<<1|flags, append(body, []byte(payload))...)
}

// numbers are "1" to n.
func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i+1))
	}
	return all
}

// Messages that come together are under way together, at most so many, and are answered and passed on in order, none before it is taken.
func TestSeveralUnderWay(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		const n, most = 40, 32
		gate := make(chan struct{})
		over := make(chan struct{})
		h := &several{finish: func(context.Context, string) error {
			select {
			case <-gate:
			case <-over:
			}
			return nil
		}}
		b := start(t, broker.Options{Handler: h, DataPath: dataPath(t)})
		t.Cleanup(func() { close(over) }) // before Close, which waits
		sub := dial(t, b)
		sub.join(hello{version: v, id: "s"})
		sub.subscribe(1, "#", 1)
		w := dial(t, b)
		w.join(hello{version: v, id: "p"})
		w.send(publications(v, 1, n))
		eventually(t, "all that may be are under way", func() bool { return h.began.Load() == most })
		w.expectSilence(50 * time.Millisecond)
		for i := range n {
			if i < most || i == most {
				gate <- struct{}{}
			} else if i == most+1 {
				close(gate)
			}
			if _, body := w.expect(tPuback); binary.BigEndian.Uint16(body) != uint16(i+1) {
				t.Fatalf("PUBACK %d is for % x", i+1, body)
			}
			if got := h.payloads(); len(got) <= i {
				t.Fatalf("message %d was acknowledged, and taken were %q", i+1, got)
			}
			if m := sub.message(); m.payload != fmt.Sprint(i+1) {
				t.Fatalf("the subscriber got %q as message %d", m.payload, i+1)
			}
		}
		if got := h.payloads(); !slices.Equal(got, numbers(n)) || h.most.Load() != most {
			t.Errorf("handled %q, at most %d at once", got, h.most.Load())
		}
		if s := b.Stats(); s.Handled != n || s.Failed != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// When one fails the connection ends: nothing behind it is acknowledged or passed on, but all are waited for.
func TestOneUnderWayFails(t *testing.T) {
	const n = 6
	no := errors.New("disk full")
	fails := map[string]func(h *several, bad string){
		"error": func(h *several, bad string) {
			h.finish = func(_ context.Context, payload string) error {
				if payload == bad {
					return no
				}
				return nil
			}
		},
		"panic": func(h *several, bad string) {
			h.finish = func(_ context.Context, payload string) error {
				if payload == bad {
					panic("on purpose")
				}
				return nil
			}
		},
		"panic at the beginning": func(h *several, bad string) {
			h.begin = func(payload string) {
				if payload == bad {
					panic("on purpose")
				}
			}
		},
	}
	for name, fail := range fails {
		for _, bad := range []int{1, 3, n} {
			t.Run(fmt.Sprint(name, "/", bad), func(t *testing.T) {
				eachVersion(t, func(t *testing.T, v byte) {
					h := &several{}
					fail(h, fmt.Sprint(bad))
					finish, cancelled := h.finish, atomic.Int32{}
					h.finish = func(ctx context.Context, payload string) error {
						if ctx.Err() != nil {
							cancelled.Add(1)
						}
						if finish != nil {
							return finish(ctx, payload)
						}
						return nil
					}
					b := start(t, broker.Options{Handler: h, DataPath: dataPath(t)})
					sub := dial(t, b)
					sub.join(hello{version: v, id: "s"})
					sub.subscribe(1, "#", 1)
					w := dial(t, b)
					w.join(hello{version: v, id: "p"})
					w.send(publications(v, 1, n))
					want := slices.Repeat([]byte{tPuback}, bad-1)
					if v == 5 {
						want = append(want, tDisconnect)
					}
					if kinds := w.expectClosed(); !slices.Equal(kinds, want) {
						t.Errorf("answers %v, want %v", kinds, want)
					}
					for i := range bad - 1 {
						if m := sub.message(); m.payload != fmt.Sprint(i+1) {
							t.Errorf("the subscriber got %q as message %d", m.payload, i+1)
						}
					}
					sub.expectSilence(20 * time.Millisecond)
					eventually(t, "the connection is over", func() bool { return b.Stats().Connected == 1 })
					if got := h.waited.Load(); got != h.began.Load() || cancelled.Load() != int32(n-bad) {
						t.Errorf("%d of %d were waited for, %d were told", got, h.began.Load(), cancelled.Load())
					}
					if s := b.Stats(); s.Handled != int64(bad-1) || s.Failed != int64(n-bad+1) {
						t.Errorf("stats %+v", s)
					}
				})
			})
		}
	}
}

// Whatever comes between messages that are under way, the order of handling and of the answers is that of the packets.
func TestUnderWayBesideOthers(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		h := &several{}
		b := start(t, broker.Options{Handler: h, DataPath: dataPath(t)})
		w := dial(t, b)
		w.join(hello{version: v, id: "p"})
		var all []byte
		for _, pk := range [][]byte{
			publication(v, 1, 1, 0, "one"), publication(v, 0, 0, 0, "two"), publication(v, 1, 3, 0, "alone"),
			publication(v, 1, 4, 0, "four"), publication(v, 1, 5, retain, "retained"), publication(v, 1, 6, 0, "six"),
			publication(v, 2, 7, 0, "exactly"), publication(v, 1, 8, 0, "eight"), packet(tPubrel<<4|2, []byte{0, 7}),
			publication(v, 1, 9, 0, "nine"), packet(tPingreq << 4), publication(v, 0, 0, 0, "ten"), packet(tDisconnect << 4),
		} {
			all = append(all, pk...)
		}
		w.send(all)
		want := []byte{tPuback, tPuback, tPuback, tPuback, tPuback, tPubrec, tPuback, tPubcomp, tPuback, tPingresp}
		if kinds := w.expectClosed(); !slices.Equal(kinds, want) {
			t.Errorf("answers %v, want %v", kinds, want)
		}
		handled := []string{"one", "two", "alone", "four", "retained", "six", "exactly", "eight", "nine", "ten"}
		if got := h.payloads(); !slices.Equal(got, handled) {
			t.Errorf("handled %q, want %q", got, handled)
		}
		if m, ok := b.RetainedOn("a/b"); !ok || string(m.Payload) != "retained" {
			t.Errorf("retained %q", m.Payload)
		}
	})
}

// A refusal, and a packet that is wrong, take effect after what is under way.
func TestUnderWayBeforeABadPacket(t *testing.T) {
	for name, bad := range map[string][]byte{
		"topic that is none": packet(tPublish<<4, str("a/#"), []byte("x")),
		"own topic":          packet(tPublish<<4|2, str("$SYS/x"), []byte{0, 9}, []byte("x")),
		"undecodable":        packet(tPublish<<4|2, []byte{0, 200, 'a'}),
		"unknown":            packet(0),
	} {
		t.Run(name, func(t *testing.T) {
			h := &several{}
			b := start(t, broker.Options{Handler: h, DataPath: dataPath(t)})
			sub := dial(t, b)
			sub.join(hello{id: "s"})
			sub.subscribe(1, "#", 0)
			w := dial(t, b)
			w.join(hello{id: "p"})
			w.send(append(publications(4, 1, 3), bad...))
			for _, kind := range w.expectClosed() {
				if kind != tPuback {
					t.Errorf("answered with packet type %d", kind)
				}
			}
			for i := range 3 {
				if m := sub.message(); m.payload != fmt.Sprint(i+1) {
					t.Errorf("the subscriber got %q as message %d", m.payload, i+1)
				}
			}
			if got := h.payloads(); !slices.Equal(got, numbers(3)) {
				t.Errorf("handled %q", got)
			}
		})
	}
}

// Who takes a client id over, and who closes the broker, waits for what is under way.
func TestUnderWayIsWaitedFor(t *testing.T) {
	gate := make(chan struct{})
	h := &several{finish: func(ctx context.Context, _ string) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}}
	b := start(t, broker.Options{Handler: h, DataPath: dataPath(t), Limits: broker.Limits{CloseTimeout: 50 * time.Millisecond}})
	w := dial(t, b)
	w.join(hello{id: "p"})
	w.send(publications(4, 1, 3))
	eventually(t, "all are under way", func() bool { return h.began.Load() == 3 })
	next := dial(t, b)
	next.send(hello{version: 4, id: "p", keepalive: 60}.encode())
	next.expectSilence(50 * time.Millisecond)
	for range 3 {
		gate <- struct{}{}
	}
	next.expect(tConnack)
	if got := h.payloads(); !slices.Equal(got, numbers(3)) {
		t.Errorf("the client was taken over when handled were %q", got)
	}
	next.send(publications(4, 1, 2))
	eventually(t, "they are under way", func() bool { return h.began.Load() == 5 })
	if err := b.Close(); err != nil { // it is patient for a while
		t.Fatal(err)
	}
	if kinds := next.expectClosed(); len(kinds) != 0 || h.waited.Load() != 5 || len(h.payloads()) != 3 {
		t.Errorf("answers %v, %d waited for, handled %q", kinds, h.waited.Load(), h.payloads())
	}
}
