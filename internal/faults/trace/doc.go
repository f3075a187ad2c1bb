// Package trace runs a program under ptrace, the way strace does, and notes in what order its threads change files and
// send on sockets: what a power cut could leave of the files, and what the program had said by then, follow from it.
// It can also have calls fail, as a full or a broken disk would. The program needs to know nothing of it: it is the one that
// people run.
//
// strace itself counts the calls that it makes fail by thread, and a Go program moves its work from thread to thread:
// "every k-th write" would mean nothing. Here the calls are counted as the kernel gets them.
//
// Only files below one directory are noted. A file that a program writes through a shared mapping is said to be mapped,
// since nobody sees what is written to it; a way of writing that is not understood is an error of [Process.Wait], so that
// no trace is incomplete in silence.
//
// It runs on Linux on amd64; elsewhere, and where ptrace is not permitted, [Start] returns [ErrUnsupported].
package trace

import (
	"errors"
	"io"
	"syscall"
)

// ErrUnsupported says that nothing can be traced here.
var ErrUnsupported = errors.New("tracing a program is not possible here")

// Kind is what a call does.
type Kind int

// The kinds of calls.
const (
	Open     Kind = iota // Path is opened as File; Create and Truncate say how
	Write                // Data at Offset of File
	Truncate             // File gets the size Offset
	Sync                 // File, fsync or fdatasync; a directory's names where it is one
	Map                  // File is written through a shared mapping from now on
	Rename               // Path becomes To
	Unlink               // Path is no more
	Mkdir                // Path is a directory
	Rmdir                // Path is no more
	Bind                 // Path is a socket
	Accept               // File is a new connection
	Send                 // Data is sent on the connection File
)

func (k Kind) String() string {
	return [...]string{
		"open", "write", "truncate", "sync", "map", "rename", "unlink", "mkdir", "rmdir", "bind", "accept", "send",
	}[k]
}

// Stdout is the File of sends on the standard output.
const Stdout = 0

// Call is one system call.
type Call struct {
	Kind Kind
	// Path is absolute, and below the root. For calls on a File it is the path under which that was opened.
	Path, To string
	// File numbers opened files and accepted connections: each open is a new one.
	File             int
	Create, Truncate bool
	Offset           int64
	Data             []byte
	// Err is why it failed, 0 if it did not; Injected says that it was made to.
	Err      syscall.Errno
	Injected bool
}

// Event is the beginning or the end of a call. Writes, syncs and sends have both, in the order in which the kernel got and
// finished them; other calls only an end, and only when they succeeded or were made to fail.
type Event struct {
	*Call
	End bool
}

// Options say what is run.
type Options struct {
	// Root is the absolute path of the directory whose files are of interest. It may not exist yet.
	Root string
	// Args is the program with its arguments, Env its environment.
	Args, Env []string
	// Stdout and Stderr take what it prints; nil is nothing. They are written by goroutines that end before Wait returns.
	Stdout, Stderr io.Writer
	// Fault is asked before each call on a file but Map, Bind, Accept and Send. The call is not done, and fails, where it returns an
	// error. It is called by one goroutine, in the order of the calls. Nil means that nothing is made to fail.
	Fault func(c *Call) syscall.Errno
}

// Result is what a program did.
type Result struct {
	Events []Event
	// Status is how it ended.
	Status syscall.WaitStatus
}
