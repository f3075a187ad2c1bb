package eventstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/storage"
)

// snapshotEncoding is the encoding of a snapshot's body: zstd over, for each record, the uvarint length of a protobuf
// message and the message.
const snapshotEncoding = 1

// snapshotPart is the size of the rows that a snapshot's body is cut into.
const snapshotPart = 256 << 10

// SnapshotHeader names a snapshot: whose fold, by which version of the fold, at which position.
type SnapshotHeader struct {
	Owner string
	// FoldVersion changes when the same events would fold to something else.
	FoldVersion int
	Position    Position
}

// WriteSnapshot saves a projector's state as a sequence of messages. Equal sequences are stored as equal bytes, so a
// projector yields its records in a fixed order. The header row, which makes the snapshot exist, is written last, and
// carries the file's uuid, the chain's value at the position, and a checksum over all of it.
func WriteSnapshot(ctx context.Context, tx storage.Tx, h SnapshotHeader, records iter.Seq[proto.Message]) error {
	body, count, err := encodeSnapshot(records)
	if err != nil {
		return fmt.Errorf("snapshot of %s at %d: %w", h.Owner, h.Position, err)
	}
	row := snapshotRow{SnapshotHeader: h, encoding: snapshotEncoding, count: count}
	if row.uuid, err = fileUUID(ctx, tx); err != nil {
		return err
	}
	if row.chain, err = chainAt(ctx, tx, h.Position); err != nil {
		return fmt.Errorf("snapshot of %s at %d: %w", h.Owner, h.Position, err)
	}
	if err := row.write(ctx, tx, body); err != nil {
		return fmt.Errorf("snapshot of %s at %d: %w", h.Owner, h.Position, err)
	}
	return nil
}

// ReadSnapshot gives the newest usable snapshot of an owner and a fold version to load and returns its position, 0
// where there is none. Snapshots that cannot be used are skipped, each with a fault that says why: one that is
// damaged, that belongs to another file, to another fold or to a log with another past, or one that load refuses.
// load must keep nothing of what it read before the error; the records alias memory that is reused.
func ReadSnapshot(ctx context.Context, tx storage.Tx, owner string, foldVersion int,
	load func(records iter.Seq2[[]byte, error]) error,
) (at Position, faults []error, err error) {
	return ReadSnapshotUntil(ctx, tx, owner, foldVersion, MaxPosition, load)
}

// ReadSnapshotUntil is [ReadSnapshot] among the snapshots at a position or before it.
func ReadSnapshotUntil(ctx context.Context, tx storage.Tx, owner string, foldVersion int, until Position,
	load func(records iter.Seq2[[]byte, error]) error,
) (at Position, faults []error, err error) {
	rows, err := snapshotRows(ctx, tx, owner, until)
	if ctx.Err() != nil {
		return 0, nil, ctx.Err()
	}
	if err != nil { // a damaged page of the table costs the rows behind it, never the start
		faults = append(faults, fmt.Errorf("snapshots of %s: %w", owner, err))
	}
	for _, row := range rows {
		err := row.check(ctx, tx, foldVersion)
		var body []byte
		if err == nil {
			body, err = row.body(ctx, tx)
		}
		if err == nil {
			err = load(decodeSnapshot(body, row.count))
		}
		if err == nil {
			return row.Position, faults, nil
		}
		if ctx.Err() != nil {
			return 0, faults, ctx.Err()
		}
		faults = append(faults, fmt.Errorf("snapshot of %s at position %d: %w", owner, row.Position, err))
	}
	return 0, faults, nil
}

// LastSnapshot is the position of an owner's newest snapshot at a position or before it, usable or not; 0 for none.
func LastSnapshot(ctx context.Context, tx storage.Tx, owner string, until Position) (Position, error) {
	var last sql.NullInt64
	err := tx.QueryRowContext(ctx, `SELECT max(position) FROM snapshots WHERE owner = ? AND position <= ?`,
		owner, int64(until)).Scan(&last)
	if err != nil {
		return 0, fmt.Errorf("snapshots of %s: %w", owner, err)
	}
	return Position(last.Int64), nil
}

// snapshotRow is a row of the table snapshots.
type snapshotRow struct {
	SnapshotHeader
	uuid     []byte
	chain    chain
	encoding int64
	count    int64
	parts    int64
	checksum [sha256.Size]byte
}

// sum hashes the row, but for the number of its parts, and the body.
func (r *snapshotRow) sum(body []byte) [sha256.Size]byte {
	h := sha256.New()
	var head []byte
	head = appendString(head, r.Owner)
	for _, v := range [...]int64{int64(r.Position), int64(r.FoldVersion), r.encoding, r.count} {
		head = binary.LittleEndian.AppendUint64(head, uint64(v))
	}
	head = append(head, r.uuid...)
	head = append(head, r.chain[:]...)
	h.Write(head)
	h.Write(body)
	return [sha256.Size]byte(h.Sum(nil))
}

func (r *snapshotRow) write(ctx context.Context, tx storage.Tx, body []byte) error {
	if err := r.clear(ctx, tx); err != nil {
		return err
	}
	r.checksum = r.sum(body)
	for part := range slices.Chunk(body, snapshotPart) {
		if err := r.writePart(ctx, tx, part); err != nil {
			return err
		}
	}
	return r.writeHeader(ctx, tx)
}

