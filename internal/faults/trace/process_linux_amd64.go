package trace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process is a program that runs.
type Process struct {
	pid    int
	done   chan struct{} // closed when it has ended
	result *Result
	err    error
	output sync.WaitGroup

	// killing says that the program is to end as soon as no thread of it is in the middle of a call.
	killing atomic.Bool

	mu    sync.Mutex // guards ended, so that no signal goes to another process of the same id
	ended bool
}

// Supported returns nil where programs can be traced, as far as that is known before one is.
func Supported() error { return nil }

// Start starts a program. Whoever starts it must wait for it.
func Start(opts Options) (*Process, error) {
	p := &Process{done: make(chan struct{})}
	files := []*os.File{nil, nil, nil}
	var opened []io.Closer
	closeAll := func() {
		for _, c := range opened {
			_ = c.Close()
		}
	}
	for i, w := range []io.Writer{opts.Stdout, opts.Stderr} {
		if w == nil {
			continue
		}
		r, f, err := os.Pipe()
		if err != nil {
			closeAll()
			return nil, err
		}
		opened = append(opened, f)
		files[i+1] = f
		p.output.Go(func() {
			_, _ = io.Copy(w, r)
			_ = r.Close()
		})
	}
	started := make(chan error)
	go p.trace(opts, files, started)
	err := <-started
	closeAll()
	if err != nil {
		p.output.Wait()
		return nil, err
	}
	return p, nil
}

// Signal sends it a signal; one that has ended gets none.
func (p *Process) Signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return os.ErrProcessDone
	}
	return syscall.Kill(p.pid, sig)
}

// Kill ends it at once: each thread before or after a call, so that the trace says what was done.
func (p *Process) Kill() {
	p.killing.Store(true)
	_ = p.Signal(syscall.SIGSTOP) // the tracer looks up; one that has ended needs nothing
}

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for its end and returns what it did. An error says that the trace is not complete.
func (p *Process) Wait() (*Result, error) {
	<-p.done
	p.output.Wait()
	return p.result, p.err
}

// trace starts the program and follows it to its end. ptrace belongs to a thread: this goroutine keeps its own, which ends
// with it.
func (p *Process) trace(opts Options, files []*os.File, started chan<- error) {
	runtime.LockOSThread()
	attr := &os.ProcAttr{Env: opts.Env, Files: files, Sys: &syscall.SysProcAttr{Ptrace: true}}
	child, err := os.StartProcess(opts.Args[0], opts.Args, attr)
	if err != nil {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
			err = fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		started <- err
		return
	}
	p.pid = child.Pid
	_ = child.Release() // it is waited for below
	t := &tracer{opts: opts, killing: &p.killing, pid: p.pid, threads: map[int]*thread{}, files: map[int]*file{
		1: {number: Stdout, path: "standard output", socket: true},
	}}
	err = t.begin()
	started <- err
	if err == nil {
		p.err = t.follow()
	}
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.result = &Result{Events: t.events, Status: t.status}
	close(p.done)
}

// tracer follows one program. All of it runs on one thread.
type tracer struct {
	opts    Options
	killing *atomic.Bool
	killed  bool
	pid     int
	threads map[int]*thread
	files   map[int]*file // by descriptor
	opened  int           // the number of the last file
	events  []Event
	status  syscall.WaitStatus
	wrong   error // what the trace does not have
}

// thread is one of the program's.
type thread struct {
	id   int
	call *Call // that it is in, nil where it is of no interest
	nr   uint64
	args [6]uint64
	fail syscall.Errno // what the call is made to return
	// held says that it is stopped for good, asked that it was told to stop.
	held, asked bool
}

// file is what a descriptor stands for.
type file struct {
	number int
	path   string
	append bool
	socket bool
}

const ptraceOptions = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
	unix.PTRACE_O_EXITKILL

