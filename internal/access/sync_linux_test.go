package access

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDirectoriesThatCannotBeSynced: tokens can be kept wherever the database can, also where a directory may be written and not read.
func TestDirectoriesThatCannotBeSynced(t *testing.T) {
	dir := t.TempDir()
	if os.Getuid() == 0 {
		// Permissions do not bind root: on this thread files are another user's.
		const nobody = 65534
		for _, d := range []string{filepath.Dir(dir), dir} {
			if err := os.Chown(d, nobody, -1); err != nil {
				t.Fatal(err)
			}
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.Setfsuid(nobody); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Setfsuid(0) }()
	}
	if err := os.Chmod(dir, 0o300); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	if _, err := os.ReadDir(dir); err == nil {
		t.Fatal("the directory can be read")
	}
	tokens := open(t, filepath.Join(dir, "tokens"))
	create(t, tokens, Spec{Name: "a", Scopes: Read})
	if _, _, err := tokens.Rotate("a", 0); err != nil {
		t.Error(err)
	}
	if _, err := tokens.Revoke("a"); err != nil {
		t.Error(err)
	}
}
