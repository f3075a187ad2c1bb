package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// inMemory says whether a file system has no disk under it.
func inMemory(dir string) (bool, error) {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return false, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	kind := uint32(fs.Type) // it is of different sizes on different machines
	return kind == tmpfs || kind == ramfs, nil
}

// syncData brings what was written to a file to the disk, and of its inode only what is needed to read it back.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// bytesWritten answers the bytes that this process has had written to disks: the pages that it made dirty, each as often
// as it became dirty after it had been written. The file system's own journal is not part of it.
func bytesWritten() (int64, error) {
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "write_bytes:"); ok {
			return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/self/io has no write_bytes")
}
