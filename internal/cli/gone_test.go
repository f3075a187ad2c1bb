package cli

import (
	"bytes"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/daemon"
)

// A daemon that goes away while it is asked is an error, however the connection ends: a pipe that is broken is none only where the
// command writes its answer.
func TestTheDaemonIsGone(t *testing.T) {
	t.Chdir(t.TempDir()) // a socket's path is short
	db := "home.db"
	house, err := statehouse.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = house.Close() }()
	if err := house.Announce("http://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", daemon.SocketPath(db))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	broken := &net.OpError{Op: "write", Net: "unix", Err: os.NewSyscallError("write", syscall.EPIPE)}
	if code := exitCode((&remote{}).unreachable(broken)); code != exitUnavailable {
		t.Errorf("exit code %d", code)
	}
	for range 10 { // each as the moment will have it
		for _, args := range [][]string{{"list"}, {"set", "light.hall", "on"}, {"token", "create", "x", "--scope", "read"}, {"watch"}} {
			var out, errs bytes.Buffer
			if code := Run(t.Context(), append(args, "--db", db), nil, &out, &errs); code != exitUnavailable || errs.Len() == 0 {
				t.Errorf("%v: exit code %d, %q %q", args, code, out.String(), errs.String())
			}
		}
	}
}
