package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/statehouse/statehouse/internal/faults/trace"
)

// Options say how the program is started.
type Options struct {
	// Binary is the program, DB the absolute path of its database, Root the directory whose files are of interest.
	Binary, DB, Root string
	// Args are more flags of "statehouse serve".
	Args []string
	// Fault is [trace.Options]'s.
	Fault func(c *trace.Call) syscall.Errno
}

// Daemon is "statehouse serve", traced.
type Daemon struct {
	// MQTT and HTTP are the URLs at which it answers.
	MQTT, HTTP string

	process *trace.Process
	home    string
	log     *tail
}

// ErrEnded says that the program ended before it was ready. The message has what it said.
var ErrEnded = errors.New("the program ended before it was ready")

// Start starts the program and returns when it is ready. Where it ended before, the error matches [ErrEnded], and Wait
// of the daemon, which is there also then, says more; for other errors there is none.
func Start(ctx context.Context, opts Options) (*Daemon, error) {
	home, err := os.MkdirTemp("", "statehouse-faults-home")
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	d := &Daemon{home: home, log: &tail{}}
	args := append([]string{
		opts.Binary, "serve", "--db", opts.DB, "--http-address", "127.0.0.1:0", "--mqtt-address", "127.0.0.1:0", "--log-format", "json",
	}, opts.Args...)
	d.process, err = trace.Start(trace.Options{
		Root: opts.Root, Args: args, Env: append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+filepath.Join(home, "data")),
		Stderr: io.MultiWriter(d.log, closing{w}), Fault: opts.Fault,
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(home))
	}
	ready := make(chan struct{})
	go func() {
		// Reading goes on to the end, so that the program never waits.
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var entry struct{ Msg, MQTT, HTTP string }
			if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "ready" {
				d.MQTT, d.HTTP = "mqtt://"+entry.MQTT, entry.HTTP
				close(ready)
				break
			}
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	go func() {
		<-d.process.Done()
		_ = w.Close()
	}()
	select {
	case <-ready:
		return d, nil
	case <-d.process.Done():
		return d, ErrEnded
	case <-ctx.Done():
		d.process.Kill()
		_, _ = d.Wait()
		return nil, context.Cause(ctx)
	}
}

// closing writes to a pipe whose reader may be gone, which is no error.
type closing struct{ w *io.PipeWriter }

func (c closing) Write(p []byte) (int, error) {
	_, _ = c.w.Write(p)
	return len(p), nil
}

// Kill ends the program at once. Wait has still to be called.
func (d *Daemon) Kill() { d.process.Kill() }

// Stop asks the program to end. Wait has still to be called.
func (d *Daemon) Stop() { _ = d.process.Signal(syscall.SIGTERM) }

// Done is closed when the program has ended.
func (d *Daemon) Done() <-chan struct{} { return d.process.Done() }

// Wait waits for the program's end and returns what it did.
func (d *Daemon) Wait() (*trace.Result, error) {
	r, err := d.process.Wait()
	return r, errors.Join(err, os.RemoveAll(d.home))
}

// Log is the last of what the program has logged.
func (d *Daemon) Log() string { return d.log.String() }

// tail keeps the end of what is written.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if n := t.buf.Len() - tailSize; n > 0 {
		t.buf.Next(n)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
