package diskerror

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// mount mounts a disk in memory at a directory.
func mount(dir string, size int) error {
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("%w: %w", ErrNoMount, err)
	}
	return err
}

func unmount(dir string) error { return unix.Unmount(dir, 0) }
