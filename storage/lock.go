package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Holder is what the process that has a database open tells others about itself.
type Holder struct {
	// PID is its process id.
	PID int `json:"pid"`
	// URL is where it answers, "http://127.0.0.1:8321"; empty where it answers nowhere.
	URL string `json:"url,omitempty"`
}

// lock is the exclusive lock on a database, held from acquireLock to release.
type lock struct{ file *os.File }

// lockPath is that of the lock: one database has one.
func lockPath(path string) string { return Beside(path, ".lock") }

// acquireLock takes the lock of the database at path, or fails with ErrLocked.
func acquireLock(path string) (*lock, error) {
	f, err := os.OpenFile(lockPath(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) || isReadOnlyFS(err) {
			return nil, fmt.Errorf("%w: %s: its directory must be writable by this user: %w", ErrNotWritable, path, err)
		}
		return nil, fmt.Errorf("lock of %s: %w", path, err)
	}
	ok, err := tryLock(f)
	if err != nil || !ok {
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("lock of %s: %w", path, err)
		}
		if h, err := ReadHolder(path); err == nil && h.PID != 0 {
			return nil, fmt.Errorf("%w: %s is open in process %d; stop it or ask it", ErrLocked, path, h.PID)
		}
		return nil, fmt.Errorf("%w: %s; stop that process or ask it", ErrLocked, path)
	}
	l := &lock{file: f}
	if err := l.announce(Holder{PID: os.Getpid()}); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// announce replaces what others read about the holder.
func (l *lock) announce(h Holder) error {
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("lock file: %w", err)
	}
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("lock file: %w", err)
	}
	if _, err := l.file.WriteAt(append(text, '\n'), 0); err != nil {
		return fmt.Errorf("lock file: %w", err)
	}
	return nil
}

// release empties the lock file and gives the lock up. The file stays: removing it would let two processes lock two
// files of the same name.
func (l *lock) release() error {
	return errors.Join(l.file.Truncate(0), unlock(l.file), l.file.Close())
}

// ReadHolder says who has the database at path open. The zero Holder means nobody, or nobody who told.
func ReadHolder(path string) (Holder, error) {
	f, err := os.Open(lockPath(path))
	if errors.Is(err, fs.ErrNotExist) {
		return Holder{}, nil
	}
	if err != nil {
		return Holder{}, fmt.Errorf("lock of %s: %w", filepath.Base(path), err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return Holder{}, fmt.Errorf("lock of %s: %w", filepath.Base(path), err)
	}
	var h Holder
	if len(text) == 0 {
		return h, nil
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return Holder{}, fmt.Errorf("lock of %s: %w", filepath.Base(path), err)
	}
	return h, nil
}
