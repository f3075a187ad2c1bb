package rot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/internal/check"
)

// Options say what to damage. The zero value damages every byte of the smallest house once.
type Options struct {
	// Dir is a directory for the files, which Flip makes and removes in it; empty for that of temporary files.
	Dir string
	// Seed chooses the house, and which bits of a byte are flipped.
	Seed uint64
	// PageSize is that of the database; 0 means 512, which gives the smallest files and the deepest trees.
	PageSize int
	// Bits flips every bit instead of every byte, in an order that reaches all parts of the files early.
	Bits bool
	// Every flips only one byte, or bit, of so many, beginning with one that the seed chooses; 0 means all.
	Every int
	// From is the number of the flip to begin with, which Report.Next of the run before said.
	From int
	// Limit is the most flips that are done, 0 for no limit.
	Limit int
	// Budget ends the run after that time, 0 for never.
	Budget time.Duration
	// Workers is how many houses are asked at once; 0 means as many as there are processors.
	Workers int
}

// Report says what was done.
type Report struct {
	// Files are the sizes of the files that were damaged, by what comes after the name of the database.
	Files map[string]int
	// Flips were done; Total is how many there are in all, and Next the number of the first one that was not done.
	Flips, Total, Next int
	// Refused of them were errors of the opening, Reported were told in another way, and of the others every answer was
	// what it was. Served were opened for reading in spite of the damage.
	Refused, Reported, Unchanged, Served int
}

// furtherEvery is how many bytes are flipped for each one of which it is also seen how the house goes on, or is repaired, which
// takes long. Where every bit is flipped that is seen for all.
const furtherEvery = 7

// maxFailures is how many failures end a run.
const maxFailures = 20

// Flip damages a house and returns what was done; the error says which flips were not reported and changed an answer. The
// end of ctx is none.
func Flip(ctx context.Context, opts Options) (report Report, err error) {
	dir, err := os.MkdirTemp(opts.Dir, "rot-")
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &runner{opts: opts}
	if r.opts.PageSize == 0 {
		r.opts.PageSize = 512
	}
	if err := r.prepare(ctx, dir); err != nil {
		return report, fmt.Errorf("the undamaged house: %w", err)
	}
	return r.run(ctx, dir)
}

// runner is a run.
type runner struct {
	opts  Options
	house files
	asker asker
	// was is what the undamaged house answered at every position, then what it did when it had gone on. The sizes are those of
	// the answers to what damaged ones are asked.
	was, then         *answers
	wasSize, thenSize [3]int
	// rows are what SQLite reads of the log in the undamaged house.
	rows rows

	end  int // the number of the first flip that is not to be done
	next atomic.Int64
	mu   sync.Mutex // guards the rest
	done map[int]bool
	report
}

type report struct {
	Report
	failures []error
}

// prepare makes the house and asks it.
func (r *runner) prepare(ctx context.Context, dir string) (err error) {
	if r.house, err = makeFiles(ctx, dir, r.opts.Seed, r.opts.PageSize); err != nil {
		return err
	}
	r.Files = map[string]int{}
	for s, content := range r.house {
		r.Files[s] = len(content)
		r.Total += len(content)
	}
	if r.opts.Bits {
		r.Total *= 8
	}
	if r.rows, err = readRows(ctx, dir, r.house, nil); err != nil {
		return err
	}
	r.end = r.Total
	if limit := r.opts.Limit; limit > 0 {
		r.end = min(r.end, r.opts.From+limit)
	}
	for _, q := range [...]asker{{}, {deep: true}, {deep: r.opts.Bits}} { // at first to learn where it ends
		if err := r.house.write(dir); err != nil {
			return err
		}
		h, err := open(ctx, dir, false)
		if err != nil {
			return err
		}
		r.asker = asker{last: h.Store().Head(), deep: q.deep}
		a := r.asker.ask(ctx, h)
		if err := h.Close(); err != nil {
			return err
		}
		if len(a.reports) > 0 {
			return fmt.Errorf("it reports %q", a.reports)
		}
		then, err := r.goOn(ctx, dir)
		if err != nil {
			return err
		}
		if q.deep {
			r.was, r.then = a, then
		}
		r.wasSize, r.thenSize = a.size(), then.size()
	}
	return nil
}

