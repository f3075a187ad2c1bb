package eventstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/statehouse/statehouse/storage"
)

// An anchor is 64 bytes in a file beside the database that say how far the log had come. It is written after each
// commit that adds events, when that is durable, and not synced: after a crash it may be behind the log, and never ahead
// of it. If it is ahead, events that were acknowledged are missing, which nothing in the database tells: SQLite
// takes a damaged end of its WAL for a torn one, and a backup of the file for the file.
//
//	4 bytes   "STHA"
//	16 bytes  the file's uuid
//	8 bytes   a position, little endian
//	32 bytes  the chain's value there
//	4 bytes   CRC-32C of the bytes before, little endian
type anchor struct {
	uuid     []byte
	position Position
	chain    chain
}

const (
	anchorSize  = 64
	anchorMagic = "STHA"
)

func (a *anchor) encode() []byte {
	b := append(make([]byte, 0, anchorSize), anchorMagic...)
	b = append(b, a.uuid...)
	b = binary.LittleEndian.AppendUint64(b, uint64(a.position))
	b = append(b, a.chain[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeAnchor is the anchor that b is, and whether it is one.
func decodeAnchor(b []byte) (a anchor, ok bool) {
	const end = anchorSize - 4
	if len(b) != anchorSize || !bytes.HasPrefix(b, []byte(anchorMagic)) ||
		binary.LittleEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return anchor{}, false
	}
	a.uuid = bytes.Clone(b[4 : 4+uuidSize])
	a.position = Position(binary.LittleEndian.Uint64(b[4+uuidSize:]))
	copy(a.chain[:], b[12+uuidSize:])
	return a, a.position <= MaxPosition
}

// readAnchor reads the anchor beside a database. torn says that there is a file and no anchor in it.
func readAnchor(path string) (a anchor, found, torn bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, false, false, nil
	}
	if err != nil {
		return a, false, false, err
	}
	b, err := io.ReadAll(io.LimitReader(f, anchorSize+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return a, false, false, err
	}
	a, found = decodeAnchor(b)
	return a, found, !found, nil
}

// anchorFile is the file that the writer keeps open.
type anchorFile struct {
	file   *os.File // nil where there is none, or where it cannot be written
	failed atomic.Bool
}

func (f *anchorFile) close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// checkAnchor compares the log with the anchor beside it. damage is what it tells; a notice is that it tells nothing.
func (s *Store) checkAnchor(ctx context.Context, db querier, last Position) (damage, notice error) {
	path := s.db.Beside(storage.AnchorSuffix)
	name := filepath.Base(path)
	a, found, torn, err := readAnchor(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("whether events are missing at the end of the log is not known: the anchor: %w", err)
	case torn:
		return nil, fmt.Errorf("whether events are missing at the end of the log is not known: %s is torn", name)
	case !found && last > 0:
		return nil, fmt.Errorf("whether events are missing at the end of the log is not known: there is no %s", name)
	case !found:
		return nil, nil
	case !bytes.Equal(a.uuid, s.uuid):
		return fmt.Errorf("%w: %s is of another log, %s, which had %d events, and this one is %s: the file was replaced by another one",
			ErrCorrupt, name, formatUUID(a.uuid), a.position, s.UUID()), nil
	case a.position > last:
		return fmt.Errorf("%w: positions %d to %d are missing: they were acknowledged, as %s says, and the log ends at position %d; "+
			"a part of it was lost, or an older copy was put in its place", ErrCorrupt, last+1, a.position, name, last), nil
	}
	c, err := s.chainAtAnchor(ctx, db, a.position)
	switch {
	case errors.Is(err, ErrCompacted):
		return nil, nil // it was not synced, and may be as old as it likes: nothing is missing behind it
	case isDamage(err):
		return fmt.Errorf("the event at position %d, at which %s was written: %w", a.position, name, err), nil
	case err != nil:
		return nil, fmt.Errorf("the anchor: %w", err)
	case c != a.chain:
		return fmt.Errorf("%w: the log up to position %d is not the one of which %s was written: the file was replaced by another one, "+
			"or changed", ErrCorrupt, a.position, name), nil
	}
	return nil, nil
}

// chainAtAnchor is the chain's value at the position of the anchor, if the log has that and it is not damaged;
// [ErrCompacted] where it has been removed.
func (s *Store) chainAtAnchor(ctx context.Context, db querier, at Position) (chain, error) {
	switch kept := s.base.Load(); {
	case at < kept.position:
		return chain{}, ErrCompacted
	case at == kept.position:
		return kept.chain, nil
	}
	segment, err := segmentWith(ctx, db, at)
	if err == nil {
		err = segment.intact()
	}
	if err != nil {
		return chain{}, err
	}
	return chainAt(ctx, db, at)
}

// Missing says which events are missing at the end of the log, as far as that is known, nil where none are. The store need
// not be started.
func (s *Store) Missing(ctx context.Context) (missing, err error) {
	last, err := lastPosition(ctx, s.db.Reader())
	if isDamage(err) {
		last, err = s.lastReadable(ctx)
	}
	if err != nil {
		return nil, err
	}
	damage, _ := s.checkAnchor(ctx, s.db.Reader(), last)
	if s.db.Damage() != nil {
		damage = errors.Join(s.db.Damage(), damage)
	}
	return damage, nil
}

// openAnchor opens the anchor for writing, where the log is not damaged.
func (s *Store) openAnchor() error {
	f, err := os.OpenFile(s.db.Beside(storage.AnchorSuffix), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil && info.Size() > anchorSize {
		_ = f.Truncate(anchorSize) // what is no anchor is torn, and that is all that there is to it
	}
	s.anchor.file = f
	return nil
}

// dropAnchor notes the end of the log, which must be durable.
func (s *Store) dropAnchor(h head) {
	if s.anchor.file == nil || h.position == 0 {
		return
	}
	a := anchor{uuid: s.uuid, position: h.position, chain: h.chain}
	_, err := s.anchor.file.WriteAt(a.encode(), 0)
	if err != nil && !s.anchor.failed.Swap(true) {
		s.opts.Logger.Warn("the anchor is not written; what is lost at the end of the log may not be noticed", "error", err)
	}
	if err == nil {
		s.anchor.failed.Store(false)
	}
}
