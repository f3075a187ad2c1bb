package diskerror

import (
	"syscall"
	"testing"

	"github.com/statehouse/statehouse/internal/faults/trace"
)

// A sync that failed is told to everybody who had the file open, once each, whatever fails beside it; not to who opens it
// later, nor after a restart.
func TestFailedSyncsAreToldToAll(t *testing.T) {
	f := &fault{class: syncs, at: 1, errno: syscall.EIO}
	call := func(kind trace.Kind, path string, file int) syscall.Errno {
		return f.fail(&trace.Call{Kind: kind, Path: path, File: file})
	}
	for file := 1; file <= 2; file++ {
		if err := call(trace.Write, "wal", file); err != 0 {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		path string
		file int
		want syscall.Errno
	}{
		{"wal", 1, syscall.EIO}, {"wal", 1, 0}, {"db", 3, 0}, {"wal", 2, syscall.EIO}, {"wal", 2, 0}, {"wal", 4, 0},
	} {
		if err := call(trace.Sync, c.path, c.file); err != c.want {
			t.Errorf("sync of %s by %d: %v, want %v", c.path, c.file, err, c.want)
		}
	}
	f = &fault{class: syncs, at: 1, errno: syscall.EIO}
	_, _ = call(trace.Write, "wal", 2), call(trace.Sync, "wal", 1)
	f.restarted()
	if err := call(trace.Sync, "wal", 2); err != 0 {
		t.Errorf("after a restart: %v", err)
	}
}