// clear removes what there is of the snapshot.
func (r *snapshotRow) clear(ctx context.Context, tx storage.Tx) error {
	for _, table := range [...]string{"snapshots", "snapshot_parts"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE owner = ? AND position = ?`,
			r.Owner, int64(r.Position)); err != nil {
			return err
		}
	}
	return nil
}

// writePart writes the next part of the body.
func (r *snapshotRow) writePart(ctx context.Context, tx storage.Tx, part []byte) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO snapshot_parts (owner, position, part, body) VALUES (?, ?, ?, ?)`,
		r.Owner, int64(r.Position), r.parts, part); err != nil {
		return err
	}
	r.parts++
	return nil
}

// writeHeader writes the row without which the parts are no snapshot.
func (r *snapshotRow) writeHeader(ctx context.Context, tx storage.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO snapshots
		(owner, position, file_uuid, fold_version, chain, encoding, count, parts, checksum)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.Owner, int64(r.Position), r.uuid, r.FoldVersion, r.chain[:],
		r.encoding, r.count, r.parts, r.checksum[:])
	return err
}

// snapshotRows are the rows of an owner up to a position, newest first. With an error come those that could be read
// before it.
func snapshotRows(ctx context.Context, tx storage.Tx, owner string, until Position) (found []snapshotRow, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT owner, position, file_uuid, fold_version, chain, encoding, count, parts,
		checksum FROM snapshots WHERE owner = ? AND position <= ? ORDER BY position DESC`, owner, int64(until))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r snapshotRow
		var c, sum []byte
		if err := rows.Scan(&r.Owner, &r.Position, &r.uuid, &r.FoldVersion, &c, &r.encoding, &r.count, &r.parts,
			&sum); err != nil {
			return found, misread(err)
		}
		copy(r.chain[:], c)
		copy(r.checksum[:], sum)
		found = append(found, r)
	}
	return found, rows.Err()
}

// check says why the snapshot cannot stand for the fold of this log at its position, before its body is read.
func (r *snapshotRow) check(ctx context.Context, tx storage.Tx, foldVersion int) error {
	uuid, err := fileUUID(ctx, tx)
	if err != nil {
		return err
	}
	switch {
	case !bytes.Equal(uuid, r.uuid):
		return errors.New("it belongs to another file")
	case r.FoldVersion != foldVersion:
		return fmt.Errorf("it was made by version %d of the fold, and this is version %d", r.FoldVersion, foldVersion)
	case r.encoding != snapshotEncoding:
		return fmt.Errorf("encoding %d is not known to this version", r.encoding)
	}
	c, err := chainAt(ctx, tx, r.Position)
	if err != nil {
		return err
	}
	if c != r.chain {
		return errors.New("the log up to it is not the one that it was made from")
	}
	return nil
}

// body reads and checks the snapshot's parts.
func (r *snapshotRow) body(ctx context.Context, tx storage.Tx) (body []byte, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT body FROM snapshot_parts WHERE owner = ? AND position = ? ORDER BY part`,
		r.Owner, int64(r.Position))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var part sql.RawBytes
		if err := rows.Scan(&part); err != nil {
			return nil, err
		}
		body = append(body, part...)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if r.sum(body) != r.checksum {
		return nil, errors.New("its checksum does not fit")
	}
	return body, nil
}

func encodeSnapshot(records iter.Seq[proto.Message]) (body []byte, count int64, err error) {
	var out bytes.Buffer
	// One goroutine: a snapshot must not take the processors from what the house does.
	z, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, 0, err
	}
	m := proto.MarshalOptions{Deterministic: true}
	var frame, message []byte
	for r := range records {
		if count%64 == 0 {
			runtime.Gosched() // what is not done in the background goes first
		}
		if message, err = m.MarshalAppend(message[:0], r); err != nil {
			return nil, 0, errors.Join(err, z.Close())
		}
		frame = append(binary.AppendUvarint(frame[:0], uint64(len(message))), message...)
		if _, err := z.Write(frame); err != nil {
			return nil, 0, errors.Join(err, z.Close())
		}
		count++
	}
	if err := z.Close(); err != nil {
		return nil, 0, err
	}
	return out.Bytes(), count, nil
}

// maxSnapshotRecord bounds what a length in a snapshot may make us allocate.
const maxSnapshotRecord = MaxEventBytes + 1<<20

// decodeSnapshot yields the records of a body that holds count of them.
func decodeSnapshot(body []byte, count int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if err := decodeRecords(body, count, yield); err != nil {
			yield(nil, err)
		}
	}
}

func decodeRecords(body []byte, count int64, yield func([]byte, error) bool) error {
	z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	in := newFrameReader(z)
	for range count {
		record, err := in.next()
		if err != nil {
			return fmt.Errorf("its records: %w", err)
		}
		if !yield(record, nil) {
			return nil
		}
	}
	if !in.atEnd() {
		return errors.New("there are more records than its header says")
	}
	return nil
}
