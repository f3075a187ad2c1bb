package eventstore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/storage"
)

// BenchmarkHistory reads the history of one entity in a log of 500 sealed segments, in which there are 10,000 entities:
// of one that is in every third segment, as most are, of one that is in a single one, and the last ten events of one
// that is in all of them.
func BenchmarkHistory(b *testing.B) {
	const segments, entities = 500, 10_000
	s := sealedLog(b, segments, entities)
	for _, c := range []struct {
		name   string
		entity string
		last   int
	}{
		{"scattered", "sensor.s7", segments * 4096},
		{"single", "sensor.single", 1},
		{"last", "sensor.busy", 10},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				left := c.last
				for e, err := range s.Read(b.Context(), eventstore.Query{Entities: []string{c.entity}, Backward: true}) {
					if err != nil || e.Entity != c.entity {
						b.Fatal(e, err)
					}
					if left--; left == 0 {
						break
					}
				}
				if left == c.last {
					b.Fatal("nothing was read")
				}
			}
		})
	}
}

// sealedLog is a store with a log of so many sealed segments, in which so many entities report at random. Half of what
// sensor.busy reports is between two others', and sensor.single reports once, in the middle.
func sealedLog(b *testing.B, segments, entities int) *eventstore.Store {
	b.Helper()
	now := time.Unix(1_700_000_000, 0)
	clock := func() time.Time { now = now.Add(100 * time.Second); return now }
	db, err := storage.Open(b.Context(), filepath.Join(b.TempDir(), "log.db"), storage.Options{})
	if err != nil {
		b.Fatal(err)
	}
	s, err := eventstore.Open(b.Context(), db, eventstore.Options{SealAfter: -1, Clock: clock})
	if err == nil {
		err = s.Start(b.Context())
	}
	if err != nil {
		b.Fatal(err, db.Close())
	}
	b.Cleanup(func() {
		if err := errors.Join(s.Close(), db.Close()); err != nil {
			b.Error(err)
		}
	})
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	for i := range segments * 4 {
		batch := make([]eventstore.Event, 1024)
		for k := range batch {
			batch[k] = check.SensorEvent(fmt.Sprintf("sensor.s%d", rng.IntN(entities)), float64(rng.IntN(400))/10)
		}
		batch[17].Entity = "sensor.busy"
		if i == segments*2 {
			batch[99].Entity = "sensor.single"
		}
		_, err := s.Append(b.Context(), eventstore.Batch{Events: batch})
		if err == nil && i%256 == 255 {
			err = s.Seal(b.Context())
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Seal(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s
}
