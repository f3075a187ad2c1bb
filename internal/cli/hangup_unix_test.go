//go:build unix

package cli

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/statehouse/statehouse/storage"
)

// TestHangup: a daemon whose terminal is closed ends as cleanly as one that is told to, however often it hears of it.
func TestHangup(t *testing.T) {
	db := filepath.Join(t.TempDir(), "home.db")
	s := startServer(t, db, true)
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	var err error
	for again := true; again; {
		_ = s.cmd.Process.Signal(syscall.SIGHUP) // that it has ended, Wait says
		select {
		case err = <-ended:
			again = false
		case <-time.After(time.Millisecond):
		}
	}
	if err != nil {
		t.Errorf("serve after SIGHUP: %v", err)
	}
	if holder, err := storage.ReadHolder(db); err != nil || holder != (storage.Holder{}) {
		t.Errorf("the database is held by %+v, %v", holder, err)
	}
}

// TestNohup: with hangups ignored from the start, as nohup has it, the daemon stays.
func TestNohup(t *testing.T) {
	db := filepath.Join(t.TempDir(), "home.db")
	s := startServer(t, db, true, "/bin/sh", "-c", `trap "" HUP; exec "$0" "$@"`)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Second); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if holder, err := storage.ReadHolder(db); err != nil || holder.PID != s.cmd.Process.Pid {
			t.Fatalf("the database is held by %+v, %v", holder, err)
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("serve after SIGTERM: %v", err)
	}
}
