package diskerror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/disk"
	"github.com/statehouse/statehouse/internal/faults/powercut"
)

// imagesEach is how often the power is cut after each failure.
const imagesEach = 3

// Run has the disk fail under the program, at as many different calls as the budget has rounds; the seed decides which
// come first. A run that comes to the end of them has had every call of both the new and the used database fail, in each
// of the ways. Where programs cannot be traced, the error matches [trace.ErrUnsupported].
func Run(ctx context.Context, seed uint64, b faults.Budget) (faults.Report, error) {
	if err := b.Check(); err != nil {
		return faults.Report{}, err
	}
	dir, err := os.MkdirTemp(powercut.Scratch(), "statehouse-diskerror")
	if err != nil {
		return faults.Report{}, err
	}
	r := &runner{budget: b, dir: dir, meter: b.NewMeter("failing calls")}
	err = r.run(ctx, rand.New(rand.NewPCG(seed, 0)))
	if ctx.Err() != nil {
		err = nil
	}
	return r.meter.Report, errors.Join(err, os.RemoveAll(dir))
}

// runner is one Run.
type runner struct {
	budget faults.Budget
	dir    string

	mu    sync.Mutex // guards what follows
	meter *faults.Meter
	begun int
	found error
}

func (r *runner) run(ctx context.Context, rng *rand.Rand) error {
	bases, err := r.bases(ctx)
	if err != nil {
		return err
	}
	var all []*trial
	for _, b := range bases {
		more, err := r.trials(ctx, b)
		if err != nil {
			return err
		}
		all = append(all, more...)
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var wg sync.WaitGroup
	work := make(chan *trial)
	for range runtime.GOMAXPROCS(0) {
		own := rand.New(rand.NewPCG(rng.Uint64(), 0))
		wg.Go(func() {
			for t := range work {
				r.try(ctx, t, own)
			}
		})
	}
	done := 0
	for done < len(all) && r.more(ctx) {
		work <- all[done]
		done++
	}
	close(work)
	wg.Wait()
	if done == len(all) {
		r.meter.Count("times every call", 1)
	}
	return r.found
}

// more says whether another trial may begin, and that it does.
func (r *runner) more(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.found != nil || !r.meter.More(ctx) || r.budget.Rounds > 0 && r.begun >= r.budget.Rounds {
		return false
	}
	r.begun++
	return true
}

// try runs one trial.
func (r *runner) try(ctx context.Context, t *trial, rng *rand.Rand) {
	err := os.Mkdir(t.dir, 0o700)
	if err == nil {
		err = t.run(ctx, rng, imagesEach)
	}
	t.rec = nil // a recording is large, and there are many trials
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.meter.Rounds++
	how := "once"
	if t.lasting {
		how = "for good"
	}
	r.meter.Count(fmt.Sprintf("%ss that fail %s", t.class, how), 1)
	if err == nil {
		err = os.RemoveAll(t.dir)
	}
	if err != nil && r.found == nil {
		kept := filepath.Join(r.budget.Dir, filepath.Base(t.dir))
		r.found = fmt.Errorf("%s: %s: %w; the files are in %s", t.base.name, t.name(), err, kept)
		files, err := disk.Read(t.dir)
		if err == nil {
			err = os.Mkdir(kept, 0o700)
		}
		if err == nil {
			err = files.Write(kept)
		}
		r.found = errors.Join(r.found, err)
	}
}

// bases are a database that does not exist yet, and one that was in use when its program was killed.
func (r *runner) bases(ctx context.Context) ([]*base, error) {
	unused := &base{name: "a new database", first: 1, last: 6}
	used := &base{name: "a used database", first: 1, last: 40}
	t := &trial{fault: &fault{}, binary: r.budget.Binary, base: used, dir: filepath.Join(r.dir, "base"), kill: true}
	err := os.Mkdir(t.dir, 0o700)
	if err == nil {
		err = t.run(ctx, nil, 0)
	}
	if err == nil {
		used.files, err = disk.Read(filepath.Join(t.dir, "root"))
	}
	used.first, used.last = used.last+1, used.last+6
	return []*base{unused, used}, err
}

// trials are all ways in which a call can fail.
func (r *runner) trials(ctx context.Context, b *base) (all []*trial, err error) {
	for c := range classes {
		count := &trial{fault: &fault{class: c}, binary: r.budget.Binary, base: b, dir: filepath.Join(r.dir, "count-"+b.name[:5]+c.String())}
		err := os.Mkdir(count.dir, 0o700)
		if err == nil {
			err = count.run(ctx, nil, 0)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, of which nothing fails: %w", b.name, err)
		}
		errnos := []syscall.Errno{syscall.EIO}
		if c == writes {
			errnos = append(errnos, syscall.ENOSPC)
		}
		for at := 1; at <= count.calls; at++ {
			for _, errno := range errnos {
				for _, lasting := range []bool{false, true} {
					all = append(all, &trial{
						fault:  &fault{class: c, at: at, errno: errno, lasting: lasting},
						binary: r.budget.Binary, base: b,
						dir: filepath.Join(r.dir, fmt.Sprintf("%.5s-%s%d-%d-%v", b.name[2:], c, at, errno, lasting)),
					})
				}
			}
		}
	}
	return all, nil
}
