//go:build acceptance

package acceptance

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// patience is how long anything may take, however busy the machine is.
	patience = 3 * time.Minute
	// tidying is the time before the end of the test's own deadline that is left for ending what was started: that panics.
	tidying = 30 * time.Second
)

// until is wait, and says how long it took.
func until(t *testing.T, what string, so func() error) {
	t.Helper()
	began := time.Now()
	wait(t, what, so)
	t.Logf("   %s, after %s", what, time.Since(began).Round(time.Millisecond))
}

// wait asks again and again whether something is so, and fails with what is still wrong when patience is at its end.
func wait(t *testing.T, what string, so func() error) {
	t.Helper()
	began := time.Now()
	end := began.Add(patience)
	if last, ok := t.Deadline(); ok && last.Add(-tidying).Before(end) {
		end = last.Add(-tidying)
	}
	for {
		err := so()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s: %v", what, time.Since(began).Round(time.Second), err)
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: %v: %v", what, t.Context().Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// need returns where a program is. Where it is missing the test is skipped or, if it must run, fails.
func need(t *testing.T, install string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing := t.Skipf
	if os.Getenv("ACCEPTANCE_REQUIRED") != "" {
		missing = t.Fatalf
	}
	missing("%s is not installed: %s", names[0], install)
	return ""
}

// freePort is a port of this machine that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// process is a program of somebody else's that runs. It is killed at the end of the test.
type process struct {
	name  string
	cmd   *exec.Cmd
	out   tail
	ended chan struct{} // closed when it has
	err   error         // of its end
}

func startProcess(t *testing.T, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		<-p.ended
		if t.Failed() {
			t.Logf("the last that %s said:\n%s", name, p.out.String())
		}
	})
	return p
}

// stop asks the process to end and returns when it has.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	select {
	case <-p.ended:
		if p.err != nil {
			t.Fatalf("%s: %v", p.name, p.err)
		}
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.name)
	}
}

// gone is an error when the process has ended by itself.
func (p *process) gone(t *testing.T) {
	t.Helper()
	select {
	case <-p.ended:
		t.Fatalf("%s has ended: %v", p.name, p.err)
	default:
	}
}

// tail keeps the last lines that are written to it.
type tail struct {
	mu    sync.Mutex // guards lines
	lines []string
}

// tailLines is how many lines of a program are printed when the test fails.
const tailLines = 60

// Write implements [io.Writer].
func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range bytes.Lines(p) {
		w.lines = append(w.lines, string(line[:min(len(line), 1000)]))
	}
	w.lines = w.lines[max(0, len(w.lines)-tailLines):]
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "")
}
