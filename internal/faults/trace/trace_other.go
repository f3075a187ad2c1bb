//go:build !(linux && amd64)

package trace

import "syscall"

// Process is a program that runs.
type Process struct{}

// Supported returns [ErrUnsupported].
func Supported() error { return ErrUnsupported }

// Start returns [ErrUnsupported].
func Start(Options) (*Process, error) { return nil, ErrUnsupported }

// Signal sends it a signal.
func (*Process) Signal(syscall.Signal) error { return ErrUnsupported }

// Kill ends it.
func (*Process) Kill() {}

// Done is closed when it has ended.
func (*Process) Done() <-chan struct{} { return nil }

// Wait waits for its end.
func (*Process) Wait() (*Result, error) { return nil, ErrUnsupported }
