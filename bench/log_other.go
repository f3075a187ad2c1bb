//go:build !linux

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// inMemory says whether a file system has no disk under it. It is not known how to find out here.
func inMemory(string) (bool, error) { return false, nil }

// syncData brings what was written to a file to the disk.
func syncData(f *os.File) error { return f.Sync() }

func bytesWritten() (int64, error) {
	return 0, fmt.Errorf("the bytes that a process writes are not counted on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
