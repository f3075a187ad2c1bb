package eventstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// The encodings of a snapshot's body. Both are zstd over, for each record, the uvarint length of a protobuf message and
// the message.
const (
	// snapshotStream is what earlier versions wrote: one frame, cut into parts anywhere. It is only read.
	snapshotStream = 1
	// snapshotFrames has a frame of whole records in each part, so that parts are encoded and decoded side by side.
	snapshotFrames = 2
)

const (
	// partBytes is the size of the records from which a part takes no further one: little enough that what encodes or
	// decodes one gives way to others within half a millisecond, and enough that larger ones are hardly smaller
	// compressed.
	partBytes = 128 << 10
	// partRecords is the most records that a part has.
	partRecords = 1024
	// maxSnapshotRecord bounds what a length in a snapshot may make us allocate.
	maxSnapshotRecord = MaxEventBytes + 1<<20
)

// encodeOptions say how a body is encoded: by up to so many goroutines, each of which calls giveWay after every few ten
// microseconds of work.
type encodeOptions struct {
	workers int
	log     *slog.Logger
	giveWay func()
}

// atOnce are those of what somebody waits for.
func atOnce() encodeOptions {
	return encodeOptions{workers: runtime.GOMAXPROCS(0), log: slog.New(slog.DiscardHandler), giveWay: runtime.Gosched}
}

// encodedParts yields the parts of a body, in order. All goroutines have ended when it returns.
func encodedParts(records Records, how encodeOptions) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		z, err := newPartEncoder(how.workers)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = z.Close() }() // it writes nowhere
		runs := func(yield func(int, error) bool) {
			for from := 0; from < records.Count && yield(from, nil); from += partRecords {
			}
		}
		for parts, err := range inOrder(runs, how.workers, how.log, func(from int) ([][]byte, error) {
			return encodeRun(z, records, from, min(records.Count, from+partRecords), how.giveWay)
		}) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, p := range parts {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
}

func newPartEncoder(workers int) (*zstd.Encoder, error) {
	// The fastest level: the better ones take twice as long for 1 % less. The row has a checksum of its own.
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(workers), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(partBytes), zstd.WithLowerEncoderMem(true))
}

// encodeRun encodes consecutive records: into one part, or into more where they are large.
func encodeRun(z *zstd.Encoder, records Records, from, to int, giveWay func()) (parts [][]byte, err error) {
	buf := partBuffers.Get().(*partBuffer)
	defer partBuffers.Put(buf)
	raw, message := buf.raw[:0], buf.message[:0]
	for i := from; i < to; i++ {
		if i%64 == 63 {
			giveWay()
		}
		if message, err = records.appendRecord(message[:0], i); err != nil {
			return nil, err
		}
		if len(message) > maxSnapshotRecord {
			return nil, fmt.Errorf("%w: a record of %d bytes; at most %d are possible", ErrTooLarge, len(message), maxSnapshotRecord)
		}
		raw = append(binary.AppendUvarint(raw, uint64(len(message))), message...)
		if len(raw) >= partBytes || i == to-1 {
			giveWay()
			parts = append(parts, z.EncodeAll(raw, nil))
			raw = raw[:0]
		}
	}
	buf.keep(raw, message)
	return parts, nil
}

// partBuffer is memory for a part that is encoded or decoded.
type partBuffer struct{ raw, message []byte }

var partBuffers = sync.Pool{New: func() any { return new(partBuffer) }}

// keep takes memory back, if it is not much more than is usual.
func (b *partBuffer) keep(raw, message []byte) {
	b.raw, b.message = raw, message
	if cap(raw)+cap(message) > 4*partBytes {
		*b = partBuffer{}
	}
}

// SnapshotPart is some of the records of a snapshot, encoded.
type SnapshotPart struct {
	// Delta says that the records are those of a delta, which come behind all of its base.
	Delta    bool
	encoding int64
	body     []byte
	seen     *atomic.Int64 // counts the records of the snapshot that were decoded
}

// Records decodes the part. A record is valid until the next one; an error is the last thing that it yields. Parts may
// be decoded in any order and by any number of goroutines.
func (p SnapshotPart) Records() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		counted := func(record []byte) bool {
			p.seen.Add(1)
			return yield(record, nil)
		}
		decode := p.decodeFrame
		if p.encoding == snapshotStream {
			decode = p.decodeStream
		}
		if err := decode(counted); err != nil {
			yield(nil, fmt.Errorf("its records: %w", err))
		}
	}
}

func (p SnapshotPart) decodeFrame(yield func([]byte) bool) error {
	z, err := zstdDecoder()
	if err != nil {
		return err
	}
	buf := partBuffers.Get().(*partBuffer)
	defer partBuffers.Put(buf)
	raw, err := z.DecodeAll(p.body, buf.raw[:0])
	if err != nil {
		return err
	}
	defer buf.keep(raw, buf.message)
	for rest := raw; len(rest) > 0; {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return io.ErrUnexpectedEOF
		}
		if !yield(rest[n : n+int(size)]) {
			return nil
		}
		rest = rest[n+int(size):]
	}
	return nil
}

func (p SnapshotPart) decodeStream(yield func([]byte) bool) error {
	z, err := zstd.NewReader(bytes.NewReader(p.body), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	for in := newFrameReader(z); ; {
		record, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !yield(record) {
			return nil
		}
	}
}

// DecodeParts decodes parts side by side, as many at once as there are processors, and yields what decode makes of each
// in the order of the parts. An error is the last thing that it yields. All goroutines have ended when it returns.
func DecodeParts[T any](parts iter.Seq2[SnapshotPart, error], decode func(SnapshotPart) (T, error)) iter.Seq2[T, error] {
	return inOrder(parts, runtime.GOMAXPROCS(0), slog.New(slog.DiscardHandler), func(p SnapshotPart) (T, error) {
		runtime.Gosched() // a moment of the past must not keep the present waiting
		return decode(p)
	})
}

// inOrder yields what work makes of each of in, in the same order; so many goroutines work, somewhat ahead of who takes
// the results. An error, of in or of work, is the last thing that it yields; a panic of work is one. All goroutines have
// ended when it returns.
func inOrder[A, B any](in iter.Seq2[A, error], workers int, log *slog.Logger, work func(A) (B, error)) iter.Seq2[B, error] {
	type result struct {
		value B
		err   error
	}
	return func(yield func(B, error) bool) {
		var all sync.WaitGroup
		defer all.Wait()
		var ahead []chan result
		take := func() (goOn bool) {
			r := <-ahead[0]
			ahead = ahead[1:]
			return yield(r.value, r.err) && r.err == nil
		}
		working := make(chan struct{}, workers)
		for a, err := range in {
			done := make(chan result, 1)
			if err != nil {
				done <- result{err: err}
			} else {
				all.Go(func() {
					working <- struct{}{}
					var r result
					r.err = contained(log, "a snapshot", func() (err error) { r.value, err = work(a); return err })
					<-working
					done <- r
				})
			}
			ahead = append(ahead, done)
			if len(ahead) > 2*workers && !take() {
				return
			}
			if err != nil {
				break
			}
		}
		for len(ahead) > 0 && take() {
		}
	}
}