func (r *runner) run(ctx context.Context, dir string) (Report, error) {
	if r.opts.Budget > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, r.opts.Budget)
		defer stop()
	}
	r.next.Store(int64(r.opts.From))
	r.done = map[int]bool{}
	workers := r.opts.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { r.work(ctx, filepath.Join(dir, fmt.Sprint(i))) })
	}
	wg.Wait()
	for r.Next = r.opts.From; r.done[r.Next]; r.Next++ {
	}
	return r.Report, errors.Join(r.failures...)
}

// work does flip after flip, in a directory of its own.
func (r *runner) work(ctx context.Context, dir string) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		r.fail(err)
		return
	}
	every := max(r.opts.Every, 1)
	first := int(r.opts.Seed % uint64(every))
	for ctx.Err() == nil {
		n := int(r.next.Add(1) - 1)
		if n >= r.end || !r.goesOn() {
			return
		}
		if n%every == first {
			r.one(ctx, dir, n)
		}
		if ctx.Err() == nil {
			r.mu.Lock()
			r.done[n] = true
			r.mu.Unlock()
		}
	}
}

func (r *runner) goesOn() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) < maxFailures
}

func (r *runner) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, err)
}

// flip is a damage.
type flip struct {
	suffix string
	at     int
	with   byte
}

func (f flip) String() string {
	return fmt.Sprintf("%s%s, byte %d changed by %#02x", name, f.suffix, f.at, f.with)
}

// flip is the n-th.
func (r *runner) flip(n int) flip {
	f := flip{with: byte(1 + rand.New(rand.NewPCG(r.opts.Seed, uint64(n))).IntN(255))}
	if r.opts.Bits {
		// A prime, and more than there are: each is hit once.
		n = int((uint64(n) + r.opts.Seed%uint64(r.Total)) * (1<<31 - 1) % uint64(r.Total))
		f.with, n = 1<<(n%8), n/8
	}
	for _, f.suffix = range suffixes {
		if f.at = n; n < len(r.house[f.suffix]) {
			break
		}
		n -= len(r.house[f.suffix])
	}
	return f
}

// outcome is what became of a damage.
type outcome int

const (
	refused outcome = iota
	reported
	unchanged
)

// one does the n-th flip.
func (r *runner) one(ctx context.Context, dir string, n int) {
	f := r.flip(n)
	house := files{}
	for s, content := range r.house {
		house[s] = content
	}
	house[f.suffix] = bytes.Clone(house[f.suffix])
	house[f.suffix][f.at] ^= f.with
	out, served, err := r.try(ctx, dir, house, r.opts.Bits || n%furtherEvery == 0)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.fail(fmt.Errorf("seed %d, flip %d: %s: %w", r.opts.Seed, n, f, err))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Flips++
	switch out {
	case refused:
		r.Refused++
	case reported:
		r.Reported++
	case unchanged:
		r.Unchanged++
	}
	if served {
		r.Served++
	}
}

