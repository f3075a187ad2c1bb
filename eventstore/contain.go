package eventstore

import (
	"fmt"
	"runtime/debug"
)

// contained runs f in a goroutine of its own, so that a panic of what is not the store's, or the end of its goroutine,
// becomes an error and ends nothing else.
func (s *Store) contained(whose string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		returned := false
		var err error
		defer func() {
			if !returned {
				if p := recover(); p != nil {
					err = s.panicked(whose, p)
				} else {
					err = s.exited(whose)
				}
			}
			done <- err
		}()
		err = f()
		returned = true
	}()
	return <-done
}

// panicked is the error for a panic. It is called where the stack still says where that was.
func (s *Store) panicked(whose string, p any) error {
	s.opts.Logger.Error(whose+" panicked", "panic", p, "stack", string(debug.Stack()))
	return fmt.Errorf("%s panicked: %v", whose, p)
}

// exited is the error for a goroutine that ended; see panicked.
func (s *Store) exited(whose string) error {
	s.opts.Logger.Error(whose+" ended its goroutine", "stack", string(debug.Stack()))
	return fmt.Errorf("%s ended its goroutine with runtime.Goexit, as FailNow of a test does, instead of returning", whose)
}
