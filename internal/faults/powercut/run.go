package powercut

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/disk"
	"github.com/statehouse/statehouse/internal/faults/load"
)

// perRecording is how many images are made of one set of recordings.
const perRecording = 5000

// Run records the program and checks images of it, as many as the budget has rounds, until something is found: then its
// error says where the files are. The recordings differ from run to run; the seed decides where the power is cut, and what of
// what was not synced is found. A tenth as many images come on top, of a program that embeds the store. Where programs
// cannot be traced, the error matches [trace.ErrUnsupported].
func Run(ctx context.Context, seed uint64, b faults.Budget) (faults.Report, error) {
	if err := b.Check(); err != nil {
		return faults.Report{}, err
	}
	dir, err := os.MkdirTemp(Scratch(), "statehouse-powercut")
	if err != nil {
		return faults.Report{}, err
	}
	r := &runner{budget: b, dir: dir, rng: rand.New(rand.NewPCG(seed, 0)), meter: b.NewMeter("images"), hash: maphash.MakeSeed()}
	err = r.run(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	return r.meter.Report, errors.Join(err, os.RemoveAll(dir))
}

// runner is one Run.
type runner struct {
	budget   faults.Budget
	dir      string
	embedded string // the program that embeds the store
	rng      *rand.Rand
	hash     maphash.Seed
	seen     map[uint64]bool // the images that were made of these recordings

	mu    sync.Mutex // guards meter and found
	meter *faults.Meter
	found error // the first image in which something was lost or wrong
}

func (r *runner) run(ctx context.Context) (err error) {
	if r.embedded, err = faults.BuildPackage(ctx, r.dir, embeddedPackage); err != nil {
		return err
	}
	for r.more(ctx) {
		if err := r.record(ctx); err != nil {
			return err
		}
	}
	return r.found
}

// more says whether another image may be checked.
func (r *runner) more(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found == nil && r.meter.More(ctx)
}

// record makes a set of recordings and checks images of each.
func (r *runner) record(ctx context.Context) error {
	images := perRecording
	if r.budget.Rounds > 0 {
		images = min(images, r.budget.Rounds-r.meter.Rounds)
	}
	r.seen = map[uint64]bool{}
	for i, part := range []struct {
		record func(ctx context.Context, binary, root string) (*Recording, error)
		binary string
		images int
	}{
		{recordEmbedded, r.embedded, images / 10},
		{recordUpgrade, r.budget.Binary, images / 10},
		{recordLife, r.budget.Binary, images - images/10},
	} {
		root := filepath.Join(r.dir, fmt.Sprintf("recording%d", i))
		if err := os.Mkdir(root, 0o700); err != nil {
			return err
		}
		rec, err := part.record(ctx, part.binary, root)
		if err != nil {
			return err
		}
		if err := os.RemoveAll(root); err != nil {
			return err
		}
		if err := r.images(ctx, rec, part.images); err != nil {
			return err
		}
	}
	return nil
}

// job is an image on its way to be checked.
type job struct {
	rec *Recording
	trial
	event int
	seed  [2]uint64
	doing string
}

// passes is how often a recording is walked through for more images that are different.
const passes = 20

// images checks so many images of a recording.
func (r *runner) images(ctx context.Context, rec *Recording, n int) error {
	doing, err := rec.activities(ctx)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := make(chan *job)
	for i := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for j := range jobs {
				if err := r.try(ctx, j, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	made := 0
	for pass := 0; pass < passes && made < n && err == nil; pass++ {
		more := 0
		more, err = r.walk(ctx, rec, doing, r.cuts(doing, n-made), n-made, jobs)
		made += more
	}
	close(jobs)
	wg.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// cut is where the power is cut: after how many events, and the seed of what is found.
type cut struct {
	event int
	seed  [2]uint64
}

// cuts decides where to cut: half of them anywhere, half of them during each of the activities alike.
func (r *runner) cuts(doing []string, n int) []cut {
	during := map[string][]int{}
	for i, what := range doing {
		during[what] = append(during[what], i+1)
	}
	whats := slices.Sorted(maps.Keys(during))
	cuts := make([]cut, n+n/4+1)
	for i := range cuts {
		cuts[i] = cut{r.rng.IntN(len(doing) + 1), [2]uint64{r.rng.Uint64(), r.rng.Uint64()}}
		if i%2 == 0 {
			events := during[whats[r.rng.IntN(len(whats))]]
			cuts[i].event = events[r.rng.IntN(len(events))]
		}
	}
	slices.SortStableFunc(cuts, func(a, b cut) int { return a.event - b.event })
	return cuts
}

// walk follows a recording and makes at most n images at the cuts. It returns how many.
func (r *runner) walk(ctx context.Context, rec *Recording, doing []string, cuts []cut, n int, jobs chan<- *job) (made int, err error) {
	d, said, answered := disk.New(rec.Root, rec.Before), load.Said{}, answers{keyed: map[int]keyed{}}
	event := 0
	at := func() {
		for ; len(cuts) > 0 && cuts[0].event == event; cuts = cuts[1:] {
			if made == n || !r.more(ctx) {
				return
			}
			rng := rand.New(rand.NewPCG(cuts[0].seed[0], cuts[0].seed[1]))
			j := &job{rec: rec, event: event, seed: cuts[0].seed, doing: actIdle, trial: trial{
				image: d.Cut(rng), acked: slices.Clip(said.Acked), keyed: maps.Clone(answered.keyed),
				broker: rec.Shipped && rng.IntN(8) == 0, program: rec.Shipped && rng.IntN(200) == 0,
				verify: rng.IntN(4) == 0,
				twice:  rng.IntN(16) == 0 || event < 500, // it is made in the beginning, and small
			}}
			if event > 0 {
				j.doing = doing[event-1]
			}
			// The more was acknowledged, the more is looked for.
			id := j.image.Sum(r.hash) + uint64(len(j.acked)+len(j.keyed))
			if r.seen[id] {
				continue
			}
			r.seen[id] = true
			made++
			jobs <- j
		}
	}
	for _, run := range rec.Runs {
		for _, e := range run.Events {
			at()
			err := d.Apply(e)
			if rec.Shipped {
				said.Hear(e)
			} else {
				err = errors.Join(err, answered.hear(e))
			}
			if err != nil {
				return made, err
			}
			event++
		}
		d.Restart()
		said.Restart()
	}
	at()
	return made, nil
}

// try checks one image, in a directory of worker i.
func (r *runner) try(ctx context.Context, j *job, i int) error {
	if !r.more(ctx) {
		return nil
	}
	dir := filepath.Join(r.dir, fmt.Sprintf("image%d", i))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	err := j.rec.check(ctx, &j.trial, dir, r.budget.Binary)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if j.rec.Shipped {
		r.meter.Rounds++
	} else {
		r.meter.Count("of an embedding program", 1)
	}
	r.meter.Count("while "+j.doing, 1)
	r.meter.Count("acknowledgements looked for", len(j.acked)+len(j.keyed))
	if j.program {
		r.meter.Count("starts of the program", 1)
	}
	if err != nil && r.found == nil {
		kept := filepath.Join(r.budget.Dir, "image")
		r.found = fmt.Errorf("%s, cut after event %d of %d, while %s: %w; the files are in %s",
			j.rec.Name, j.event, j.rec.Events(), j.doing, err, kept)
		if err := errors.Join(os.Mkdir(kept, 0o700), j.image.Write(kept)); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}
