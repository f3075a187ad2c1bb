package diskerror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/faults"
	"github.com/statehouse/statehouse/internal/faults/disk"
	"github.com/statehouse/statehouse/internal/faults/load"
	"github.com/statehouse/statehouse/internal/faults/powercut"
)

// trial is one run of the program on a disk that fails.
type trial struct {
	*fault
	binary string
	base   *base
	dir    string // for the trial's files
	kill   bool   // the program is killed in the end, not stopped

	rec    *powercut.Recorder
	daemon *load.Daemon
	acked  map[int]bool
}

// base is what a trial begins with, and what is sent in it.
type base struct {
	name        string
	files       disk.Image
	first, last int // messages
}

// fleet is who sends.
var fleet = load.Fleet{Devices: 2, Sensors: 3}

// patience is how long what has to happen may take.
const patience = 30 * time.Second

// run runs the trial. The error says what was not as it has to be.
func (t *trial) run(ctx context.Context, rng *rand.Rand, images int) error {
	if err := t.begin(); err != nil {
		return err
	}
	err := t.play(ctx)
	if t.daemon != nil { // something is wrong
		t.daemon.Kill()
		return errors.Join(err, fmt.Errorf("%s was hit\n%s", t.what(), t.daemon.Log()), t.ended())
	}
	if err != nil {
		return err
	}
	rec, err := t.rec.Finish(ctx)
	if err != nil {
		return err
	}
	return t.cut(ctx, rec, rng, images)
}

// start starts the program. Where the disk keeps it from that, it has to say so, and has to start when the disk is mended.
func (t *trial) start(ctx context.Context) error {
	opts := load.Options{
		Binary: t.binary, DB: filepath.Join(t.rec.Root, powercut.DBPath), Root: t.rec.Root, Fault: t.fail,
		Args: []string{"--snapshot-every", "100", "--verify-every", "0"},
	}
	var err error
	if t.daemon, err = load.Start(ctx, opts); !errors.Is(err, load.ErrEnded) {
		return err
	}
	log := t.daemon.Log
	if err := t.ended(); err != nil {
		return err
	}
	if st := t.rec.Runs[0].Status; t.what() == "" || !st.Exited() || st.ExitStatus() == 0 || !tells(log()) {
		return fmt.Errorf("the start failed: %v, and it said: %s", st, log())
	}
	t.mend()
	t.restarted()
	t.daemon, err = load.Start(ctx, opts)
	return err
}

// tells says whether a text tells of a disk that fails.
func tells(log string) bool {
	for _, word := range []string{"no space left", "input/output error", "disk I/O error", "disk is full", "unable to open"} {
		if strings.Contains(log, word) {
			return true
		}
	}
	return false
}

// ended waits for the program's end and adds what it did to the recording.
func (t *trial) ended() error {
	d := t.daemon
	t.daemon = nil
	return t.rec.Ran(d.Wait())
}

// play sends the messages to the program, and stops it.
func (t *trial) play(ctx context.Context) error {
	if err := t.start(ctx); err != nil {
		return err
	}
	stuck, err := t.send(ctx)
	if err != nil {
		return err
	}
	if stuck {
		if err := t.stuck(ctx); err != nil {
			return err
		}
		t.mend()
		if _, err := t.send(ctx); err != nil {
			return err
		}
	}
	if t.what() != "" && !t.lasting || stuck {
		if err := t.until(ctx, "it is ready again", func() error { return t.ready(ctx, true) }); err != nil {
			return err
		}
	}
	before := t.what() != ""
	if t.kill {
		t.daemon.Kill()
		return t.ended()
	}
	t.daemon.Stop()
	select {
	case <-t.daemon.Done():
	case <-time.After(patience):
		return errors.New("it does not stop")
	}
	log := t.daemon.Log
	if err := t.ended(); err != nil {
		return err
	}
	st := t.rec.Runs[len(t.rec.Runs)-1].Status
	late := t.what() != "" && !before || t.lasting && !stuck
	if !st.Exited() || st.ExitStatus() != 0 && !late {
		return fmt.Errorf("it ended with exit status %d, signal %v\n%s", st.ExitStatus(), st.Signal(), log())
	}
	if strings.Contains(log(), "panic") {
		return fmt.Errorf("it panicked\n%s", log())
	}
	return nil
}