// try opens a damaged house and says what came of it; the error says that it is not what was promised.
func (r *runner) try(ctx context.Context, dir string, house files, further bool) (out outcome, served bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := house.write(dir); err != nil {
		return out, false, err
	}
	h, err := open(ctx, dir, false)
	if err != nil {
		served, err = r.tryReadOnly(ctx, dir, house, err)
		if err == nil && further {
			err = r.tryRepair(ctx, dir, house, served)
		}
		return refused, served, err
	}
	a := r.asker.ask(ctx, h)
	if err := h.Close(); err != nil {
		a.report("close", err)
	}
	if err := a.differs(r.was); err != nil {
		return out, false, fmt.Errorf("%w; it reported %q", err, a.reports)
	}
	if len(a.reports) > 0 {
		spared, err := r.spared(ctx, dir, house)
		if err == nil {
			err = r.tooMuch(a, spared)
		}
		if err == nil && further {
			if err = house.write(dir); err == nil {
				err = r.tryRepair(ctx, dir, house, true)
			}
		}
		return reported, false, err
	}
	if n := a.size(); n != r.wasSize {
		return out, false, fmt.Errorf("%d facts, moments and events instead of %d", n, r.wasSize)
	}
	if !further {
		return unchanged, false, nil
	}
	// It goes on as if nothing had happened, and so it must.
	if err := house.write(dir); err != nil {
		return out, false, err
	}
	if a, err = r.goOn(ctx, dir); err != nil {
		return reported, false, nil //nolint:nilerr // that is a report
	}
	if err := a.differs(r.then); err != nil {
		return out, false, fmt.Errorf("when it has gone on: %w; it reported %q", err, a.reports)
	}
	if len(a.reports) > 0 {
		return reported, false, nil
	}
	if n := a.size(); n != r.thenSize {
		return out, false, fmt.Errorf("when it has gone on: %d facts, moments and events instead of %d", n, r.thenSize)
	}
	return unchanged, false, nil
}

// goOn appends to the house, closes it, opens it again, and asks it.
func (r *runner) goOn(ctx context.Context, dir string) (*answers, error) {
	h, err := open(ctx, dir, false)
	if err != nil {
		return nil, err
	}
	for i := range 3 { // so many that pages are taken into use
		e := check.CustomEvent("sensor.d", "rot.after", bytes.Repeat([]byte{byte(i)}, 700))
		if _, err := h.Append(ctx, e, check.SensorEvent("sensor.d", float64(i))); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	if err := errors.Join(h.Snapshot(ctx), h.Close()); err != nil {
		return nil, err
	}
	if h, err = open(ctx, dir, false); err != nil {
		return nil, err
	}
	a := r.asker.ask(ctx, h)
	return a, h.Close()
}

// tryReadOnly opens a house that was refused, with an error, for reading, and says whether that went.
func (r *runner) tryReadOnly(ctx context.Context, dir string, house files, refusal error) (served bool, err error) {
	if err := unchangedFiles(dir, house); err != nil {
		return false, fmt.Errorf("refused with %w: %w", refusal, err)
	}
	h, err := open(ctx, dir, true)
	if err != nil {
		if err := unchangedFiles(dir, house); err != nil {
			return false, fmt.Errorf("refused with %w: %w", refusal, err)
		}
		return false, nil //nolint:nilerr // that is a report
	}
	a := r.asker.ask(ctx, h)
	readOnly := h.Damage() != nil
	if err := h.Close(); err != nil {
		a.report("close", err)
	}
	if !readOnly {
		return true, fmt.Errorf("refused with %w, and then opened as if there was no damage", refusal)
	}
	if err := unchangedFiles(dir, house); err != nil {
		return true, fmt.Errorf("refused with %w, and opened for reading: %w", refusal, err)
	}
	if err := a.differs(r.was); err != nil {
		return true, fmt.Errorf("refused with %w, and opened for reading: %w; it reported %q", refusal, err, a.reports)
	}
	spared, err := r.spared(ctx, dir, house)
	if err == nil {
		err = r.tooMuch(a, spared)
	}
	return true, err
}

// unchangedFiles says which of the files is not what it was.
func unchangedFiles(dir string, house files) error {
	for s, content := range house {
		now, err := os.ReadFile(filepath.Join(dir, name+s))
		if err != nil {
			return err
		}
		if !bytes.Equal(now, content) {
			return fmt.Errorf("%s%s was changed", name, s)
		}
	}
	return nil
}
