package diskerror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/load"
	"github.com/statehouse/statehouse/internal/faults/powercut"
)

// ErrNoMount says that this process may not mount a file system, so that there is none to fill.
var ErrNoMount = errors.New("a file system cannot be mounted here")

const (
	// diskSize is the size of the disk that is filled, fillsEach how often for one house.
	diskSize, fillsEach = 8 << 20, 20
	// mostLeft bounds what is left free.
	mostLeft = 32 << 10
)

// RunFills fills a small disk under the program, again and again: it leaves some space or none, has messages sent until one
// is not accepted, looks whether readers go on and everybody is told, and gives the space back. A round is a fill. The error
// matches [ErrNoMount] where that cannot be tried.
func RunFills(ctx context.Context, seed uint64, b faults.Budget) (faults.Report, error) {
	if err := b.Check(); err != nil {
		return faults.Report{}, err
	}
	meter, rng := b.NewMeter("fills"), rand.New(rand.NewPCG(seed, 0))
	for house := 0; meter.More(ctx); house++ {
		if err := fillHouse(ctx, rng, meter, b, filepath.Join(b.Dir, fmt.Sprintf("house%d", house))); err != nil {
			if ctx.Err() != nil {
				break
			}
			return meter.Report, err
		}
	}
	return meter.Report, nil
}

// fillHouse fills the disk of one house.
func fillHouse(ctx context.Context, rng *rand.Rand, meter *faults.Meter, b faults.Budget, dir string) (err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := mount(dir, diskSize); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unmount(dir)) }()
	f := &filling{trial: &trial{
		fault: &fault{lasting: true}, binary: b.Binary, base: &base{name: "a small disk", first: 1, last: 20}, dir: dir,
	}, filler: filepath.Join(dir, "filler")}
	if err := f.begin(); err != nil {
		return err
	}
	if err := f.house(ctx, rng, meter); err != nil {
		if f.daemon != nil {
			f.daemon.Kill()
			err = errors.Join(err, errors.New(f.daemon.Log()), f.ended())
		}
		return err
	}
	_, err = f.rec.Finish(ctx)
	return err
}

// filling is a trial whose disk is filled by a file beside the database's.
type filling struct {
	*trial
	filler string
}

// house runs the program while its disk is filled.
func (f *filling) house(ctx context.Context, rng *rand.Rand, meter *faults.Meter) error {
	if err := f.start(ctx); err != nil {
		return err
	}
	if _, err := f.send(ctx); err != nil {
		return err
	}
	for range fillsEach {
		if !meter.More(ctx) {
			break
		}
		if err := f.fill(ctx, rng); err != nil {
			return fmt.Errorf("fill %d: %w", meter.Rounds+1, err)
		}
		meter.Rounds++
	}
	f.daemon.Stop()
	if err := f.ended(); err != nil {
		return err
	}
	if st := f.rec.Runs[len(f.rec.Runs)-1].Status; !st.Exited() || st.ExitStatus() != 0 {
		return fmt.Errorf("it ended with exit status %d", st.ExitStatus())
	}
	return nil
}

// fill fills the disk, has the program say that it is full, and gives the space back.
func (f *filling) fill(ctx context.Context, rng *rand.Rand) error {
	size, err := fillUp(f.filler)
	if err == nil {
		err = os.Truncate(f.filler, max(0, size-int64(rng.IntN(mostLeft))))
	}
	if err != nil {
		return err
	}
	f.full()
	for stuck := false; !stuck; {
		f.base.first, f.base.last = f.base.last+1, f.base.last+1
		if f.base.last > load.MaxMessages {
			return errors.New("the disk does not get full")
		}
		if stuck, err = f.send(ctx); err != nil {
			return err
		}
	}
	if err := f.stuck(ctx); err != nil {
		return err
	}
	if err := os.Remove(f.filler); err != nil {
		return err
	}
	f.mend()
	if _, err := f.send(ctx); err != nil {
		return err
	}
	return f.until(ctx, "it is ready again", func() error { return f.ready(ctx, true) })
}

// fillUp writes a file until there is no space, and returns its size.
func fillUp(path string) (size int64, err error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for block := make([]byte, 4096); ; {
		n, err := file.Write(block)
		size += int64(n)
		if err != nil {
			return size, nil // which is what was wanted
		}
	}
}

// begin begins the recording of the database's files, which are in a directory of their own.
func (t *trial) begin() error {
	root := filepath.Join(t.dir, "root")
	err := os.Mkdir(root, 0o700)
	if err == nil {
		err = t.base.files.Write(root)
	}
	if err == nil {
		t.rec, err = powercut.Begin(t.base.name+": "+t.name(), root)
	}
	if err != nil {
		return err
	}
	t.rec.Fleet, t.rec.Shipped, t.rec.Failing, t.acked = fleet, true, true, map[int]bool{}
	return nil
}
