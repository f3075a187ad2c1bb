package diskerror

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/statehouse/statehouse/internal/faults/trace"
)

// class is which calls fail.
type class int

const (
	writes class = iota // writes, new sizes, new files and directories
	syncs
	classes
)

func (c class) String() string { return [...]string{"write", "sync"}[c] }

// has says whether a call is of the class.
func (c class) has(call *trace.Call) bool {
	switch call.Kind {
	case trace.Sync:
		return c == syncs
	case trace.Write, trace.Truncate, trace.Mkdir:
		return c == writes
	case trace.Open:
		_, err := os.Lstat(call.Path)
		return c == writes && call.Create && err != nil // what is there is only opened
	}
	return false
}

// fault is a disk that fails.
type fault struct {
	class class
	// at is the number of the first call of the class that fails, from 1; 0 means none.
	at      int
	errno   syscall.Errno
	lasting bool

	mu     sync.Mutex // guards what follows
	calls  int
	hit    string // the first call that failed
	mended bool
	// failed counts the syncs of each file that failed, told those of them that each opening of it knows of. Linux tells each
	// once, whoever's pages they were: who syncs a file next, having had it open then, is told as well.
	failed map[string]int
	told   map[int]int
}

// name says what fails.
func (f *fault) name() string {
	how := "once"
	if f.lasting {
		how = "from then on"
	}
	return fmt.Sprintf("%s %d fails %s (%v)", f.class, f.at, how, f.errno)
}

// fail is the disk's [trace.Options.Fault].
func (f *fault) fail(c *trace.Call) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told == nil {
		f.failed, f.told = map[string]int{}, map[int]int{}
	}
	if c.Kind == trace.Sync || c.Kind == trace.Write {
		if _, known := f.told[c.File]; !known {
			f.told[c.File] = f.failed[c.Path]
		}
	}
	if c.Kind == trace.Sync && f.told[c.File] < f.failed[c.Path] {
		f.told[c.File] = f.failed[c.Path]
		return f.errno
	}
	if !f.class.has(c) {
		return 0
	}
	f.calls++
	if f.at == 0 || f.mended || f.calls < f.at || f.calls > f.at && !f.lasting {
		return 0
	}
	if f.hit == "" {
		f.hit = fmt.Sprintf("%s of %s", c.Kind, filepath.Base(c.Path))
	}
	if c.Kind == trace.Sync {
		f.failed[c.Path]++
		f.told[c.File] = f.failed[c.Path]
	}
	return f.errno
}

// what was hit, empty for nothing.
func (f *fault) what() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hit
}

// full says that the disk is full, for who fills it himself.
func (f *fault) full() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hit, f.mended = "the disk's space", false
}

// mend ends the fault: there is space again, or the cable sits.
func (f *fault) mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mended = true
}

// restarted says that the files that were open are closed.
func (f *fault) restarted() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed, f.told = nil, nil
}

func (f *fault) isMended() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mended
}
