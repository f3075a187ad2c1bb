package eventstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/statehouse/statehouse/storage"
)

// encodingPlain is the encoding of a segment that a commit wrote: its events are recorded at one time, and its body is
//
//	uint32   CRC-32C of the row, little endian; see checksum
//	for each event:  uvarint length of its record, and the record
const encodingPlain = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is one row of the table segments.
type segment struct {
	first, last                 Position
	firstRecorded, lastRecorded int64
	encoding                    int64
	chain                       chain
	body                        []byte
}

// checksum covers every column of the row and the body after the checksum itself.
func (s *segment) checksum() uint32 {
	var h [40 + sha256.Size]byte
	for i, v := range [...]int64{int64(s.first), int64(s.last), s.firstRecorded, s.lastRecorded, s.encoding} {
		binary.LittleEndian.PutUint64(h[8*i:], uint64(v))
	}
	copy(h[40:], s.chain[:])
	return crc32.Update(crc32.Checksum(h[:], castagnoli), castagnoli, s.body[4:])
}

// sum writes the checksum into a body whose first four bytes were left for it.
func (s *segment) sum() { binary.LittleEndian.PutUint32(s.body, s.checksum()) }

// intact says why the row is not what was written.
func (s *segment) intact() error {
	if len(s.body) < 4 || binary.LittleEndian.Uint32(s.body) != s.checksum() {
		return s.damaged(errors.New("its checksum does not fit"))
	}
	return nil
}

// insert writes the row, in the transaction under way on the writer's connection.
func (s *segment) insert(ctx context.Context, w *writer) error {
	const insert = `INSERT INTO segments
		(last_position, first_position, first_recorded, last_recorded, encoding, chain, body)
		SELECT ?, ?, ?, ?, ?, ?, ? WHERE (SELECT coalesce(max(last_position), 0) FROM segments) = ?`
	done, err := w.statements.run(ctx, w.conn, insert,
		int64(s.last), int64(s.first), s.firstRecorded, s.lastRecorded, s.encoding, s.chain[:], s.body, int64(s.first)-1)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errors.New("the log does not end where this process left it: another one writes it"), err)
	}
	return nil
}

// damaged says that the segment is not what was written, and where that is.
func (s *segment) damaged(err error) error {
	return fmt.Errorf("%w: segment with positions %d to %d, recorded %s to %s: %w", ErrCorrupt, s.first, s.last,
		formatNanos(s.firstRecorded), formatNanos(s.lastRecorded), err)
}

func formatNanos(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

// querier is what reads: a pool, a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// misread is the error of a read, which is damage where a value is not of the type that was written.
func misread(err error) error {
	// The errors of database/sql about that are of no type, and do not wrap what they are about.
	if err != nil && strings.HasPrefix(err.Error(), "sql: Scan error") {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

const segmentColumns = `last_position, first_position, first_recorded, last_recorded, encoding, chain, body`

func scanSegment(row interface{ Scan(...any) error }) (segment, error) {
	var s segment
	var c []byte
	err := row.Scan(&s.last, &s.first, &s.firstRecorded, &s.lastRecorded, &s.encoding, &c, &s.body)
	if err != nil {
		return segment{}, misread(err)
	}
	if copy(s.chain[:], c) != len(s.chain) {
		return segment{}, s.damaged(errors.New("its chain value is cut short"))
	}
	return s, nil
}

// chainBefore is the chain's value before the segment that begins at first.
func chainBefore(ctx context.Context, db querier, first Position) (chain, error) {
	var c chain
	if first <= 1 {
		uuid, err := fileUUID(ctx, db)
		return genesis(uuid), err
	}
	var b []byte
	err := db.QueryRowContext(ctx, `SELECT chain FROM segments WHERE last_position = ?`, int64(first-1)).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		if kept, err := readBase(ctx, db); err != nil || kept.first == first {
			return kept.before, err
		}
		return c, fmt.Errorf("%w: no segment ends at position %d, before one that begins after it", ErrCorrupt, first-1)
	}
	if err == nil && copy(c[:], b) != len(c) {
		err = fmt.Errorf("%w: the chain value at position %d is cut short", ErrCorrupt, first-1)
	}
	return c, misread(err)
}

// chainAt is the chain's value after the event at a position; it recomputes it inside a segment.
func chainAt(ctx context.Context, db querier, at Position) (chain, error) {
	if at == 0 {
		return chainBefore(ctx, db, 1)
	}
	s, err := segmentWith(ctx, db, at)
	if errors.Is(err, ErrCorrupt) && atBase(ctx, db, at) {
		kept, err := readBase(ctx, db)
		return kept.chain, err
	}
	if err != nil {
		return chain{}, err
	}
	if s.last == at {
		return s.chain, nil
	}
	before, err := chainBefore(ctx, db, s.first)
	if err != nil {
		return chain{}, err
	}
	r := newRun()
	if err := r.open(&s, nil); err != nil {
		return chain{}, err
	}
	var found chain
	err = r.chainFrom(before, func(i int, c chain) {
		if r.position(i) == at {
			found = c
		}
	})
	return found, err
}

// segmentWith is the segment that holds a position.
func segmentWith(ctx context.Context, db querier, at Position) (segment, error) {
	s, err := scanSegment(db.QueryRowContext(ctx, `SELECT `+segmentColumns+` FROM segments
		WHERE last_position >= ? ORDER BY last_position LIMIT 1`, int64(at)))
	if errors.Is(err, sql.ErrNoRows) || err == nil && s.first > at {
		return segment{}, fmt.Errorf("%w: the log has no position %d", ErrCorrupt, at)
	}
	return s, err
}

// fileUUID is the uuid that the file was given when it was created.
func fileUUID(ctx context.Context, db querier) ([]byte, error) {
	var uuid []byte
	var sum int64
	err := db.QueryRowContext(ctx, `SELECT value, checksum FROM meta WHERE key = 'uuid'`).Scan(&uuid, &sum)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("%w: the file's uuid is missing", ErrCorrupt)
	case err != nil:
		return nil, fmt.Errorf("the file's uuid: %w", misread(err))
	case len(uuid) != uuidSize:
		return nil, fmt.Errorf("%w: the file's uuid has %d bytes instead of %d", ErrCorrupt, len(uuid), uuidSize)
	case sum != storage.RowSum("uuid", uuid):
		return nil, fmt.Errorf("%w: the file's uuid: its checksum does not fit", ErrCorrupt)
	default:
		return uuid, nil
	}
}

const uuidSize = 16
