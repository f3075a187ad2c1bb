package storage

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// walWriter writes a WAL as SQLite does, onto a disk that keeps of what is not synced any sectors that it likes.
type walWriter struct {
	order    binary.ByteOrder
	pageSize int
	rng      *rand.Rand
	synced   []byte // what a power cut leaves for sure
	written  []byte // what a reader sees
	end      int64  // where the next frame goes
	sum      walSum
	salts    [2]uint32
	// commits are the offsets behind the frames that committed what was acknowledged.
	commits []int64
}

func newWALWriter(rng *rand.Rand, pageSize int, order binary.ByteOrder) *walWriter {
	w := &walWriter{order: order, pageSize: pageSize, rng: rng, salts: [2]uint32{rng.Uint32(), rng.Uint32()}}
	w.begin()
	return w
}

func (w *walWriter) write(at int64, b []byte) {
	if n := at + int64(len(b)); int64(len(w.written)) < n {
		w.written = append(w.written, make([]byte, n-int64(len(w.written)))...)
	}
	copy(w.written[at:], b)
}

func (w *walWriter) sync() { w.synced = bytes.Clone(w.written) }

// begin begins the WAL anew: everything in it is in the database.
func (w *walWriter) begin() {
	w.salts[0]++
	w.salts[1] = w.rng.Uint32()
	h := binary.BigEndian.AppendUint32(nil, walMagic)
	if w.order == binary.BigEndian {
		h[3] |= 1
	}
	for _, v := range []uint32{walVersion, uint32(w.pageSize), w.salts[0], w.salts[0], w.salts[1]} {
		h = binary.BigEndian.AppendUint32(h, v)
	}
	w.sum = walSum{}.add(w.order, h)
	w.write(0, w.appendSum(h))
	w.sync()
	w.end, w.commits = walHeaderSize, nil
}

func (w *walWriter) appendSum(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, w.sum[0]), w.sum[1])
}

// frames writes the frames of a transaction. Without a mark it is one that is rolled back.
func (w *walWriter) frames(n int, commit bool) {
	end, sum := w.end, w.sum
	for i := range n {
		mark := uint32(0)
		if commit && i == n-1 {
			mark = 1 + w.rng.Uint32N(1000)
		}
		f := binary.BigEndian.AppendUint32(nil, 1+w.rng.Uint32N(1000))
		f = binary.BigEndian.AppendUint32(f, mark)
		page := make([]byte, w.pageSize)
		for k := range page[:w.rng.IntN(w.pageSize)] {
			page[k] = byte(w.rng.Uint32())
		}
		w.sum = w.sum.add(w.order, f).add(w.order, page)
		f = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(f, w.salts[0]), w.salts[1])
		w.write(w.end, append(w.appendSum(f), page...))
		w.end += int64(frameHeaderSize + w.pageSize)
	}
	if !commit {
		w.end, w.sum = end, sum
	}
}

// transaction is one that commits.
func (w *walWriter) transaction(n int) {
	w.frames(n, true)
	w.sync()
	w.commits = append(w.commits, w.end)
}

// crash leaves of what is not synced any sectors, and the length that the file had or any shorter one.
func (w *walWriter) crash() {
	image := bytes.Clone(w.synced)
	if grown := len(w.written) - len(image); grown > 0 {
		image = append(image, make([]byte, w.rng.IntN(grown+1))...)
	}
	mode := w.rng.IntN(4)
	for at := 0; at < len(image); at += sectorSize {
		keep := w.rng.IntN(2) == 0
		switch mode {
		case 0: // nearly all are kept
			keep = w.rng.IntN(10) > 0
		case 1: // next to none
			keep = w.rng.IntN(10) == 0
		}
		if keep {
			copy(image[at:min(at+sectorSize, len(image))], w.written[at:])
		}
	}
	w.written, w.synced = image, bytes.Clone(image)
}

// restart goes on as SQLite does after a crash: behind the last transaction that is whole.
func (w *walWriter) restart(t interface{ Fatalf(string, ...any) }) {
	c, err := checkWAL(bytes.NewReader(w.written), w.pageSize)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if c.damage != nil {
		t.Fatalf("a legal image of %d bytes with %d transactions is called damaged: %v", len(w.written), len(w.commits), c.damage)
	}
	w.end = walHeaderSize + c.frames*int64(frameHeaderSize+w.pageSize)
	if n := len(w.commits); n > 0 && w.end < w.commits[n-1] {
		t.Fatalf("it uses %d bytes, and %d were acknowledged", w.end, w.commits[n-1])
	}
	if w.sum = storedSum(w.written[24:]); c.frames > 0 {
		w.sum = storedSum(w.written[w.end-int64(frameHeaderSize+w.pageSize)+16:])
		w.commits = append(w.commits, w.end)
	}
}

