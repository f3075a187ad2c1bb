//go:build linux || darwin

package server

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// freeSpace is how many bytes this user may still write beside a file; false where nobody knows.
func freeSpace(path string) (float64, bool) {
	var st unix.Statfs_t
	if unix.Statfs(filepath.Dir(path), &st) != nil {
		return 0, false
	}
	return float64(st.Bavail) * float64(st.Bsize), true
}
