package eventstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// A WAL that another process has left is moved into the database before anything is written behind it: of what that
// process could not sync, the kernel may know, and the disk may not.
func TestStartMovesALeftWAL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very test
	cmd.Env = append(os.Environ(), "STATEHOUSE_TEST_DIE="+path, "STATEHOUSE_TEST_DIE_AT=1000000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if size() == 0 {
		t.Fatal("the process left no WAL")
	}
	s, _ := open(t, path, eventstore.Options{}, state.New())
	if n := size(); n != 0 {
		t.Errorf("after the start there are %d bytes in the WAL", n)
	}
	if err := s.Stats().Fault; err != nil || s.Head() != 1 {
		t.Errorf("head %d, fault %v", s.Head(), err)
	}
	if span := mustAppend(t, s, sensor(2)); span.First != 2 {
		t.Errorf("the next append: %v", span)
	}
}

// filling is a projector that writes more into its table, when it is restored, than SQLite leaves in the WAL.
type filling struct{ tables }

func (filling) Restore(ctx context.Context, tx storage.Tx) (uint64, error) {
	_, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS filling (body BLOB) STRICT`)
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO filling VALUES (randomblob(1 << 20))`)
	}
	return uint64(eventstore.MaxPosition), err
}

// The same holds for what projectors write into their tables when they are restored.
func TestALeftWALIsMovedBeforeProjectorsWrite(t *testing.T) {
	from, to := tempDB(t), tempDB(t)
	s, _ := open(t, from, eventstore.Options{SealAfter: -1}, state.New())
	for n := range 50 {
		mustAppend(t, s, check.SensorEvent(fmt.Sprintf("sensor.s%d_%s", n, strings.Repeat("x", 200)), 1))
	}
	for _, suffix := range []string{"", "-wal"} { // as a process that was killed leaves them
		b, err := os.ReadFile(from + suffix)
		if err == nil {
			err = os.WriteFile(to+suffix, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadFile(to + "-wal")
	if err != nil || len(left) == 0 {
		t.Fatalf("there are %d bytes in the WAL: %v", len(left), err)
	}
	// Whether it was moved shows in what the first projector finds.
	looked := false
	first := looking(func() {
		looked = true
		if now, err := os.ReadFile(to + "-wal"); err != nil || bytes.HasPrefix(now, left) {
			t.Errorf("a projector may write, and the WAL is as it was left: %v", err)
		}
	})
	s, _ = open(t, to, eventstore.Options{SealAfter: -1}, state.New(), first, filling{})
	if s.Head() != 50 || !looked {
		t.Errorf("head %d, looked %v", s.Head(), looked)
	}
}

// looking is a projector without tables that looks at something when it is restored.
type looking func()

func (looking) Name() string                                              { return "looking" }
func (looking) Apply(context.Context, storage.Tx, eventstore.Event) error { return nil }
func (looking) Snapshot(context.Context, storage.Tx) error                { return nil }
func (l looking) Restore(context.Context, storage.Tx) (uint64, error) {
	l()
	return uint64(eventstore.MaxPosition), nil
}
