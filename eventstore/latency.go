package eventstore

import (
	"sync/atomic"
	"time"
)

// latencyBounds are the upper bounds of the buckets of a [Latency], the last one excepted, which has none.
var latencyBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond,
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second,
}

// Latency is a distribution of times.
type Latency struct {
	// Count is how many there were, and Sum all of them together.
	Count uint64
	Sum   time.Duration
	// Within has, for some durations, how many were no longer.
	Within map[time.Duration]uint64
}

// latency counts times. Its methods may be called by any number of goroutines.
type latency struct {
	sum     atomic.Int64
	buckets [len(latencyBounds) + 1]atomic.Uint64
}

func (l *latency) add(d time.Duration) {
	l.sum.Add(int64(d))
	i := 0
	for i < len(latencyBounds) && d > latencyBounds[i] {
		i++
	}
	l.buckets[i].Add(1)
}

func (l *latency) stats() Latency {
	s := Latency{Within: make(map[time.Duration]uint64, len(latencyBounds))}
	for i := range l.buckets {
		s.Count += l.buckets[i].Load()
		if i < len(latencyBounds) {
			s.Within[latencyBounds[i]] = s.Count
		}
	}
	s.Sum = time.Duration(l.sum.Load())
	return s
}
