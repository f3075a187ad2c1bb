package eventstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// deadly is a context that ends the process, as a kill would, the n-th time that somebody looks at it.
type deadly struct {
	context.Context
	left atomic.Int64
}

const died = 3

func (c *deadly) look() {
	if c.left.Add(-1) == 0 {
		os.Exit(died)
	}
}

func (c *deadly) Done() <-chan struct{} { c.look(); return c.Context.Done() }

func (c *deadly) Err() error { c.look(); return c.Context.Err() }

// die is what the other process of TestKilledAtAnyMoment does: it makes a log and appends an event, and says so, until
// it ends in the middle.
func die(path string) {
	ctx := &deadly{Context: context.Background()}
	n, err := strconv.ParseInt(os.Getenv("STATEHOUSE_TEST_DIE_AT"), 10, 64)
	ctx.left.Store(n)
	var db *storage.DB
	var s *eventstore.Store
	if err == nil {
		db, err = storage.Open(ctx, path, storage.Options{})
	}
	if err == nil {
		s, err = eventstore.Open(ctx, db, eventstore.Options{})
	}
	if err == nil {
		err = s.Start(ctx, state.New())
	}
	if err == nil {
		_, err = s.Append(ctx, eventstore.Batch{Events: []eventstore.Event{sensor(1)}})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.UUID())
	os.Exit(0) // nothing is closed
}

// A process that makes a new log and ends in the middle, wherever that is, leaves one that the next process can use; what
// was acknowledged is in it.
func TestKilledAtAnyMoment(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 20
	}
	moments := 0
	for n, code := 1, died; code == died; n += step {
		path := filepath.Join(t.TempDir(), "new", "log.db")
		cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very test
		cmd.Env = append(os.Environ(), "STATEHOUSE_TEST_DIE="+path, "STATEHOUSE_TEST_DIE_AT="+strconv.Itoa(n))
		out, err := cmd.Output()
		if code = cmd.ProcessState.ExitCode(); code != died && code != 0 {
			t.Fatalf("moment %d: %v\n%s", n, err, out)
		}
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			cache := state.New()
			s, _ := open(t, path, eventstore.Options{}, cache)
			if code == 0 && (s.Head() != 1 || string(bytes.TrimSpace(out)) != s.UUID()) {
				t.Errorf("head %d of %s, acknowledged was 1 of %s", s.Head(), s.UUID(), out)
			}
			head := s.Head()
			if span := mustAppend(t, s, sensor(2)); span.First != head+1 || cache.Revision().Position != span.Last {
				t.Errorf("after position %d came %v, and the cache is at %d", head, span, cache.Revision().Position)
			}
			if err := s.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		})
		moments++
	}
	if moments < 5 {
		t.Errorf("it was killed at %d moments only", moments)
	}
}
