package eventstore_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/state"
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
