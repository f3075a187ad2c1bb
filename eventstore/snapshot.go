package eventstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"iter"
	"runtime"
	"slices"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/storage"
)

// SnapshotHeader names a snapshot: whose fold, by which version of the fold, at which position.
type SnapshotHeader struct {
	Owner string
	// FoldVersion changes when the same events would fold to something else.
	FoldVersion int
	Position    Position
}

// WriteSnapshot saves a projector's state as a sequence of messages, in the transaction tx. Equal sequences are stored as
// equal bytes, so a projector yields its records in a fixed order. The header row, which makes the snapshot exist, is
// written last, and carries the file's uuid, the chain's value at the position, and a checksum over all of it.
func WriteSnapshot(ctx context.Context, tx storage.Tx, h SnapshotHeader, records iter.Seq[proto.Message]) error {
	all := slices.Collect(records)
	return writeFull(ctx, tx, h, Records{Count: len(all), Message: func(i int) proto.Message { return all[i] }})
}

// WriteCapture saves what was captured of a projector, in the transaction tx; see [WriteSnapshot].
func WriteCapture(ctx context.Context, tx storage.Tx, c Capture) error {
	return writeFull(ctx, tx, c.Header(), c.Records(runtime.Gosched))
}

func writeFull(ctx context.Context, tx storage.Tx, h SnapshotHeader, records Records) error {
	row := snapshotRow{SnapshotHeader: h, encoding: snapshotFrames}
	var err error
	if row.uuid, err = fileUUID(ctx, tx); err != nil {
		return err
	}
	if row.chain, err = chainAt(ctx, tx, h.Position); err == nil {
		err = row.write(ctx, records, atOnce(), func(f func(context.Context, storage.Tx) error) error { return f(ctx, tx) })
	}
	if err != nil {
		return fmt.Errorf("snapshot of %s at %d: %w", h.Owner, h.Position, err)
	}
	return nil
}

// SnapshotFault says why a snapshot was skipped. It wraps the reason.
type SnapshotFault struct {
	Owner    string
	Position Position
	// Damaged says that it is of this version of the fold, and so should have been good.
	Damaged bool
	Err     error
}

func (f *SnapshotFault) Error() string {
	return fmt.Sprintf("snapshot of %s at position %d: %v", f.Owner, f.Position, f.Err)
}

func (f *SnapshotFault) Unwrap() error { return f.Err }

// ReadSnapshot gives the newest usable snapshot of an owner and a fold version to load and returns its position, 0
// where there is none. The records of a delta come behind those of its base. Snapshots that cannot be used are skipped,
// each with a fault, a [SnapshotFault], that says why: one that is damaged, that belongs to another file, to another fold
// or to a log with another past, a delta whose base is any of that, or one that load refuses. load must keep nothing of
// what it read before the error; the records alias memory that is reused.
func ReadSnapshot(ctx context.Context, tx storage.Tx, owner string, foldVersion int,
	load func(records iter.Seq2[[]byte, error]) error,
) (at Position, faults []error, err error) {
	return ReadSnapshotUntil(ctx, tx, owner, foldVersion, MaxPosition, func(parts iter.Seq2[SnapshotPart, error]) error {
		return load(func(yield func([]byte, error) bool) {
			for p, err := range parts {
				if err != nil {
					yield(nil, err)
					return
				}
				for record, err := range p.Records() {
					if !yield(record, err) {
						return
					}
				}
			}
		})
	})
}

