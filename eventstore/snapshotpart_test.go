package eventstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/storage"
)

var quiet = slog.New(slog.DiscardHandler)

// recordsOf are records with the given bytes.
func recordsOf(all [][]byte) Records {
	return Records{Count: len(all), Append: func(dst []byte, i int) ([]byte, error) { return append(dst, all[i]...), nil }}
}

func collectParts(records Records, workers int) (parts [][]byte, err error) {
	for p, err := range encodedParts(records, encodeOptions{workers, quiet, runtime.Gosched}) {
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func decodePart(encoding int64, body []byte) (records [][]byte, err error) {
	for r, err := range (SnapshotPart{encoding: encoding, body: body, seen: new(atomic.Int64)}).Records() {
		if err != nil {
			return records, err
		}
		records = append(records, bytes.Clone(r))
	}
	return records, nil
}

// What is encoded comes back, in parts that are not too large, and is the same bytes however many encode it.
func TestPartsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all [][]byte
		for range rapid.IntRange(0, 4).Draw(t, "runs") {
			size := rapid.SampledFrom([]int{0, 1, 90, 5000, partBytes - 1, partBytes + 1}).Draw(t, "size")
			count := rapid.SampledFrom([]int{1, 2, partRecords - 1, partRecords, partRecords + 1}).Draw(t, "count")
			for i := range min(count, 1+(2<<20)/(size+1)) {
				all = append(all, bytes.Repeat([]byte{byte(i)}, size))
			}
		}
		parts, err := collectParts(recordsOf(all), rapid.IntRange(1, 4).Draw(t, "workers"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := collectParts(recordsOf(all), 1)
		if err != nil || !slices.EqualFunc(parts, again, bytes.Equal) {
			t.Fatalf("encoded again it is something else, %v", err)
		}
		var got [][]byte
		for _, p := range parts {
			records, err := decodePart(snapshotFrames, p)
			if err != nil {
				t.Fatal(err)
			}
			size := 0
			for _, r := range records {
				size += len(r)
			}
			if len(records) == 0 || len(records) > partRecords || size > partBytes+len(records[len(records)-1]) {
				t.Fatalf("a part of %d records with %d bytes", len(records), size)
			}
			got = append(got, records...)
		}
		if !slices.EqualFunc(got, all, bytes.Equal) {
			t.Fatalf("%d records came back of %d", len(got), len(all))
		}
	})
}

func TestRecordsThatAreTooLarge(t *testing.T) {
	if _, err := collectParts(recordsOf([][]byte{make([]byte, maxSnapshotRecord)}), 2); err != nil {
		t.Errorf("the largest record: %v", err)
	}
	if _, err := collectParts(recordsOf([][]byte{make([]byte, maxSnapshotRecord+1)}), 2); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a larger one: %v", err)
	}
}

// Results come in the order of what they are made of, not too far ahead of who takes them; an error, a panic or the end
// of a goroutine is the last of them, and when it is over nobody works any more.
func TestInOrder(t *testing.T) {
	bad := errors.New("bad")
	count := func(n int, err error) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
			if err != nil {
				yield(0, err)
			}
		}
	}
	for name, c := range map[string]struct {
		in   iter.Seq2[int, error]
		work func(int) error
		take int // stop after so many
		got  int
		says string
	}{
		"all":       {in: count(100, nil), got: 100},
		"none":      {in: count(0, nil)},
		"some":      {in: count(1_000_000_000, nil), take: 50, got: 50},
		"bad input": {in: count(20, bad), got: 20, says: "bad"},
		"bad work": {in: count(100, nil), got: 30, says: "bad", work: func(i int) error {
			if i >= 30 {
				return bad
			}
			return nil
		}},
		"panic": {in: count(100, nil), got: 7, says: "panicked: oh", work: func(i int) error {
			if i == 7 {
				panic("oh")
			}
			return nil
		}},
		"exit": {in: count(100, nil), got: 7, says: "runtime.Goexit", work: func(i int) error {
			if i == 7 {
				runtime.Goexit()
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var working, most, done atomic.Int64
			got, says := 0, ""
			for v, err := range inOrder(c.in, 3, quiet, func(i int) (string, error) {
				now := working.Add(1)
				defer working.Add(-1)
				defer done.Add(1)
				for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
				}
				runtime.Gosched()
				if c.work != nil {
					return fmt.Sprint(i), c.work(i)
				}
				return fmt.Sprint(i), nil
			}) {
				if says != "" {
					t.Fatal("an error was not the last")
				}
				if err != nil {
					says = err.Error()
					continue
				}
				if v != fmt.Sprint(got) {
					t.Fatalf("%s instead of %d", v, got)
				}
				got++
				if ahead := done.Load() - int64(got); ahead > 7 {
					t.Fatalf("%d ahead", ahead)
				}
				if got == c.take {
					break
				}
			}
			if got != c.got || !strings.Contains(says, c.says) || (says == "") != (c.says == "") {
				t.Errorf("%d results and %q", got, says)
			}
			if working.Load() != 0 || most.Load() > 3 {
				t.Errorf("%d still work, %d did", working.Load(), most.Load())
			}
		})
	}
}

