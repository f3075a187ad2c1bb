package eventstore

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// drawEntries draws consecutive events as a sealed segment may have them.
func drawEntries(t *rapid.T) []entry {
	n := rapid.IntRange(1, 2500).Draw(t, "events")
	seed := rapid.Uint64().Draw(t, "seed")
	next := func(limit uint64) uint64 { // a cheap generator: rapid's own are slow for thousands of values
		seed = seed*6364136223846793005 + 1442695040888963407
		return seed >> 33 % limit
	}
	entities := 1 + next(uint64(rapid.SampledFrom([]int{1, 3, 300, 3000}).Draw(t, "entities")))
	recorded := rapid.SampledFrom([]int64{0, 1, 1_700_000_000_000_000_000, math.MaxInt64 - 1e12}).Draw(t, "recorded")
	entries := make([]entry, n)
	for i := range entries {
		e := &entries[i]
		recorded += int64(next(3)) * int64(next(1_000_000))
		e.recorded = recorded
		e.index = next(4)
		if next(9) == 0 {
			e.index = next(1 << 60)
		}
		e.timestamp = []int64{0, recorded, recorded / 1_000_000 * 1_000_000, recorded/1_000_000_000*1_000_000_000 - 1_000_000_000, 1, math.MaxInt64}[next(6)]
		e.entity = fmt.Sprintf("sensor.s%d", next(entities))
		if next(11) == 0 {
			e.entity = ""
		}
		e.source = []string{"", "zigbee2mqtt", "api:alice"}[next(3)]
		e.correlation = []string{"", "", fmt.Sprint(next(1 << 40))}[next(3)]
		e.causePosition = []uint64{0, 0, next(1 << 62)}[next(3)]
		e.payload = make([]byte, next([]uint64{1, 2, 20, 60}[next(4)]))
		for k := range e.payload {
			e.payload[k] = byte(next([]uint64{1, 3, 256}[k%3]))
		}
	}
	return entries
}

func seal(t fatalf, first Position, before chain, entries []entry) *segment {
	c := before
	for i, e := range entries {
		c = c.next(first+Position(i), e.recorded, sha256.Sum256(e.append(nil)))
	}
	s, _, err := sealSegment(first, entries, c)
	if err != nil {
		t.Fatalf("seal: %v", err)
	}
	return s
}

type fatalf interface{ Fatalf(string, ...any) }