// ReadSnapshotUntil is [ReadSnapshot] among the snapshots at a position or before it, and gives load the parts of the
// snapshot, to be decoded side by side; see [DecodeParts].
func ReadSnapshotUntil(ctx context.Context, tx storage.Tx, owner string, foldVersion int, until Position,
	load func(parts iter.Seq2[SnapshotPart, error]) error,
) (at Position, faults []error, err error) {
	rows, err := snapshotRows(ctx, tx, owner, until)
	if ctx.Err() != nil {
		return 0, nil, ctx.Err()
	}
	if err != nil { // a damaged page of the table costs the rows behind it, never the start
		faults = append(faults, fmt.Errorf("snapshots of %s: %w", owner, err))
	}
	for i := range rows {
		row := &rows[i]
		layers, err := row.layers(rows)
		if err == nil {
			err = row.check(ctx, tx, layers, foldVersion)
		}
		if err == nil {
			err = readLayers(ctx, tx, layers, load)
		}
		if err == nil {
			return row.Position, faults, nil
		}
		if ctx.Err() != nil {
			return 0, faults, ctx.Err()
		}
		damaged := row.FoldVersion == foldVersion && !errors.Is(err, ErrCompacted)
		faults = append(faults, &SnapshotFault{owner, row.Position, damaged, err})
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
	// delta says that the records are those of a delta, and base which snapshot that starts from.
	delta bool
	base  snapshotBase
}

// snapshotBase names the snapshot that a delta starts from.
type snapshotBase struct {
	position Position
	checksum [sha256.Size]byte
}

// hash is a hash that has taken in the row, but for the number of its parts; the body comes next.
func (r *snapshotRow) hash() hash.Hash {
	h := sha256.New()
	var head []byte
	head = appendString(head, r.Owner)
	for _, v := range [...]int64{int64(r.Position), int64(r.FoldVersion), r.encoding, r.count} {
		head = binary.LittleEndian.AppendUint64(head, uint64(v))
	}
	head = append(head, r.uuid...)
	head = append(head, r.chain[:]...)
	if r.delta {
		head = binary.LittleEndian.AppendUint64(head, uint64(r.base.position))
		head = append(head, r.base.checksum[:]...)
	}
	h.Write(head)
	return h
}

// stepBytes is what a step writes of a body at least, but for the last one: enough that a large snapshot does not take
// a thousand syncs, and little enough that an append that waits for it waits no longer than for another one.
const stepBytes = 32 << 10

// write encodes records and writes them as the row's body, in steps that may be transactions of their own. The first one
// removes what there was, and the last one makes the snapshot exist.
func (r *snapshotRow) write(ctx context.Context, records Records, how encodeOptions, step stepper) error {
	r.count = int64(records.Count)
	sum := r.hash()
	var waiting [][]byte
	first, size := true, 0
	flush := func(last bool) error {
		return step(func(ctx context.Context, tx storage.Tx) error {
			if first {
				if err := r.place().clear(ctx, tx); err != nil {
					return err
				}
			}
			for _, part := range waiting {
				if err := r.writePart(ctx, tx, part); err != nil {
					return err
				}
			}
			first, waiting, size = false, waiting[:0], 0
			if last {
				return r.writeHeader(ctx, tx)
			}
			return nil
		})
	}
	for part, err := range encodedParts(records, how) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		sum.Write(part)
		waiting, size = append(waiting, part), size+len(part)
		if size >= stepBytes {
			if err := flush(false); err != nil {
				return err
			}
		}
	}
	sum.Sum(r.checksum[:0])
	return flush(true)
}

var errNoBase = errors.New("the snapshot that the delta starts from is not there any more")

// snapshotPlace is where a snapshot is stored.
type snapshotPlace struct {
	owner    string
	position Position
}

func (r *snapshotRow) place() snapshotPlace { return snapshotPlace{r.Owner, r.Position} }

