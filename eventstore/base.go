package eventstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/statehouse/statehouse/storage"
)

// base is where the log begins once events have been removed from it; the zero base is that of a whole log. It is a row
// of the table meta, written in the transaction that appends the event that attests it.
type base struct {
	position Position // up to which events have been removed
	recorded int64    // of the last one of them
	chain    chain    // its value after that
	// The first segment that is kept begins at first, which is at most position+1: it may hold some of the removed
	// events as well, which nobody is shown. before is the chain's value before it.
	first  Position
	before chain
}

const (
	baseKey   = "base"
	baseBytes = 3*8 + 2*sha256.Size + 4
)

// encode is the value of the row: position, recorded, first, chain and before, and the CRC-32C of these.
func (b *base) encode() []byte {
	out := make([]byte, 0, baseBytes)
	for _, v := range [...]int64{int64(b.position), b.recorded, int64(b.first)} {
		out = binary.LittleEndian.AppendUint64(out, uint64(v))
	}
	out = append(append(out, b.chain[:]...), b.before[:]...)
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

func decodeBase(in []byte) (base, error) {
	if len(in) != baseBytes || crc32.Checksum(in[:baseBytes-4], castagnoli) != binary.LittleEndian.Uint32(in[baseBytes-4:]) {
		return base{}, fmt.Errorf("%w: what it says of the events that have been removed is not what was written", ErrCorrupt)
	}
	b := base{
		position: Position(binary.LittleEndian.Uint64(in)),
		recorded: int64(binary.LittleEndian.Uint64(in[8:])),
		first:    Position(binary.LittleEndian.Uint64(in[16:])),
	}
	copy(b.chain[:], in[24:])
	copy(b.before[:], in[24+sha256.Size:])
	if b.position == 0 || b.position > MaxPosition || b.first == 0 || b.first > b.position+1 {
		return base{}, fmt.Errorf("%w: events up to position %d have been removed, and the rest begins at %d", ErrCorrupt, b.position, b.first)
	}
	return b, nil
}

// readBase reads the base of a log.
func readBase(ctx context.Context, db querier) (base, error) {
	var value []byte
	err := db.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = ?`, baseKey).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return base{}, nil
	}
	if err != nil {
		return base{}, fmt.Errorf("what has been removed of the log: %w", err)
	}
	return decodeBase(value)
}

// atBase says that a position is that of the last event that was removed.
func atBase(ctx context.Context, db querier, at Position) bool {
	b, err := readBase(ctx, db)
	return err == nil && b.position == at
}

func (b *base) write(ctx context.Context, tx storage.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO meta (key, value, checksum) VALUES (?1, ?2, statehouse_sum(?1, ?2))`, baseKey, b.encode())
	return err
}

// loadBase makes what the file says the base of the store.
func (s *Store) loadBase(ctx context.Context, db querier) error {
	b, err := readBase(ctx, db)
	if err == nil {
		s.moveBase(&b)
	}
	return err
}

// moveBase moves the base forward: several may have found out that it has moved.
func (s *Store) moveBase(to *base) {
	for {
		old := s.base.Load()
		if old != nil && old.position >= to.position || s.base.CompareAndSwap(old, to) {
			return
		}
	}
}

// Base is the position up to which events have been removed, and when the last one of them was recorded: 0 and the zero
// time for a log that is whole. What the house was like there is the first thing that can be asked, and the event behind
// it the first that can be read.
func (s *Store) Base() (Position, time.Time) {
	b := s.base.Load()
	if b.position == 0 {
		return 0, time.Time{}
	}
	return b.position, time.Unix(0, b.recorded).UTC()
}

// CompactedError says that a question is about events that have been removed. It matches [ErrCompacted].
type CompactedError struct {
	// Base is the position up to which events have been removed, RecordedAt when the last one of them was recorded.
	Base       Position
	RecordedAt time.Time
}

// Error names the oldest position that can be asked for.
func (e *CompactedError) Error() string {
	return fmt.Sprintf("%v: those up to position %d, which was recorded at %s; the oldest moment is the one at position %d, "+
		"and the oldest event the one at %d", ErrCompacted, e.Base, e.RecordedAt.Format(time.RFC3339Nano), e.Base, e.Base+1)
}

// Is says that the error is [ErrCompacted].
func (e *CompactedError) Is(target error) bool { return target == ErrCompacted }

// kept is an error where events behind a position have been removed: who goes on from there would miss them.
func (s *Store) kept(after Position) error {
	if at, recorded := s.Base(); after < at {
		return &CompactedError{Base: at, RecordedAt: recorded}
	}
	return nil
}

// orCompacted is an error of who reads behind a position, for whom what was not found may have been removed meanwhile:
// the file knows that first.
func (s *Store) orCompacted(ctx context.Context, after Position, err error) error {
	err = orCorrupt(err)
	if errors.Is(err, ErrCorrupt) && s.loadBase(ctx, s.db.Reader()) == nil {
		if removed := s.kept(after); removed != nil {
			return removed
		}
	}
	return err
}
