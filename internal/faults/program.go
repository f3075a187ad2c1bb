package faults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build builds the program as it is shipped into a directory, with the build tags of the caller, and returns its path. The paths
// of the sources are not trimmed from it, so that what the tests were compiled from need not be compiled once more.
func Build(ctx context.Context, dir string) (string, error) {
	return BuildPackage(ctx, dir, "cmd/statehouse")
}

// BuildPackage is [Build] of another program of this module.
func BuildPackage(ctx context.Context, dir, pkg string) (string, error) {
	program := filepath.Join(dir, path.Base(pkg))
	tags := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-tags" {
				tags = s.Value
			}
		}
	}
	//nolint:gosec // our own sources
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", program, "github.com/statehouse/statehouse/"+pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return program, nil
}

// Program is "statehouse serve" as a process.
type Program struct {
	// HTTP and MQTT are where it listens, as host:port, once it is ready.
	HTTP, MQTT string
	// Web is a client for [Program.HTTP], Owner one for the unix socket, whatever the host of the URL.
	Web, Owner *http.Client

	web   Bearer
	cmd   *exec.Cmd
	ready chan struct{} // closed when it is ready
	ended chan struct{} // closed when its output has ended
	wait  func() error

	mu     sync.Mutex // guards what follows
	log    []string   // the last lines
	errors []string   // lines of the level ERROR
}

// logLines is the number of lines of a program's log that are kept.
const logLines = 40

// Start starts the program on a database and returns at once; further arguments go to "serve".
func Start(binary, db string, args ...string) (*Program, error) {
	p := &Program{ready: make(chan struct{}), ended: make(chan struct{})}
	//nolint:gosec,noctx // the program under test, which is killed when the harness says so
	p.cmd = exec.Command(binary, append([]string{"serve", "--db", db, "--http-address", "127.0.0.1:0",
		"--mqtt-address", "127.0.0.1:0", "--log-format", "json"}, args...)...)
	p.cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(db))
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = in
	err = p.cmd.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return nil, err
	}
	p.wait = sync.OnceValue(p.cmd.Wait)
	p.web = Bearer{Transport: &http.Transport{DisableCompression: true}, File: TokenFile(db)}
	p.Web = &http.Client{Transport: p.web}
	p.Owner = &http.Client{Transport: &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", db+".sock")
	}}}
	go p.read(out)
	return p, nil
}

// Token is the token that [Program.Web] has.
func (p *Program) Token() (string, error) { return p.web.Token() }

// read follows the program's log until it ends.
func (p *Program) read(out *os.File) {
	defer close(p.ended)
	defer func() { _ = out.Close() }()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text := lines.Text()
		var entry struct{ Level, Msg, HTTP, MQTT string }
		_ = json.Unmarshal(lines.Bytes(), &entry) // a line that is no JSON is a line all the same
		p.mu.Lock()
		if p.log = append(p.log, text); len(p.log) > logLines {
			p.log = p.log[1:]
		}
		if entry.Level == "ERROR" || strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ") {
			p.errors = append(p.errors, text)
		}
		p.mu.Unlock()
		if entry.Msg == "ready" && p.HTTP == "" {
			p.HTTP, p.MQTT = strings.TrimPrefix(entry.HTTP, "http://"), entry.MQTT
			close(p.ready)
		}
	}
}

// Log is the end of what the program logged.
func (p *Program) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

// Errors are the errors that the program logged, and nil if there are none.
func (p *Program) Errors() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.errors) == 0 {
		return nil
	}
	return fmt.Errorf("the program logged: %s", strings.Join(p.errors, "\n"))
}

// startPatience is how long a start may take.
const startPatience = time.Minute

// Ready waits until the program answers at its doors.
func (p *Program) Ready(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return fmt.Errorf("the program ended before it was ready: %w\n%s", errors.Join(p.wait(), errors.New("see its log")), p.Log())
	case <-time.After(startPatience):
		return fmt.Errorf("the program is not ready within %s\n%s", startPatience, p.Log())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kill ends the process at once, as kill -9 does, and returns when it is gone.
func (p *Program) Kill() {
	p.Shoot()
	_ = p.wait()
	<-p.ended
	p.Web.CloseIdleConnections()
	p.Owner.CloseIdleConnections()
}

// Shoot sends the process what [Program.Kill] ends it with, and does not wait.
func (p *Program) Shoot() { _ = p.cmd.Process.Kill() } // it may be gone

// Terminate asks the process to stop.
func (p *Program) Terminate() error { return p.cmd.Process.Signal(syscall.SIGTERM) }

// Stop stops the process cleanly.
func (p *Program) Stop() error {
	if err := p.Terminate(); err != nil {
		return err
	}
	timer := time.AfterFunc(startPatience, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	err := p.wait()
	<-p.ended
	p.Web.CloseIdleConnections()
	p.Owner.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("stop: %w\n%s", err, p.Log())
	}
	return p.Errors()
}

// Get reads what a path answers over TCP into v, which is a *[]byte or what its JSON is decoded into.
func (p *Program) Get(ctx context.Context, path string, v any) error {
	return p.do(ctx, p.Web, http.MethodGet, "http://"+p.HTTP+path, "", v)
}

// Edit sends a request with a JSON body, or none, through the unix socket, and reads what it answers into v.
func (p *Program) Edit(ctx context.Context, method, path, body string, v any) error {
	return p.do(ctx, p.Owner, method, "http://statehouse"+path, body, v)
}

func (p *Program) do(ctx context.Context, c *http.Client, method, url, body string, v any) (err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return &StatusError{Request: method + " " + url, Status: res.StatusCode, Body: string(bytes.TrimSpace(text))}
	}
	if raw, ok := v.(*[]byte); ok {
		*raw = text
		return nil
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(text, v)
}

// StatusError is an answer other than 200.
type StatusError struct {
	Request string
	Status  int
	Body    string
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s: %d %s", e.Request, e.Status, e.Body) }

// Metric is the value of a metric without labels, as /metrics has it.
func (p *Program) Metric(ctx context.Context, name string) (float64, error) {
	var text []byte
	if err := p.Get(ctx, "/metrics", &text); err != nil {
		return 0, err
	}
	return metric(text, name)
}

func metric(text []byte, name string) (v float64, err error) {
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			_, err := fmt.Sscan(rest, &v)
			return v, err
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}
