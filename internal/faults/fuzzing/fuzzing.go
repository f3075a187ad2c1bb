// Package fuzzing runs the fuzz targets of the module, which every decoder has, from the corpus that is kept in testdata
// and goes on in Go's cache with what was found to be new.
package fuzzing

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/faults"
)

// turn is for how long a target is run at once.
const turn = time.Minute

// target is a fuzz target of a package.
type target struct{ pkg, name string }

// Run implements [faults.Run], in the module's directory. A round is a minute of a target; a seed says with which it
// begins, and each has its turn before the first has another.
func Run(ctx context.Context, seed uint64, b faults.Budget) (faults.Report, error) {
	if err := b.Check(); err != nil {
		return faults.Report{}, err
	}
	all, err := targets(ctx)
	if err != nil {
		return faults.Report{}, err
	}
	m := b.NewMeter("minutes") // not before: the tests had to be built
	for _, t := range all {
		m.Count(t.name, 0)
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for m.More(ctx) {
		t := all[m.Rounds%len(all)]
		if err := t.run(ctx, turn); err != nil {
			if ctx.Err() != nil {
				return m.Report, nil
			}
			return m.Report, err
		}
		m.Rounds++
		m.Count(t.name, 1)
	}
	return m.Report, nil
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
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", d.String(),
		"-fuzzminimizetime", "10x", t.pkg).CombinedOutput()
	if err == nil {
		return nil
	}
	_, report, _ := strings.Cut(string(out), "--- FAIL: ")
	if _, report, _ = strings.Cut(report, "\n"); strings.HasPrefix(report, outOfTime+"FAIL\n") {
		return nil
	}
	return fmt.Errorf("%s of %s: %w\n%s", t.name, t.pkg, err, out)
}