// live lets the writer live for some steps.
func (w *walWriter) live(steps, largest int) {
	for range steps {
		switch w.rng.IntN(8) {
		case 0:
			w.frames(1+w.rng.IntN(largest), false)
		case 1:
			if w.rng.IntN(4) == 0 {
				w.begin()
			}
		default:
			w.transaction(1 + w.rng.IntN(largest))
		}
	}
}

// What a power cut may leave is never called damaged, however often it comes, and everything that was synced is found.
func TestTornTailsAreNoDamage(t *testing.T) {
	lives := 4000
	if testing.Short() {
		lives = 400
	}
	images := 0
	for seed := range uint64(lives) {
		rng := rand.New(rand.NewPCG(seed, 1))
		order := []binary.ByteOrder{binary.BigEndian, binary.LittleEndian}[seed%2]
		w := newWALWriter(rng, 512<<rng.IntN(3), order)
		for range 1 + rng.IntN(8) { // crashes in a row, each in the middle of a transaction or between two
			w.live(rng.IntN(6), 1+rng.IntN(6))
			if rng.IntN(4) > 0 {
				w.frames(1+rng.IntN(12), rng.IntN(4) > 0)
			}
			w.crash()
			w.restart(t)
			images++
		}
	}
	t.Logf("%d images of %d lives", images, lives)
}

// Each flipped byte of a WAL that costs a transaction that another one follows is found; what is in front of it is used.
func TestDamageOfTheWALIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		w := newWALWriter(rng, 512, binary.LittleEndian)
		var sizes []int
		for range rapid.IntRange(4, 8).Draw(t, "transactions") {
			sizes = append(sizes, 1+rng.IntN(3))
			w.transaction(sizes[len(sizes)-1])
		}
		at := rapid.IntRange(0, len(w.written)-1).Draw(t, "at")
		image := bytes.Clone(w.written)
		image[at] ^= byte(1 + rng.IntN(255))
		c, err := checkWAL(bytes.NewReader(image), 512)
		if err != nil {
			t.Fatal(err)
		}
		hit := 0 // the transaction that it is in
		for at >= walHeaderSize && int64(at) >= w.commits[hit] {
			hit++
		}
		used := int64(0)
		if hit > 0 {
			used = (w.commits[hit-1] - walHeaderSize) / (frameHeaderSize + 512)
		}
		if c.frames != used {
			t.Errorf("byte %d is in transaction %d: %d frames are used instead of %d", at, hit, c.frames, used)
		}
		switch behind := len(sizes) - 1 - hit; {
		case behind == 0 && c.damage != nil && !inMark(at): // a mark that nobody wrote is in no torn tail
			t.Errorf("byte %d is in the last transaction, which may be torn, and yet: %v", at, c.damage)
		case behind >= 3 && c.damage == nil:
			t.Errorf("byte %d is in transaction %d of %d, and not found", at, hit, len(sizes))
		}
	})
}

// inMark says that a byte of a WAL with the smallest pages is in the mark of a frame, which says that a transaction ends with it.
func inMark(at int) bool {
	in := (at - walHeaderSize) % (frameHeaderSize + 512)
	return at >= walHeaderSize && in >= 4 && in < 8
}

// FuzzWAL: whatever is in the file, the check ends, and what it takes for valid is within the file.
func FuzzWAL(f *testing.F) {
	w := newWALWriter(rand.New(rand.NewPCG(1, 1)), 512, binary.LittleEndian)
	w.live(8, 3)
	f.Add(w.written, 512)
	w.written[40] ^= 1
	f.Add(w.written, 512)
	f.Add(w.written[:walHeaderSize], 0)
	f.Fuzz(func(t *testing.T, image []byte, pageSize int) {
		c, err := checkWAL(bytes.NewReader(image), pageSize)
		if err != nil {
			t.Fatal(err)
		}
		if c.frames < 0 || c.frames*(frameHeaderSize+512) > int64(len(image)) || (c.pages == 0) != (c.frames == 0) {
			t.Errorf("%+v in %d bytes", c, len(image))
		}
	})
}
