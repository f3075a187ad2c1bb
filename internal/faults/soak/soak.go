package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/clients"
	"github.com/statehouse/statehouse/internal/faults/diskerror"
	"github.com/statehouse/statehouse/internal/faults/fuzzing"
	"github.com/statehouse/statehouse/internal/faults/kills"
	"github.com/statehouse/statehouse/internal/faults/linear"
	"github.com/statehouse/statehouse/internal/faults/powercut"
	"github.com/statehouse/statehouse/internal/faults/rot"
)

// harness is a row of the table.
type harness struct {
	name string
	run  faults.Run
	// One of these is wanted: so many rounds, so long, or so many of each thing that it counts.
	rounds int
	time   time.Duration
	each   int
}

// harnesses are all that there are.
var harnesses = []harness{
	{name: "kills", run: kills.Run, rounds: 10_000},
	{name: "clients", run: clients.Run, time: time.Hour},
	{name: "rot", run: rot.Run, time: time.Hour},
	{name: "linear", run: linear.Run, time: time.Hour},
	{name: "fuzzing", run: fuzzing.Run, each: 60},
	{name: "powercut", run: powercut.Run, rounds: 250_000},
	{name: "diskerror", run: diskerror.Run, rounds: 5_000},
	{name: "fills", run: diskerror.RunFills, rounds: 1_000},
}

// covered is what a harness has done so far.
type covered struct {
	faults.Report
	// Took is the time of all its turns.
	Took time.Duration `json:"took"`
	// Seeds are those of its turns, oldest first.
	Seeds []uint64 `json:"seeds"`
	// Failures are what was found, with the seed.
	Failures []string `json:"failures,omitempty"`
}

// soak is a run of the command.
type soak struct {
	dir  string
	turn time.Duration
	only string
	out  io.Writer

	covered map[string]*covered
}

func (s *soak) statePath() string { return filepath.Join(s.dir, "covered.json") }

// load reads what was covered before.
func (s *soak) load() error {
	s.covered = map[string]*covered{}
	text, err := os.ReadFile(s.statePath())
	if err == nil {
		err = json.Unmarshal(text, &s.covered)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("what was covered so far: %w", err)
	}
	for _, h := range harnesses {
		if s.covered[h.name] == nil {
			s.covered[h.name] = &covered{}
		}
	}
	return nil
}

// save writes what was covered, whole or not at all.
func (s *soak) save() error {
	text, err := json.MarshalIndent(s.covered, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.statePath()+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(s.statePath()+".new", s.statePath())
}

// goal is what is wanted of a harness, and whether it is reached.
func (h harness) goal(c *covered) (string, bool) {
	switch {
	case h.rounds > 0:
		return fmt.Sprint(h.rounds), c.Rounds >= h.rounds
	case h.time > 0:
		return h.time.String(), c.Took >= h.time
	default:
		least := -1 // nothing was counted yet
		for _, n := range c.Counts {
			if least < 0 || n < least {
				least = n
			}
		}
		return fmt.Sprintf("%d of each", h.each), least >= h.each
	}
}

// run runs the harnesses in turns until the time is over: those first that have not reached their goal, and of them
// those that have had the least of it. A failure ends the
// turn and not the soak, whose error it is in the end.
func (s *soak) run(ctx context.Context, d time.Duration) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return err
	}
	rows, err := s.rows()
	if err != nil {
		return err
	}
	binary := ""
	if d > 0 {
		if binary, err = faults.Build(ctx, s.dir); err != nil {
			return err
		}
	}
	for end := time.Now().Add(d); time.Until(end) > 0 && ctx.Err() == nil; {
		h := slices.MinFunc(rows, s.compare)
		if err := s.take(ctx, h, min(s.turn, time.Until(end)), binary); err != nil {
			return err
		}
	}
	if err := s.table(); err != nil {
		return err
	}
	return s.failed()
}

func (s *soak) compare(a, b harness) int {
	_, first := a.goal(s.covered[a.name])
	_, second := b.goal(s.covered[b.name])
	if first != second {
		if second {
			return -1
		}
		return 1
	}
	return cmp.Compare(s.covered[a.name].Took, s.covered[b.name].Took)
}

func (s *soak) rows() ([]harness, error) {
	if s.only == "" {
		return harnesses, nil
	}
	for _, h := range harnesses {
		if h.name == s.only {
			return []harness{h}, nil
		}
	}
	return nil, fmt.Errorf("there is no harness %q", s.only)
}

// take gives a harness a turn.
func (s *soak) take(ctx context.Context, h harness, d time.Duration, binary string) error {
	seed := rand.Uint64() //nolint:gosec // a seed
	dir, err := os.MkdirTemp(s.dir, h.name+"-")
	if err != nil {
		return err
	}
	c, began := s.covered[h.name], time.Now()
	report, failure := h.run(ctx, seed, faults.Budget{Time: d, Dir: dir, Binary: binary, Covered: c.Counts})
	c.Add(report)
	c.Took += time.Since(began)
	c.Seeds = append(c.Seeds, seed)
	_, _ = fmt.Fprintf(s.out, "%s  %-10s seed %-20d %s\n", time.Now().Format(time.DateTime), h.name, seed, report)
	if failure != nil && ctx.Err() == nil {
		text := fmt.Sprintf("seed %d: %v", seed, failure)
		c.Failures = append(c.Failures, text)
		_, _ = fmt.Fprintf(s.out, "FAILED  %s  %s\n", h.name, text)
	} else if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return s.save()
}

// replay runs one harness with one seed for a turn.
func (s *soak) replay(ctx context.Context, seed uint64) error {
	rows, err := s.rows()
	if err != nil {
		return err
	}
	if len(rows) != 1 {
		return errors.New("say with -only which harness the seed is for")
	}
	dir, err := os.MkdirTemp("", "soak-")
	if err != nil {
		return err
	}
	binary, err := faults.Build(ctx, dir)
	if err != nil {
		return err
	}
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o700); err != nil {
		return err
	}
	report, err := rows[0].run(ctx, seed, faults.Budget{Time: s.turn, Dir: files, Binary: binary})
	_, _ = fmt.Fprintln(s.out, report)
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// table prints what was covered.
func (s *soak) table() error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "harness\tgoal\treached\ttime\tturns\tlast seed\tfailures\tcovered")
	for _, h := range harnesses {
		c := s.covered[h.name]
		goal, reached := h.goal(c)
		answer, last := "no", uint64(0)
		if reached {
			answer = "yes"
		}
		if n := len(c.Seeds); n > 0 {
			last = c.Seeds[n-1]
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", h.name, goal, answer, c.Took.Round(time.Second), len(c.Seeds), last,
			len(c.Failures), c.Report)
	}
	return w.Flush()
}

// failed is the error of what was ever found.
func (s *soak) failed() error {
	var errs []error
	for _, h := range harnesses {
		for _, f := range s.covered[h.name].Failures {
			errs = append(errs, fmt.Errorf("%s: %s", h.name, f))
		}
	}
	return errors.Join(errs...)
}
