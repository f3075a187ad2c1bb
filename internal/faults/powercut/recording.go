package powercut

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/faults/disk"
	"github.com/statehouse/statehouse/internal/faults/load"
	"github.com/statehouse/statehouse/internal/faults/trace"
)

// DBPath is where the database is below the root, in a directory that the program makes.
const DBPath = "home/home.db"

// Recording is what a program did to its files in several runs, one after another, and what it said meanwhile.
type Recording struct {
	// Name says what was recorded.
	Name string
	// Fleet is who sent the messages.
	Fleet load.Fleet
	// Root is where the files were, Before what they were before the first run.
	Root   string
	Before disk.Image
	// Runs are the runs of the program.
	Runs []*trace.Result
	// Shipped says that the program is the one that people run, not one of these tests.
	Shipped bool
	// Failing says that calls were made to fail: what was not acknowledged may have been done twice, in two ways.
	Failing bool
	// log is what became of the log, by position, with what was removed of it later, and last where the changes of each
	// message end in it.
	log  map[eventstore.Position]sum
	last map[int]int
}

// Events is how many there are.
func (r *Recording) Events() (n int) {
	for _, run := range r.Runs {
		n += len(run.Events)
	}
	return n
}

// Recorder makes a recording.
type Recorder struct {
	Recording
	disk *disk.Disk // follows the runs, to see whether the traces are complete
	said load.Said
}

// Begin begins a recording of files in a directory, which may have some.
func Begin(name, root string) (*Recorder, error) {
	before, err := disk.Read(root)
	return &Recorder{Recording: Recording{Name: name, Root: root, Before: before}, disk: disk.New(root, before)}, err
}

// Ran adds a run, as [trace.Process.Wait] returned it, and compares what the trace makes of the files with the files.
func (r *Recorder) Ran(result *trace.Result, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	r.Runs = append(r.Runs, result)
	for _, e := range result.Events {
		if err := r.disk.Apply(e); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		r.said.Hear(e)
	}
	r.disk.Restart()
	r.said.Restart()
	if err := r.disk.Cached().Compare(r.Root); err != nil {
		return fmt.Errorf("%s: the trace of run %d is not complete: %w", r.Name, len(r.Runs), err)
	}
	return nil
}

// Finish checks the files as they are, and reads what became of the log.
func (r *Recorder) Finish(ctx context.Context) (*Recording, error) {
	h, err := statehouse.OpenContext(ctx, filepath.Join(r.Root, DBPath), statehouse.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}
	m := newMessages(r.Fleet)
	err = r.know(ctx, h, m.add)
	if err == nil {
		err = m.end()
	}
	if err == nil && r.Shipped {
		err = m.missing(r.said.Acked)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", r.Name, err)
	}
	r.last = m.whole
	return &r.Recording, errors.Join(err, h.Close())
}

// Look reads the log as the runs so far have left it, from a copy: what is removed of it later is known then.
func (r *Recorder) Look(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp(Scratch(), "statehouse-look")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := r.disk.Cached().Write(dir); err != nil {
		return err
	}
	h, err := statehouse.OpenContext(ctx, filepath.Join(dir, DBPath), statehouse.Options{})
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	return errors.Join(r.know(ctx, h, nil), h.Close())
}

// know takes notice of everything that is in a house's log.
func (r *Recorder) know(ctx context.Context, h *statehouse.House, each func(e eventstore.Event) error) error {
	base, log, err := readLog(ctx, h, each)
	if r.log == nil {
		r.log = map[eventstore.Position]sum{}
	}
	for i, s := range log {
		r.log[base+eventstore.Position(i+1)] = s
	}
	return err
}

// Cut makes the image that a seed decides of a power cut after so many events, writes it into an empty directory, and
// checks it.
func (r *Recording) Cut(ctx context.Context, rng *rand.Rand, event int, dir string) error {
	d, said := disk.New(r.Root, r.Before), load.Said{}
	for _, run := range r.Runs {
		for _, e := range run.Events[:min(event, len(run.Events))] {
			if err := d.Apply(e); err != nil {
				return err
			}
			said.Hear(e)
		}
		if event -= len(run.Events); event <= 0 {
			break
		}
		d.Restart()
		said.Restart()
	}
	return r.check(ctx, &trial{image: d.Cut(rng), acked: said.Acked, broker: true, twice: true}, dir, "")
}

// plan is what a run of the shipped program is for.
type plan struct {
	messages int  // that are sent in it
	kill     bool // it is killed at the end, else stopped
}

// record runs the shipped program as planned.
func (r *Recorder) record(ctx context.Context, binary string, plans []plan) error {
	r.Shipped = true
	next := 1
	for _, p := range plans {
		d, err := load.Start(ctx, load.Options{
			Binary: binary, DB: filepath.Join(r.Root, DBPath), Root: r.Root, Args: []string{"--snapshot-every", "700", "--verify-every", "0"},
		})
		if err == nil && p.messages > 0 {
			err = r.Fleet.Play(ctx, d.MQTT, next, next+p.messages-1, 3, nil)
			next += p.messages
		}
		if d == nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		if p.kill || err != nil {
			d.Kill()
		} else {
			d.Stop()
		}
		if err := r.Ran(d.Wait()); err != nil {
			return err
		}
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", r.Name, err, d.Log())
		}
	}
	return nil
}

// recordLife records a new house from its first moment on: its file is made, devices report, snapshots are taken, the
// log is sealed, the WAL moved into the database; the program is killed, and goes on; it is stopped, and started again.
func recordLife(ctx context.Context, binary, root string) (*Recording, error) {
	r, err := Begin("a new house", root)
	if err != nil {
		return nil, err
	}
	r.Fleet = load.Fleet{Devices: 4, Sensors: 10}
	err = r.record(ctx, binary, []plan{
		{messages: 40, kill: true}, {messages: 420}, {messages: 30, kill: true}, {},
	})
	if err != nil {
		return nil, err
	}
	return r.Finish(ctx)
}

// recordUpgrade records how a house of the first version's format is migrated and goes on.
func recordUpgrade(ctx context.Context, binary, root string) (*Recording, error) {
	if err := os.Mkdir(filepath.Join(root, filepath.Dir(DBPath)), 0o700); err != nil {
		return nil, err
	}
	if err := makeOld(ctx, filepath.Join(root, DBPath)); err != nil {
		return nil, fmt.Errorf("make a database of the first version: %w", err)
	}
	r, err := Begin("an upgrade", root)
	if err != nil {
		return nil, err
	}
	r.Fleet = load.Fleet{Devices: 2, Sensors: 3}
	if err := r.record(ctx, binary, []plan{{messages: 10, kill: true}, {}}); err != nil {
		return nil, err
	}
	return r.Finish(ctx)
}
