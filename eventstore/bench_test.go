package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// BenchmarkAppend appends one event a call from several callers, every commit synced. bench/ has it beside peers.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			db, err := storage.Open(b.Context(), b.TempDir()+"/log.db", storage.Options{})
			if err != nil {
				b.Fatal(err)
			}
			s, err := eventstore.Open(b.Context(), db, eventstore.Options{})
			if err == nil {
				err = s.Start(b.Context(), state.New())
			}
			if err != nil {
				b.Fatal(err)
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := range callers {
				wg.Go(func() {
					for i := 0; left.Add(-1) >= 0; i++ {
						batch := eventstore.Batch{Events: []eventstore.Event{check.SensorEvent(fmt.Sprintf("sensor.c%d_%d", c, i%100), float64(i))}}
						if _, err := s.Append(context.Background(), batch); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(s.Stats().Groups)/float64(b.N), "commits/op")
			if err := errors.Join(s.Close(), db.Close()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