// begin waits until the program is loaded, and lets it go.
func (t *tracer) begin() error {
	var ws syscall.WaitStatus
	if _, err := wait4(t.pid, &ws, unix.WALL); err != nil {
		return fmt.Errorf("wait for %s: %w", t.opts.Args[0], err)
	}
	if !ws.Stopped() {
		return fmt.Errorf("%w: %s ended before it was loaded", ErrUnsupported, t.opts.Args[0])
	}
	if err := syscall.PtraceSetOptions(t.pid, ptraceOptions); err != nil {
		_ = syscall.Kill(t.pid, syscall.SIGKILL)
		_, _ = wait4(t.pid, &ws, unix.WALL)
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	t.threads[t.pid] = &thread{id: t.pid}
	return syscall.PtraceSyscall(t.pid, 0)
}

func wait4(pid int, ws *syscall.WaitStatus, options int) (int, error) {
	for {
		id, err := syscall.Wait4(pid, ws, options, nil)
		if !errors.Is(err, syscall.EINTR) {
			return id, err
		}
	}
}

// follow handles what the program's threads stop for, until it has ended.
func (t *tracer) follow() error {
	for {
		var ws syscall.WaitStatus
		// Only what this thread started: others of this process have children of their own.
		id, err := wait4(-1, &ws, unix.WALL|unix.WNOTHREAD)
		if err != nil {
			return fmt.Errorf("wait for the program: %w", err)
		}
		if ws.Exited() || ws.Signaled() {
			delete(t.threads, id)
			if t.killing.Load() && !t.killed && id != t.pid {
				t.holdAny()
			}
			if id == t.pid {
				t.status = ws
				return t.wrong
			}
			continue
		}
		th := t.threads[id]
		if th == nil {
			th = &thread{id: id}
			t.threads[id] = th
		}
		sig := t.stopped(th, ws)
		if t.killing.Load() && !t.killed {
			t.hold(th)
			continue
		}
		if err := syscall.PtraceSyscall(id, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("go on with thread %d: %w", id, err)
		}
	}
}

// hold keeps a thread stopped and stops the others. When all are, none of them is in the middle of a call: then the
// program ends. Calls that they were about to do are not done, and have no event.
func (t *tracer) hold(th *thread) {
	th.held = true
	all := true
	for _, other := range t.threads {
		if !other.held && !other.asked {
			other.asked = true
			_ = unix.Tgkill(t.pid, other.id, syscall.SIGSTOP) // it may have ended
		}
		all = all && other.held
	}
	if !all {
		return
	}
	t.events = slices.DeleteFunc(t.events, func(e Event) bool {
		for _, th := range t.threads {
			if th.call == e.Call {
				return true
			}
		}
		return false
	})
	t.killed = true
	_ = syscall.Kill(t.pid, syscall.SIGKILL)
}

// holdAny looks again whether all are stopped, when one of them is no more.
func (t *tracer) holdAny() {
	for _, th := range t.threads {
		if th.held {
			t.hold(th)
			return
		}
	}
}

// stopped handles a stop and returns the signal that the thread is to get.
func (t *tracer) stopped(th *thread, ws syscall.WaitStatus) int {
	switch sig := ws.StopSignal(); {
	case sig == syscall.SIGTRAP|0x80:
		t.atCall(th)
		return 0
	case ws.TrapCause() > 0: // a thread was made
		return 0
	case sig == syscall.SIGSTOP: // a new thread stops once
		return 0
	default:
		return int(sig)
	}
}

// atCall handles the beginning or the end of a system call.
func (t *tracer) atCall(th *thread) {
	info, err := syscallInfo(th.id)
	if err != nil {
		if !errors.Is(err, syscall.ESRCH) {
			t.missed("thread %d: %w", th.id, err)
		}
		return
	}
	switch info.op {
	case infoEntry:
		th.nr, th.args, th.fail = info.data[0], [6]uint64(info.data[1:7]), 0
		th.call = t.enter(th)
		if c := th.call; c != nil {
			t.inject(th)
			if c.Kind == Write || c.Kind == Sync || c.Kind == Send {
				t.events = append(t.events, Event{Call: c})
			}
		}
	case infoExit:
		result := int64(info.data[0])
		if th.fail != 0 {
			result = -int64(th.fail)
			t.setResult(th, result)
		}
		t.leave(th, result)
		th.call, th.fail = nil, 0
	}
}

// missed notes that the trace is not complete.
func (t *tracer) missed(format string, args ...any) {
	if t.wrong == nil {
		t.wrong = fmt.Errorf(format, args...)
	}
}

// inject asks whether a call is to fail, and then has the kernel do nothing.
func (t *tracer) inject(th *thread) {
	c := th.call
	if t.opts.Fault == nil || c.Kind == Map || c.Kind == Bind || c.Kind == Accept || c.Kind == Send {
		return
	}
	if th.fail = t.opts.Fault(c); th.fail == 0 {
		return
	}
	c.Injected = true
	var regs syscall.PtraceRegs
	err := syscall.PtraceGetRegs(th.id, &regs)
	if err == nil {
		regs.Orig_rax = ^uint64(0) // no call has this number
		err = syscall.PtraceSetRegs(th.id, &regs)
	}
	if err != nil {
		t.missed("make a call fail: %w", err)
	}
}

// setResult makes a call return what it did not.
func (t *tracer) setResult(th *thread, result int64) {
	var regs syscall.PtraceRegs
	err := syscall.PtraceGetRegs(th.id, &regs)
	if err == nil {
		regs.Rax = uint64(result)
		err = syscall.PtraceSetRegs(th.id, &regs)
	}
	if err != nil {
		t.missed("make a call fail: %w", err)
	}
}
