//go:build linux && amd64

package trace_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse/internal/faults/trace"
)

// tracedEnv makes this test the program that is traced.
const tracedEnv = "STATEHOUSE_TEST_TRACED"

func TestMain(m *testing.M) {
	if dir := os.Getenv(tracedEnv); dir != "" {
		traced(dir)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// traced writes files in all ways that are understood, and says which error it got.
func traced(dir string) {
	a, b := filepath.Join(dir, "sub", "a"), filepath.Join(dir, "b")
	err := os.Mkdir(filepath.Dir(a), 0o700)
	var f *os.File
	if err == nil {
		f, err = os.Create(a)
	}
	for _, step := range []func() error{
		func() error { _, err := f.WriteString("hello "); return err },
		func() error { _, err := f.WriteString("world"); return err },
		func() error { _, err := f.WriteAt([]byte("W"), 6); return err },
		func() error { return f.Truncate(8) },
		func() error { return f.Sync() },
		func() error { return f.Close() },
		func() error { return os.Rename(a, b) },
		func() error { return os.Remove(filepath.Dir(a)) },
		func() error { return os.WriteFile(a+"x", nil, 0o600) }, // its directory is gone
	} {
		if err == nil {
			err = step()
		}
	}
	fmt.Println(err)
	if os.Getenv(tracedEnv+"_WAIT") != "" {
		select {}
	}
}

// start starts this test as the traced program.
func start(t *testing.T, dir string, out *bytes.Buffer, fault func(*trace.Call) syscall.Errno, env ...string) *trace.Process {
	t.Helper()
	p, err := trace.Start(trace.Options{
		Root: dir, Args: []string{os.Args[0]}, Env: append(append(os.Environ(), tracedEnv+"="+dir), env...), Stdout: out, Fault: fault,
	})
	if errors.Is(err, trace.ErrUnsupported) {
		t.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// said is what the events say, one a line.
func said(events []trace.Event, dir string) []string {
	var lines []string
	for _, e := range events {
		if e.End && e.Kind != trace.Send {
			line := fmt.Sprintf("%s %s %d %q", e.Kind, e.Path, e.Offset, e.Data)
			if e.To != "" {
				line += " " + e.To
			}
			if e.Err != 0 {
				line += " " + e.Err.Error()
			}
			lines = append(lines, strings.ReplaceAll(line, dir, "."))
		}
	}
	return lines
}

var everything = []string{
	`mkdir ./sub 0 ""`, `open ./sub/a 0 ""`, `write ./sub/a 0 "hello "`, `write ./sub/a 6 "world"`, `write ./sub/a 6 "W"`,
	`truncate ./sub/a 8 ""`, `sync ./sub/a 0 ""`, `rename ./sub/a 0 "" ./b`, `rmdir ./sub 0 ""`,
}

func TestTrace(t *testing.T) {
	dir, out := t.TempDir(), &bytes.Buffer{}
	r, err := start(t, dir, out, nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got := said(r.Events, dir); !slices.Equal(got, everything) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(everything, "\n"))
	}
	var sent []byte
	for _, e := range r.Events {
		if e.Kind == trace.Send && !e.End {
			sent = append(sent, e.Data...)
		}
	}
	if !r.Status.Exited() || r.Status.ExitStatus() != 0 || out.Len() == 0 || !bytes.Equal(sent, out.Bytes()) {
		t.Errorf("status %v, it said %q, and the trace %q", r.Status, out, sent)
	}
}

// Each of the calls can be made to fail: the program gets that error, and nothing is done.
func TestFault(t *testing.T) {
	for at, call := range everything[:8] { // to remove a directory is tried in two ways
		t.Run(call, func(t *testing.T) {
			dir, out := t.TempDir(), &bytes.Buffer{}
			n := 0
			r, err := start(t, dir, out, func(c *trace.Call) syscall.Errno {
				if strings.HasPrefix(c.Path, dir) {
					if n++; n == at+1 {
						return syscall.ENOSPC
					}
				}
				return 0
			}).Wait()
			if err != nil {
				t.Fatal(err)
			}
			want := append(slices.Clone(everything[:at]), call+" no space left on device")
			got := said(r.Events, dir)
			if len(got) < len(want) || !slices.Equal(got[:len(want)], want) || !strings.Contains(out.String(), "no space left") {
				t.Errorf("got\n%s\nwant\n%s\nit said %s", strings.Join(got, "\n"), strings.Join(want, "\n"), out)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "sub", "a")); err == nil && at >= 2 && at < 7 {
				if whole := []string{"", "hello ", "hello world", "hello World", "hello Wo"}[min(at-2, 4)]; string(b) != whole {
					t.Errorf("the file has %q, want %q", b, whole)
				}
			}
		})
	}
}

// A program that is killed has done what the trace says, and nothing else.
func TestKill(t *testing.T) {
	dir, out := t.TempDir(), &bytes.Buffer{}
	var p *trace.Process
	started, killed := make(chan struct{}), atomic.Bool{}
	p = start(t, dir, out, func(c *trace.Call) syscall.Errno {
		if c.Kind == trace.Write && string(c.Data) == "W" && killed.CompareAndSwap(false, true) {
			<-started
			p.Kill()
		}
		return 0
	}, tracedEnv+"_WAIT=1")
	close(started)
	r, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if got := said(r.Events, dir); !slices.Equal(got, everything[:4]) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if last := r.Events[len(r.Events)-1]; !last.End {
		t.Errorf("a call that was not done has begun: %+v", last.Call)
	}
	b, err := os.ReadFile(filepath.Join(dir, "sub", "a"))
	if err != nil || string(b) != "hello world" || r.Status.Signal() != syscall.SIGKILL {
		t.Errorf("status %v, the file has %q: %v", r.Status, b, err)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal after the end: %v", err)
	}
}
