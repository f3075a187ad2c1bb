package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// writeFile writes to the file that a person named. A regular file, or one that is not there yet, gets everything or stays
// as it was; a link is followed and stays a link. What is no regular file is written to as it is: a device, a FIFO, which is
// waited for until somebody reads it, and this process's own output, also under a name as /dev/stdout.
func (a *app) writeFile(path string, write func(io.Writer) error) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		info = nil
	case err != nil:
		return err
	case info.IsDir():
		return markf(errUsage, "%s is a directory; name a file in it", path)
	}
	if info != nil {
		for _, own := range [...]io.Writer{a.stdout, a.stderr} {
			if f, ok := own.(*os.File); ok {
				if open, err := f.Stat(); err == nil && os.SameFile(open, info) {
					return write(own)
				}
			}
		}
		if !info.Mode().IsRegular() {
			return writeThrough(a.ctx, path, info, write)
		}
	}
	target, err := linkTarget(path)
	if err != nil {
		return err
	}
	return replaceFile(target, info, write)
}

// writeThrough writes to a file that is no regular one.
func writeThrough(ctx context.Context, path string, info fs.FileInfo, write func(io.Writer) error) error {
	for {
		// Without O_NONBLOCK the opening of a FIFO that nobody reads could not be interrupted.
		f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			return errors.Join(write(f), f.Close())
		}
		if info.Mode().Type() != fs.ModeNamedPipe || !errors.Is(err, syscall.ENXIO) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// maxLinks is how many links may lead to a file, as on Linux.
const maxLinks = 40

// linkTarget is the file that a path leads to, which need not be there.
func linkTarget(path string) (string, error) {
	for range maxLinks {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Type() != fs.ModeSymlink {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		to, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", fmt.Errorf("%s: more than %d links lead on from there", path, maxLinks)
}

// replaceFile writes to a file beside the wanted one and renames it when it is complete. It gets the mode of the one that it
// replaces, if there is one.
func replaceFile(path string, replaced fs.FileInfo, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.partial")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if replaced != nil {
		err = f.Chmod(replaced.Mode().Perm())
	}
	if err == nil {
		err = write(f)
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