// streamOf encodes records as earlier versions did.
func streamOf(t testing.TB, all [][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if _, err := z.Write(append(binary.AppendUvarint(nil, uint64(len(r))), r...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A snapshot that an earlier version wrote, as one stream that is cut anywhere, is read as it was.
func TestSnapshotsOfTheFirstEncoding(t *testing.T) {
	db, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s, err := Open(t.Context(), db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for i := range 3000 {
		all = append(all, fmt.Appendf(nil, "record %d", i*i))
	}
	for range maxFrame>>20 + 1 { // more than a part may have
		all = append(all, make([]byte, 1<<20))
	}
	body := streamOf(t, all)
	write := func(count int) {
		t.Helper()
		row := snapshotRow{
			SnapshotHeader: SnapshotHeader{Owner: "old", FoldVersion: 3}, uuid: s.uuid, chain: genesis(s.uuid),
			encoding: snapshotStream, count: int64(count),
		}
		sum := row.hash()
		sum.Write(body)
		row.checksum = [sha256.Size]byte(sum.Sum(nil))
		err := row.place().clear(t.Context(), db.Writer())
		for part := range slices.Chunk(body, 1000) {
			err = errors.Join(err, row.writePart(t.Context(), db.Writer(), part))
		}
		if err := errors.Join(err, row.writeHeader(t.Context(), db.Writer())); err != nil {
			t.Fatal(err)
		}
	}
	var got [][]byte
	read := func() ([]error, error) {
		got = nil
		_, faults, err := ReadSnapshot(t.Context(), db.Reader(), "old", 3, func(records iter.Seq2[[]byte, error]) error {
			for r, err := range records {
				if err != nil {
					return err
				}
				got = append(got, bytes.Clone(r))
			}
			return nil
		})
		return faults, err
	}
	for _, wrong := range []int{-1, 1} {
		write(len(all) + wrong)
		if faults, err := read(); err != nil || len(faults) != 1 || !strings.Contains(faults[0].Error(), "records instead of") {
			t.Errorf("another number of records: %v, %v", faults, err)
		}
		if err := s.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "records instead of") {
			t.Errorf("another number of records: %v", err)
		}
	}
	write(len(all))
	if faults, err := read(); err != nil || len(faults) != 0 || !slices.EqualFunc(got, all, bytes.Equal) {
		t.Fatalf("%d records of %d, %v, %v", len(got), len(all), faults, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := db.Writer().ExecContext(t.Context(), `UPDATE snapshot_parts SET body = zeroblob(length(body)) WHERE part = 1`); err != nil {
		t.Fatal(err)
	}
	if faults, err := read(); err != nil || len(faults) != 1 || !strings.Contains(faults[0].Error(), "checksum") {
		t.Errorf("a damaged one: %v, %v", faults, err)
	}
	if err := s.Verify(t.Context()); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "snapshot of old at position 0") {
		t.Errorf("a damaged one: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Whatever a part holds, decoding it ends, with records that are no larger than any can be, or with an error; and what a
// frame held comes back when it is encoded again.
func FuzzSnapshotPart(f *testing.F) {
	for _, all := range [][][]byte{nil, {nil}, {[]byte("a"), []byte("bb")}, {bytes.Repeat([]byte("x"), 1000), {0xff}}} {
		parts, err := collectParts(recordsOf(all), 1)
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range parts {
			f.Add(true, p)
		}
		f.Add(false, streamOf(f, all))
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(true, z.EncodeAll(binary.AppendUvarint(nil, 1<<63), nil))
	f.Add(true, z.EncodeAll(make([]byte, maxFrame+1), nil))
	f.Add(false, z.EncodeAll(binary.AppendUvarint(nil, 1<<40), nil))
	f.Fuzz(func(t *testing.T, frame bool, body []byte) {
		if !frame {
			n := 0
			for r, err := range (SnapshotPart{encoding: snapshotStream, body: body, seen: new(atomic.Int64)}).Records() {
				if len(r) > maxSnapshotRecord {
					t.Fatalf("a record of %d bytes", len(r))
				}
				if n++; err != nil || n > 10_000 {
					break
				}
			}
			return
		}
		records, err := decodePart(snapshotFrames, body)
		if err != nil {
			return
		}
		size := 0
		for _, r := range records {
			size += len(r)
		}
		if size > maxFrame {
			t.Fatalf("%d bytes in a part", size)
		}
		if slices.ContainsFunc(records, func(r []byte) bool { return len(r) > maxSnapshotRecord }) {
			return
		}
		parts, err := collectParts(recordsOf(records), 1)
		if err != nil {
			t.Fatal(err)
		}
		var again [][]byte
		for _, p := range parts {
			some, err := decodePart(snapshotFrames, p)
			if err != nil {
				t.Fatal(err)
			}
			again = append(again, some...)
		}
		if !slices.EqualFunc(again, records, bytes.Equal) {
			t.Fatalf("%d records, and %d when they are encoded again", len(records), len(again))
		}
	})
}
