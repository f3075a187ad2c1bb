// Package fuzzing runs the fuzz targets of the module, which every decoder has, from the corpus that is kept in testdata
// and goes on in Go's cache with what was found to be new.
package fuzzing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/statehouse/statehouse/internal/faults"
)

// longest is for how long a target is run at once: each start goes through its whole corpus first.
const longest = 5 * time.Minute

// target is a fuzz target of a package.
type target struct{ pkg, name string }

func (t target) String() string { return path.Base(t.pkg) + "." + t.name }

// Run implements [faults.Run], in the module's directory. A round is a minute of a target with one worker; as many targets
// run at a time as there are processors, those first that have had the least, also in the runs before this one. A seed
// decides which of several.
func Run(ctx context.Context, seed uint64, b faults.Budget) (faults.Report, error) {
	if err := b.Check(); err != nil {
		return faults.Report{}, err
	}
	all, err := targets(ctx)
	if err != nil {
		return faults.Report{}, err
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	r := &runner{budget: b, began: time.Now(), meter: b.NewMeter("minutes"), under: map[target]bool{}} // not before: the tests had to be built
	for _, t := range all {
		r.meter.Count(t.String(), 0)
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(all)) {
		wg.Go(func() {
			for t, minutes := r.next(ctx, all); minutes > 0; t, minutes = r.next(ctx, all) {
				err := t.run(ctx, time.Duration(minutes)*time.Minute)
				if ctx.Err() == nil {
					r.done(t, minutes, err)
				}
			}
		})
	}
	wg.Wait()
	return r.meter.Report, r.found
}

// runner is one Run.
type runner struct {
	budget faults.Budget
	began  time.Time

	mu    sync.Mutex // guards what follows
	meter *faults.Meter
	// under are the targets that are under way, claimed how many minutes they are to take.
	under   map[target]bool
	claimed int
	// found is the first failure: the others that are under way end in their time.
	found error
}

// next is the target that is to be run next, and for how many minutes; 0 says that the budget is used up.
func (r *runner) next(ctx context.Context, all []target) (target, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	minutes := int(longest.Minutes())
	if r.budget.Time > 0 {
		minutes = max(1, min(minutes, int((r.budget.Time-time.Since(r.began)).Minutes())))
	}
	if r.budget.Rounds > 0 {
		minutes = min(minutes, r.budget.Rounds-r.meter.Rounds-r.claimed)
	}
	free := slices.DeleteFunc(slices.Clone(all), func(t target) bool { return r.under[t] })
	if r.found != nil || !r.meter.More(ctx) || minutes <= 0 || len(free) == 0 {
		return target{}, 0
	}
	had := func(t target) int { return r.budget.Covered[t.String()] + r.meter.Counts[t.String()] }
	t := slices.MinFunc(free, func(a, b target) int { return cmp.Compare(had(a), had(b)) })
	r.under[t], r.claimed = true, r.claimed+minutes
	return t, minutes
}

// done says what came of what next gave.
func (r *runner) done(t target, minutes int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.under, t)
	r.claimed -= minutes
	if err != nil {
		r.found = cmp.Or(r.found, err)
		return
	}
	r.meter.Rounds += minutes
	r.meter.Count(t.String(), minutes)
}

// targets are those of all packages.
func targets(ctx context.Context) (all []target, err error) {
	out, err := exec.CommandContext(ctx, "go", "list", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w", err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		//nolint:gosec // the module's own packages
		names, err := exec.CommandContext(ctx, "go", "test", "-list", "^Fuzz", pkg).Output()
		if err != nil {
			return nil, fmt.Errorf("list the fuzz targets of %s: %w\n%s", pkg, err, names)
		}
		for _, name := range strings.Fields(string(names)) {
			if strings.HasPrefix(name, "Fuzz") {
				all = append(all, target{pkg, name})
			}
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there are no fuzz targets")
	}
	return all, nil
}

// outOfTime is how a target ends whose time is over while the coordinator of go test looks away: it found nothing. See
// scripts/fuzz.sh.
const outOfTime = "    context deadline exceeded\n"

func (t target) run(ctx context.Context, d time.Duration) error {
	//nolint:gosec // the module's own packages
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", d.String(),
		"-fuzzminimizetime", "10x", "-parallel", "1", t.pkg)
	cmd.WaitDelay = 10 * time.Second // what go test has started holds the output until its own time is over
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	_, report, _ := strings.Cut(string(out), "--- FAIL: ")
	if _, report, _ = strings.Cut(report, "\n"); strings.HasPrefix(report, outOfTime+"FAIL\n") {
		return nil
	}
	return fmt.Errorf("%s of %s: %w\n%s", t.name, t.pkg, err, out)
}
