package storage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The files beside a database whose names begin with its own.
const (
	walSuffix = "-wal"
	// AnchorSuffix is that of the file in which the log notes how far it has come. It is the log's own; this package knows
	// only that where there is one there was a log.
	AnchorSuffix = ".anchor"
)

// maxLinks is how many links may lead to a missing file: more than any system follows, so that no file is made through
// links that were not followed here.
const maxLinks = 255

// realPath is that of the file itself, whatever link it was named by, also where links lead to a file that is missing: what
// belongs to it lies where it would be made. Where they lead to none it is the path as it is.
func realPath(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	at := path
	for range maxLinks {
		dir, name := filepath.Split(at)
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return path
		}
		at = filepath.Join(dir, name)
		to, err := os.Readlink(at)
		if err != nil {
			return at // it is no link
		}
		if !filepath.IsAbs(to) {
			to = dir + string(filepath.Separator) + to // not joined: a ".." in it may stand behind a link
		}
		at = to
	}
	return path
}

// Beside is the path of a file that belongs to the database at path, which need not be there: the database's own, whatever link
// it is named by, with a suffix.
func Beside(path, suffix string) string { return realPath(path) + suffix }

// checkMissing refuses to make a new database where one was: what is beside it tells. SQLite would remove the WAL of an
// empty file.
func checkMissing(path string) error {
	path = realPath(path)
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() > 0 {
		return nil // there is one, or what is wrong with it is said by who opens it
	}
	is := "is missing"
	if err == nil {
		is = "is empty"
	}
	for _, suffix := range [...]string{AnchorSuffix, walSuffix} {
		if beside, err := os.Stat(path + suffix); err == nil && beside.Size() > 0 {
			return fmt.Errorf("%w: %s %s, and %s beside it says that there was one; bring it back, or move %s away to begin a new log",
				ErrDamaged, path, is, filepath.Base(path+suffix), filepath.Base(path+suffix))
		}
	}
	return nil
}

// checkWritable refuses files that SQLite would open for reading only. It would say so when it is to write, and until then have
// made files beside the database that have its mode, and so could not be written when that is set right.
func checkWritable(path string) error {
	for _, suffix := range [...]string{"", walSuffix, "-shm"} {
		f, err := os.OpenFile(path+suffix, os.O_RDWR, 0)
		if err == nil {
			err = f.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %w", ErrNotWritable, err)
		}
	}
	return nil
}

// checkFiles looks at the database and its WAL before SQLite does, which would take damage for something else. damage
// is what is wrong with them; err says that they could not be looked at.
func checkFiles(path string) (damage, err error) {
	path = realPath(path)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, err
	}
	var header [dbHeaderSize]byte
	if _, err := io.ReadFull(f, header[:]); err != nil {
		return nil, err
	}
	h := dbHeader(header)
	wal, err := checkWALFile(path+walSuffix, h.pageSize())
	if err != nil {
		return nil, err
	}
	if wal.damage != nil {
		damage = fmt.Errorf("%w: %s: %w", ErrDamaged, path+walSuffix, wal.damage)
		copied, err := saveWAL(path)
		if err != nil {
			return fmt.Errorf("%w; %w", damage, err), nil
		}
		return fmt.Errorf("%w; a copy of it is %s", damage, copied), nil
	}
	size := info.Size()
	if wal.frames > 0 {
		size = int64(wal.pages) * int64(h.pageSize())
	}
	// A rollback journal is there only while a new file becomes a WAL database; then nothing is settled.
	if _, err := os.Stat(path + "-journal"); err == nil || wal.header {
		return nil, nil
	}
	if err := h.check(size); err != nil {
		return fmt.Errorf("%w: the header of %s: %w", ErrDamaged, path, err), nil
	}
	return nil, nil
}

func checkWALFile(path string, pageSize int) (c walCheck, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return checkWAL(f, pageSize)
}

// dbHeader is the beginning of a database (https://sqlite.org/fileformat.html#the_database_header).
type dbHeader [dbHeaderSize]byte

const dbHeaderSize = 100

func (h *dbHeader) pageSize() int {
	if n := int(binary.BigEndian.Uint16(h[16:])); n != 1 {
		return n
	}
	return 65536
}

// check says what of the header would make SQLite do something else than fail: a size that is not that of the file makes it
// give pages that are in use to others.
func (h *dbHeader) check(size int64) error {
	if !bytes.HasPrefix(h[:], []byte("SQLite format 3\x00")) || !isPageSize(h.pageSize()) {
		return nil // SQLite says so
	}
	pages := int64(binary.BigEndian.Uint32(h[28:]))
	counted := bytes.Equal(h[24:28], h[92:96]) // otherwise SQLite counts by itself
	if pages != 0 && counted && pages*int64(h.pageSize()) != size {
		return fmt.Errorf("it says that there are %d pages of %d bytes, which is not the size of %d bytes that there should be",
			pages, h.pageSize(), size)
	}
	return nil
}

// saveWAL copies a damaged WAL aside, once, and says where to. What it has must not be lost to whatever is done about it.
func saveWAL(path string) (copied string, err error) {
	path += walSuffix
	sum := sha256.New()
	if err := copyTo(sum, path); err != nil {
		return "", fmt.Errorf("copy the damaged WAL: %w", err)
	}
	copied = path + ".damaged-" + hex.EncodeToString(sum.Sum(nil)[:4])
	if _, err := os.Stat(copied); err == nil {
		return copied, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".copying-*")
	if err != nil {
		return "", fmt.Errorf("copy the damaged WAL: %w", err)
	}
	err = copyTo(f, path)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), copied)
	}
	if err != nil {
		return "", fmt.Errorf("copy the damaged WAL: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return copied, SyncDir(filepath.Dir(path))
}

func copyTo(w io.Writer, path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(w, f)
	return err
}
