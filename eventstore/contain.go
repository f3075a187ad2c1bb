package eventstore

import (
	"fmt"
	"log/slog"
	"runtime/debug"
)

// contained is [contained] with the store's log.
func (s *Store) contained(whose string, f func() error) error {
	return contained(s.opts.Logger, whose, f)
}

// contained runs f in a goroutine of its own, so that a panic of what is not the store's, or the end of its goroutine,
// becomes an error and ends nothing else.
func contained(log *slog.Logger, whose string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		returned := false
		var err error
		defer func() {
			if !returned {
				if p := recover(); p != nil {
					err = panicked(log, whose, p)
				} else {
					err = exited(log, whose)
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
func panicked(log *slog.Logger, whose string, p any) error {
	log.Error(whose+" panicked", "panic", p, "stack", string(debug.Stack()))
	return fmt.Errorf("%s panicked: %v", whose, p)
}

// exited is the error for a goroutine that ended; see panicked.
func exited(log *slog.Logger, whose string) error {
	log.Error(whose+" ended its goroutine", "stack", string(debug.Stack()))
	return fmt.Errorf("%s ended its goroutine with runtime.Goexit, as FailNow of a test does, instead of returning", whose)
}