// I10: what is sealed comes back byte for byte, whole and for single entities.
func TestSealedRoundTrip(t *testing.T) {
	reused := newRun()
	rapid.Check(t, func(t *rapid.T) {
		entries := drawEntries(t)
		before, first := chain{1}, Position(rapid.Uint64Range(1, 1<<40).Draw(t, "first"))
		s := seal(t, first, before, entries)
		if err := reused.open(s, nil); err != nil {
			t.Fatal(err)
		}
		if err := reused.chainFrom(before, nil); err != nil {
			t.Fatal(err)
		}
		for i, e := range entries {
			if got := reused.records[i].append(nil); !bytes.Equal(got, e.append(nil)) || reused.recorded[i] != e.recorded {
				t.Fatalf("event %d: %x at %d, want %x at %d", i, got, reused.recorded[i], e.append(nil), e.recorded)
			}
		}
		only := []string{entries[rapid.IntRange(0, len(entries)-1).Draw(t, "one")].entity, "sensor.of_nobody", "sensor.s1"}
		slices.Sort(only)
		only = slices.Compact(only)
		if err := reused.open(s, only); err != nil {
			t.Fatal(err)
		}
		var want, got []int
		for i, e := range entries {
			if slices.Contains(only, e.entity) {
				want = append(want, i)
			}
		}
		for k := range reused.records {
			i := int(reused.position(k) - first)
			got = append(got, i)
			if r := reused.records[k].append(nil); !bytes.Equal(r, entries[i].append(nil)) || reused.recorded[k] != entries[i].recorded {
				t.Fatalf("event %d of %v: %x at %d, want %x at %d", i, only, r, reused.recorded[k], entries[i].append(nil), entries[i].recorded)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("events of %v: %v, want %v", only, got, want)
		}
	})
}

// Every flipped bit of a sealed segment's body is found before anything of it is used.
func TestEveryFlippedBitOfASealedSegmentIsFound(t *testing.T) {
	s := seal(t, 5, chain{}, []entry{
		{recorded: 9, record: record{entity: "sensor.a", payload: []byte{1, 2, 3}}},
		{recorded: 10, record: record{entity: "sensor.b", index: 1, payload: []byte{1, 2, 4}}},
	})
	r := newRun()
	if err := r.open(s, nil); err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(s.body) {
		s.body[bit/8] ^= 1 << (bit % 8)
		if err := r.open(s, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("bit %d: %v", bit, err)
		}
		s.body[bit/8] ^= 1 << (bit % 8)
	}
}

// A short input cannot make the decoder allocate much, nor do anything but fail.
func FuzzSealed(f *testing.F) {
	payload, err := proto.Marshal(&eventv1.Payload{Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}}})
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range []int{1, 2, 300, 1500} {
		entries := make([]entry, n)
		for i := range entries {
			entries[i] = entry{int64(i / 3), record{
				index: uint64(i % 3), timestamp: int64(i) * 1_000_000, entity: fmt.Sprintf("sensor.s%d", i%400), source: "s", payload: payload,
			}}
		}
		s := seal(f, 7, chain{}, entries)
		// The fuzzer works on what is inside the frames: compressed bytes would rarely survive a change.
		var body sealedBody
		if err := body.split(s); err != nil {
			f.Fatal(err)
		}
		columns, err := body.order().inflate(nil)
		if err != nil {
			f.Fatal(err)
		}
		facts, err := body.facts(0).inflate(nil)
		if err != nil {
			f.Fatal(err)
		}
		planes, err := body.payloads(0).inflate(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint16(min(n, blockEvents)), columns, facts, planes, s.body[4:])
	}
	z, err := zstdEncoder()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, n uint16, columns, facts, planes, body []byte) {
		inside := sealing{head: []byte{0, 0, 0, 0, 1}, encoder: z}
		for _, frame := range [][]byte{columns, facts, planes} {
			if err := inside.frame(frame); err != nil {
				return // too large for a frame
			}
		}
		for _, b := range [][]byte{
			slices.Concat(append([][]byte{inside.head}, inside.frames...)...),
			append([]byte{0, 0, 0, 0}, body...),
			append([]byte{0, 0, 0, 0, 1, 9, 200, 1, 9, 9, 9, 9}, z.EncodeAll(body, nil)...),
		} {
			s := &segment{
				first: 7, last: 7 + Position(max(1, n)) - 1, firstRecorded: 0, lastRecorded: 499, encoding: encodingSealed, body: b,
			}
			s.sum()
			r := newRun()
			for _, only := range [][]string{nil, {"sensor.s1", ""}} {
				if err := r.open(s, only); err != nil && !errors.Is(err, ErrCorrupt) {
					t.Fatalf("%v is not ErrCorrupt", err)
				} else if err == nil && only == nil && len(r.records) != int(max(1, n)) {
					t.Fatalf("%d events instead of %d", len(r.records), n)
				}
			}
		}
	})
}

// A filter never denies what is there, seldom claims what is not, and excludes nothing when it is damaged.
func TestFilters(t *testing.T) {
	var in []string
	for i := range 3000 {
		in = append(in, fmt.Sprintf("sensor.in_%d", i))
	}
	f := newFilter(77, in)
	for _, e := range in {
		if !f.mayHold(77, []uint64{entityHash(e)}) {
			t.Fatalf("it denies %s", e)
		}
	}
	wrong := 0
	for i := range 10_000 {
		if f.mayHold(77, []uint64{entityHash(fmt.Sprintf("sensor.out_%d", i))}) {
			wrong++
		}
	}
	if wrong > 400 {
		t.Errorf("it claims %d of 10,000 that it has not", wrong)
	}
	out := []uint64{entityHash("sensor.out_1")}
	for bit := range 8 * len(f) {
		f[bit/8] ^= 1 << (bit % 8)
		if !f.mayHold(77, out) {
			t.Fatalf("with bit %d flipped it still excludes", bit)
		}
		f[bit/8] ^= 1 << (bit % 8)
	}
	if f.mayHold(77, out) {
		t.Fatal("sensor.out_1 is one of the false positives: take another")
	}
	if !f.mayHold(78, out) {
		t.Error("the filter of one segment excludes for another")
	}
}
