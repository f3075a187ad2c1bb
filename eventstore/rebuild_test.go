package eventstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// counter is a projector that counts events, or miscounts them.
type counter struct {
	name             string
	wrong            *atomic.Bool
	fail             error
	pending, current atomic.Int64
	fresh            []*counter
}

func (p *counter) Name() string { return p.name }

func (p *counter) Apply(context.Context, storage.Tx, eventstore.Event) error {
	if !p.wrong.Load() {
		p.pending.Add(1)
	}
	return p.fail
}

func (p *counter) Promote() { p.current.Store(p.pending.Load()) }

func (p *counter) Discard() { p.pending.Store(p.current.Load()) }

func (p *counter) Snapshot(context.Context, storage.Tx) error { return nil }

func (p *counter) Restore(context.Context, storage.Tx) (uint64, error) { return 0, nil }

func (p *counter) Fresh() eventstore.Projector {
	f := &counter{name: p.name, wrong: p.wrong, fail: p.fail}
	p.fresh = append(p.fresh, f)
	return f
}

func (p *counter) Adopt(fresh eventstore.Projector) {
	p.pending.Store(fresh.(*counter).current.Load())
	p.current.Store(p.pending.Load())
}

// A projector is rebuilt from the whole log, sealed or not, while appends go on, and goes on from there with the others.
func TestRebuild(t *testing.T) {
	wrong := &atomic.Bool{}
	cache, entries, p := state.New(), registry.New(), &counter{name: "counter", wrong: wrong}
	s, _ := open(t, tempDB(t), eventstore.Options{SealAfter: 500}, cache, entries, p)
	batch := make([]eventstore.Event, 100)
	for i := range batch {
		batch[i] = sensor(i)
	}
	for range 50 {
		mustAppend(t, s, batch...)
	}
	wrong.Store(true)
	mustAppend(t, s, batch...)
	if p.current.Load() != 5000 {
		t.Fatalf("it counts %d", p.current.Load())
	}
	wrong.Store(false)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					mustAppend(t, s, sensor(n), check.SensorEvent("sensor.b", float64(n)))
				}
			}
		})
	}
	for range 3 {
		for _, name := range []string{"counter", "state", "registry"} {
			if err := s.Rebuild(t.Context(), name); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	wg.Wait()
	mustAppend(t, s, sensor(1))
	if int(p.current.Load()) != int(s.Head()) || cache.Revision().Position != s.Head() || entries.Revision().Position != s.Head() {
		t.Errorf("head %d, the counter counts %d, the cache is at %d, the registry at %d", s.Head(), p.current.Load(),
			cache.Revision().Position, entries.Revision().Position)
	}
	fold, err := check.FoldLog(s.Read(t.Context(), everything))
	if err == nil {
		err = fold.CompareStates(cache.Revision())
	}
	if err != nil {
		t.Error(err)
	}
}

// What cannot be rebuilt says so and stays as it was.
func TestRebuildThatFails(t *testing.T) {
	wrong := &atomic.Bool{}
	p := &counter{name: "counter", wrong: wrong}
	s, _ := open(t, tempDB(t), eventstore.Options{}, p, &ledger{})
	mustAppend(t, s, sensor(1), sensor(2))
	for name, says := range map[string]string{
		"ledger": "projector ledger cannot be rebuilt while the store goes on", "nobody": `no projector named "nobody"`,
	} {
		if err := s.Rebuild(t.Context(), name); !errors.Is(err, eventstore.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.fail = errors.New("not now")
	if err := s.Rebuild(t.Context(), "counter"); !errors.Is(err, p.fail) || p.current.Load() != 2 {
		t.Errorf("%v, it counts %d", err, p.current.Load())
	}
	p.fail = nil
	mustAppend(t, s, sensor(3))
	if p.current.Load() != 3 {
		t.Errorf("it counts %d", p.current.Load())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Rebuild(t.Context(), "counter"); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