// clear removes what there is of the snapshot.
func (p snapshotPlace) clear(ctx context.Context, tx storage.Tx) error {
	if err := p.clearRow(ctx, tx); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM snapshot_parts WHERE owner = ? AND position = ?`, p.owner, int64(p.position))
	return err
}

// clearRow removes the row that makes the snapshot exist. Its parts are strays then.
func (p snapshotPlace) clearRow(ctx context.Context, tx storage.Tx) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM snapshots WHERE owner = ? AND position = ?`, p.owner, int64(p.position))
	return err
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
	var basePosition, baseChecksum any // null but in a delta
	if r.delta {
		basePosition, baseChecksum = int64(r.base.position), r.base.checksum[:]
		var found int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM snapshots WHERE owner = ? AND position = ? AND checksum = ?`,
			r.Owner, basePosition, baseChecksum).Scan(&found)
		if err == nil && found == 0 {
			err = errNoBase
		}
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO snapshots (`+snapshotColumns+`)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.Owner, int64(r.Position), r.uuid, r.FoldVersion, r.chain[:],
		r.encoding, r.count, r.parts, r.checksum[:], basePosition, baseChecksum)
	return err
}

const snapshotColumns = `owner, position, file_uuid, fold_version, chain, encoding, count, parts, checksum, base_position, base_checksum`

// snapshotRows are the rows of an owner up to a position, newest first. With an error come those that could be read
// before it.
func snapshotRows(ctx context.Context, tx storage.Tx, owner string, until Position) (found []snapshotRow, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+snapshotColumns+` FROM snapshots
		WHERE owner = ? AND position <= ? ORDER BY position DESC`, owner, int64(until))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r snapshotRow
		var c, sum, baseSum []byte
		var base sql.NullInt64
		if err := rows.Scan(&r.Owner, &r.Position, &r.uuid, &r.FoldVersion, &c, &r.encoding, &r.count, &r.parts,
			&sum, &base, &baseSum); err != nil {
			return found, misread(err)
		}
		copy(r.chain[:], c)
		copy(r.checksum[:], sum)
		r.delta = base.Valid || baseSum != nil
		r.base.position = Position(base.Int64)
		copy(r.base.checksum[:], baseSum)
		found = append(found, r)
	}
	return found, rows.Err()
}

// layers are the snapshots whose bodies make up this one, found among those of its owner, newest first: itself, or its
// base and itself.
func (r *snapshotRow) layers(rows []snapshotRow) ([]*snapshotRow, error) {
	if !r.delta {
		return []*snapshotRow{r}, nil
	}
	i := slices.IndexFunc(rows, func(b snapshotRow) bool { return b.Position == r.base.position })
	switch {
	case i < 0:
		return nil, fmt.Errorf("its base, the one at position %d, is missing", r.base.position)
	case rows[i].delta || rows[i].checksum != r.base.checksum:
		return nil, fmt.Errorf("its base, the one at position %d, is not the one that it was made from", r.base.position)
	}
	return []*snapshotRow{&rows[i], r}, nil
}

// of says of an error whether it concerns the snapshot itself, or its base.
func (r *snapshotRow) of(of *snapshotRow, err error) error {
	if err != nil && r != of {
		return fmt.Errorf("its base, the one at position %d: %w", r.Position, err)
	}
	return err
}

// check says why the snapshot cannot stand for the fold of this log at its position, before bodies are read. layers are its
// own.
func (r *snapshotRow) check(ctx context.Context, tx storage.Tx, layers []*snapshotRow, foldVersion int) error {
	uuid, err := fileUUID(ctx, tx)
	if err != nil {
		return err
	}
	for _, layer := range layers {
		err := layer.checkOrigin(uuid)
		if err == nil && layer.FoldVersion != foldVersion {
			err = fmt.Errorf("it was made by version %d of the fold, and this is version %d", layer.FoldVersion, foldVersion)
		}
		if err != nil {
			return layer.of(r, err)
		}
	}
	// The log up to what it starts from is a part of that; some of it may have been removed.
	c, err := chainAt(ctx, tx, r.Position)
	if errors.Is(err, ErrCorrupt) {
		if kept, unread := readBase(ctx, tx); unread == nil && r.Position < kept.position {
			return fmt.Errorf("%w: the log up to it is gone; only later snapshots start from it", ErrCompacted)
		}
	}
	if err != nil {
		return err
	}
	if c != r.chain {
		return errors.New("the log up to it is not the one that it was made from")
	}
	return nil
}

// checkOrigin checks what needs neither the log nor the body.
func (r *snapshotRow) checkOrigin(uuid []byte) error {
	switch {
	case !bytes.Equal(uuid, r.uuid):
		return errors.New("it belongs to another file")
	case r.encoding != snapshotFrames && (r.encoding != snapshotStream || r.delta):
		return fmt.Errorf("encoding %d is not known to this version", r.encoding)
	}
	return nil
}

// readLayers gives the parts of the layers to load, and says what is wrong with them or what load has against them.
func readLayers(ctx context.Context, tx storage.Tx, layers []*snapshotRow, load func(iter.Seq2[SnapshotPart, error]) error) error {
	seen := make([]atomic.Int64, len(layers))
	last := layers[len(layers)-1]
	var failed error
	err := load(func(yield func(SnapshotPart, error) bool) {
		for i, layer := range layers {
			goOn := true
			err := layer.readParts(ctx, tx, func(body []byte) bool {
				goOn = yield(SnapshotPart{Delta: layer.delta, encoding: layer.encoding, body: body, seen: &seen[i]}, nil)
				return goOn
			})
			if failed = layer.of(last, err); failed != nil {
				yield(SnapshotPart{}, failed)
				return
			}
			if !goOn {
				return
			}
		}
	})
	if failed != nil { // load may have met its consequences
		return failed
	}
	if err != nil {
		return err
	}
	for i, layer := range layers {
		if n := seen[i].Load(); n != layer.count {
			return layer.of(last, fmt.Errorf("it has %d records instead of %d", n, layer.count))
		}
	}
	return nil
}

// readParts yields the snapshot's parts and checks that they are what was written.
func (r *snapshotRow) readParts(ctx context.Context, tx storage.Tx, yield func(body []byte) bool) (err error) {
	rows, err := tx.QueryContext(ctx, `SELECT CASE WHEN length(body) <= ? THEN body END FROM snapshot_parts
		WHERE owner = ? AND position = ? ORDER BY part`, maxFrame, r.Owner, int64(r.Position))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	sum := r.hash()
	var stream []byte
	for rows.Next() {
		var part []byte
		if err := rows.Scan(&part); err != nil {
			return err
		}
		sum.Write(part)
		switch {
		case r.encoding == snapshotStream:
			stream = append(stream, part...)
		case !yield(part):
			return nil
		}
	}
	switch {
	case rows.Err() != nil:
		return rows.Err()
	case [sha256.Size]byte(sum.Sum(nil)) != r.checksum:
		return errors.New("its checksum does not fit")
	case r.encoding == snapshotStream:
		yield(stream)
	}
	return nil
}
