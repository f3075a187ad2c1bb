package powercut

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/faults/disk"
	"github.com/statehouse/statehouse/internal/faults/load"
	"github.com/statehouse/statehouse/internal/faults/trace"
)

// dbPath is where the database is below the root, in a directory that the program makes.
const dbPath = "home/home.db"

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
	// log is what became of the log: that of every image is a beginning of it.
	log []sum
}

// Events is how many there are.
func (r *Recording) Events() (n int) {
	for _, run := range r.Runs {
		n += len(run.Events)
	}
	return n
}

// recorder makes a recording in a directory.
type recorder struct {
	*Recording
	disk *disk.Disk // follows the runs, to see whether the traces are complete
}

// newRecorder begins a recording of files in a directory, which may have some.
func newRecorder(name, root string) (*recorder, error) {
	before, err := disk.Read(root)
	return &recorder{Recording: &Recording{Name: name, Root: root, Before: before}, disk: disk.New(root, before)}, err
}

// ran adds a run, and compares what the trace makes of the files with the files.
func (r *recorder) ran(result *trace.Result, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	r.Runs = append(r.Runs, result)
	for _, e := range result.Events {
		if err := r.disk.Apply(e); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
	}
	r.disk.Restart()
	if err := r.disk.Cached().Compare(r.Root); err != nil {
		return fmt.Errorf("%s: the trace of run %d is not complete: %w", r.Name, len(r.Runs), err)
	}
	return nil
}

// finish reads what became of the log.
func (r *recorder) finish(ctx context.Context) (*Recording, error) {
	h, err := statehouse.OpenContext(ctx, filepath.Join(r.Root, dbPath), statehouse.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}
	r.log, err = readLog(ctx, h, nil)
	return r.Recording, errors.Join(err, h.Close())
}

// plan is what a run of the shipped program is for.
type plan struct {
	messages int  // that are sent in it
	kill     bool // it is killed at the end, else stopped
}

// record runs the shipped program as planned.
func (r *recorder) record(ctx context.Context, binary string, plans []plan) error {
	r.Shipped = true
	next := 1
	for _, p := range plans {
		d, err := load.Start(ctx, load.Options{
			Binary: binary, DB: filepath.Join(r.Root, dbPath), Root: r.Root, Args: []string{"--snapshot-every", "700", "--verify-every", "0"},
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
		if err := r.ran(d.Wait()); err != nil {
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
	r, err := newRecorder("a new house", root)
	if err != nil {
		return nil, err
	}
	r.Fleet = load.Fleet{Devices: 4, Sensors: 12}
	err = r.record(ctx, binary, []plan{
		{messages: 40, kill: true}, {messages: 420}, {messages: 30, kill: true}, {},
	})
	if err != nil {
		return nil, err
	}
	return r.finish(ctx)
}

// recordUpgrade records how a house of the first version's format is migrated and goes on.
func recordUpgrade(ctx context.Context, binary, root string) (*Recording, error) {
	if err := os.Mkdir(filepath.Join(root, filepath.Dir(dbPath)), 0o700); err != nil {
		return nil, err
	}
	if err := makeOld(ctx, filepath.Join(root, dbPath)); err != nil {
		return nil, fmt.Errorf("make a database of the first version: %w", err)
	}
	r, err := newRecorder("an upgrade", root)
	if err != nil {
		return nil, err
	}
	r.Fleet = load.Fleet{Devices: 2, Sensors: 3}
	if err := r.record(ctx, binary, []plan{{messages: 10, kill: true}, {}}); err != nil {
		return nil, err
	}
	return r.finish(ctx)
}