// send sends the messages that were not acknowledged yet, each again until it is. It is stuck where the disk fails for good
// and messages are refused.
func (t *trial) send(ctx context.Context) (stuck bool, err error) {
	deadline := time.Now().Add(patience)
	for n := t.base.first; n <= t.base.last; n++ {
		if t.acked[n] {
			continue
		}
		for try := 1; ; try++ {
			err := fleet.Play(ctx, t.daemon.MQTT, n, n, 1, nil)
			if err == nil {
				t.acked[n] = true
				break
			}
			select {
			case <-t.daemon.Done():
				return false, fmt.Errorf("it ended: %w", err)
			default:
			}
			if t.what() == "" {
				return false, fmt.Errorf("nothing has failed, and yet: %w", err)
			}
			if t.lasting && !t.isMended() && try == 3 {
				return true, nil
			}
			if time.Now().After(deadline) {
				return false, fmt.Errorf("the disk is good again, and after %d tries: %w", try, err)
			}
			time.Sleep(10 * time.Millisecond) // as a device would, before it comes back
		}
	}
	return false, nil
}

// stuck asserts what has to be true while the disk fails for good: readers go on, and it is said that writers cannot.
func (t *trial) stuck(ctx context.Context) error {
	if err := t.until(ctx, "it says that it cannot write", func() error { return t.ready(ctx, false) }); err != nil {
		return err
	}
	for _, path := range []string{"/v1/states", "/v1/events", "/healthz"} {
		if status, text, err := t.get(ctx, path); err != nil || status != http.StatusOK {
			return fmt.Errorf("%s while the disk fails: %d %s %w", path, status, text, err)
		}
	}
	return nil
}

// ready says whether /readyz and the metrics say that the program is ready, or that it is not.
func (t *trial) ready(ctx context.Context, want bool) error {
	status, text, err := t.get(ctx, "/readyz")
	if err != nil {
		return err
	}
	if is := status == http.StatusOK; is != want {
		return fmt.Errorf("readyz: %d %s", status, text)
	}
	if !want && !tells(text) {
		return fmt.Errorf("readyz does not say why: %s", text)
	}
	metric := "statehouse_ready 0\n"
	if want {
		metric = "statehouse_ready 1\n"
	}
	if _, text, err = t.get(ctx, "/metrics"); err == nil && !strings.Contains(text, "\n"+metric) {
		err = fmt.Errorf("the metrics do not say %s", metric)
	}
	return err
}

func (t *trial) get(ctx context.Context, path string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.daemon.HTTP+path, nil)
	if err != nil {
		return 0, "", err
	}
	c := http.Client{Timeout: patience, Transport: faults.Bearer{
		Transport: &http.Transport{DisableKeepAlives: true}, File: faults.TokenFile(filepath.Join(t.rec.Root, powercut.DBPath)),
	}}
	res, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return res.StatusCode, string(text), err
}

// until waits until something is as it has to be.
func (t *trial) until(ctx context.Context, what string, is func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := is()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("not within %s: %s: %w", patience, what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// cut cuts the power at random moments after the disk failed.
func (t *trial) cut(ctx context.Context, rec *powercut.Recording, rng *rand.Rand, images int) error {
	first, events := 0, 0
	for _, run := range rec.Runs {
		for _, e := range run.Events {
			if events++; first == 0 && e.Injected {
				first = events
			}
		}
	}
	if first == 0 {
		return nil // nothing failed
	}
	for i := range images {
		dir := filepath.Join(t.dir, fmt.Sprintf("image%d", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		at := first + rng.IntN(events-first+1)
		if err := rec.Cut(ctx, rng, at, dir); err != nil {
			return fmt.Errorf("the power is cut after event %d of %d, %s failed at %d: %w", at, events, t.what(), first, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}
