package client_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// alone is a house that records an event for each message.
type alone struct {
	h *statehouse.House
	n float64
}

func (a *alone) Filters() []string { return []string{"z/#"} }

func (a *alone) decide(statehouse.Pending) ([]eventstore.Event, error) {
	return []eventstore.Event{check.SensorEvent("sensor.one", a.n)}, nil
}

func (a *alone) Handle(ctx context.Context, _ mqtt.Message) error {
	a.n++
	_, err := a.h.Decide(ctx, a.decide)
	return err
}

// together is the same with several messages under way.
type together struct {
	alone
	log eventstore.Sequence
}

func (t *together) Sequence() mqtt.Sequence { return t }

func (t *together) Begin(ctx context.Context, _ mqtt.Message) func() error {
	t.n++
	ticket := t.h.Begin(ctx, &t.log, t.decide)
	return func() error {
		_, err := ticket.Wait()
		return err
	}
}

// BenchmarkTaken is a message from a broker that always has 64 on their way until it is in the log and acknowledged: one
// after another, and several under way at once.
func BenchmarkTaken(b *testing.B) {
	for name, handler := range map[string]func(h *statehouse.House) mqtt.Handler{
		"alone":    func(h *statehouse.House) mqtt.Handler { return &alone{h: h} },
		"together": func(h *statehouse.House) mqtt.Handler { return &together{alone: alone{h: h}} },
	} {
		b.Run(name, func(b *testing.B) {
			h, err := statehouse.Open(filepath.Join(b.TempDir(), "home.db"))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = h.Close() })
			const window = 64
			message, acked := reports(1, "21.5", 1), 0
			done := make(chan struct{})
			f, _ := flood(func(p *peer) {
				b.ResetTimer()
				for range min(window, b.N) {
					p.write(message)
				}
			})
			f.got = func(p *peer, pk *packets.ControlPacket) bool {
				if _, ok := pk.Content.(*packets.Puback); !ok {
					return true
				}
				if acked++; acked == b.N {
					close(done)
				}
				if acked+window <= b.N {
					p.write(message)
				}
				return true
			}
			_, stop := run(b, client.Options{Endpoint: f.start(b), Handler: handler(h)})
			<-done
			b.StopTimer()
			stop()
			if got := h.Now().Position(); got < eventstore.Position(b.N) {
				b.Errorf("%d events of %d messages", got, b.N)
			}
		})
	}
}
