package eventstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/storage"
)

// Salvaged says what [Store.Salvage] has saved.
type Salvaged struct {
	// Events were saved, of the positions up to Last, from 1 on or from where those begin that have not been removed; the
	// others are lost.
	Events uint64
	Last   Position
	// Lost are the positions that could not be saved, with their times and entities as far as those are known.
	Lost []Finding
	// Cursors and Keys were saved; LostCursors and LostKeys were not, because they were damaged, or because an event of the
	// key's append is lost. Of a cursor or a key whose row cannot even be read nothing is known.
	Cursors, Keys, LostCursors, LostKeys int
	// SetBack are the consumers whose cursors were behind Last, and are at Last now: they go on with whatever comes next.
	SetBack []string
}

// isLost says that an event of a span was not saved. There may be many keys and many gaps, which are in the order of positions.
func (s *Salvaged) isLost(span Span) bool {
	if span.Last > s.Last {
		return true
	}
	i, _ := slices.BinarySearchFunc(s.Lost, span.First, func(f Finding, at Position) int { return cmp.Compare(f.Last, at) })
	return i < len(s.Lost) && s.Lost[i].First <= span.Last
}

// What the log itself says of a repair, as the words of system events.
const (
	// whatLost is at each position of which the event could not be saved.
	whatLost = "lost"
	// whatRepaired follows the last event that was saved.
	whatRepaired = "repaired"
)

// Salvage copies everything that can be read of the log into an empty one, which becomes a log of its own: with its own
// uuid, from which its chain is computed anew, so that what was said of positions behind the end of the old one is said
// of another log. Events keep their positions and everything else. Where one is lost, its position holds the event
// system{lost}; behind the last one that was saved follows system{repaired}, which says of what log this one comes.
//
// The store must not have been started; it is inspected on the way, and the findings are told as [Store.Inspect] does. The
// error is one of those of Inspect, or one of writing: then the new log is not complete and must not be used.
func (s *Store) Salvage(ctx context.Context, into *Store, opts InspectOptions) (Salvaged, error) {
	v := &salvager{from: s, into: into, chain: genesis(into.uuid)}
	tell := opts.Found
	opts.Found = func(f Finding) {
		v.findings = append(v.findings, f)
		if tell != nil {
			tell(f)
		}
	}
	i := newInspector(s, opts)
	i.salvager = v
	err := i.walk(ctx)
	if err == nil {
		err = v.finish(ctx, i.until)
	}
	return v.result, orContext(ctx, err)
}

// salvager writes what an inspection finds whole into another log.
type salvager struct {
	from, into *Store
	result     Salvaged
	findings   []Finding

	entries  []entry // that are not written yet, the first of which follows last
	size     int
	last     Position // that is written
	recorded int64
	chain    chain // after last
	chains   []chain

	// captures are what the removed events come to, in a log of which some have been removed.
	captures []Capture

	// held is a damaged segment whose events may be proved to be what was written by the segment behind it.
	held *heldSegment
}

// heldSegment is a segment whose checksum does not fit, although its events can be decoded.
type heldSegment struct {
	first, last Position
	entries     []entry
	// behind are the values that the chain has behind it if the events are what was written.
	behind []chain
}

// rebase begins the new log where the old one begins, events before which have been removed. The folds of these are what the
// snapshots there say; where one cannot be used, those events count as lost.
func (v *salvager) rebase(ctx context.Context, b *base, folds []*refold) error {
	if v.next() != 1 {
		return nil
	}
	tx, err := v.into.db.Writer().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left to roll back after the commit
	if err := b.write(ctx, tx); err != nil {
		return err
	}
	for _, f := range folds {
		if source, ok := f.projector.(SnapshotSource); ok {
			v.captures = append(v.captures, source.Capture())
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	v.into.moveBase(b)
	v.last, v.chain = b.first-1, b.before
	return nil
}

// next is the position that is to be saved next.
func (v *salvager) next() Position { return v.last + Position(len(v.entries)) + 1 }

// segment saves what the run has behind what was saved. before is the chain's value before it that fits, nil if none does.
func (v *salvager) segment(ctx context.Context, r *run, before *chain) error {
	if held := v.held; held != nil {
		v.held = nil
		if before != nil && held.last+1 == r.segment.first && slices.Contains(held.behind, *before) {
			if err := v.save(ctx, held.first, held.entries); err != nil {
				return err
			}
		}
	}
	return v.save(ctx, r.segment.first, v.copied(r))
}

// hold keeps a damaged segment until the next one tells whether it is what was written. proven says that its own chain value
// does.
func (v *salvager) hold(ctx context.Context, r *run, behind []chain, proven bool) error {
	v.held = nil
	entries := v.copied(r)
	if proven {
		return v.save(ctx, r.segment.first, entries)
	}
	v.held = &heldSegment{first: r.segment.first, last: r.segment.last, entries: entries, behind: behind}
	return nil
}

// copied are the events of a run, in memory of their own. One that cannot be decoded has no source.
func (v *salvager) copied(r *run) []entry {
	entries := make([]entry, len(r.records))
	for i, rec := range r.records {
		rec.payload = slices.Clone(rec.payload)
		entries[i] = entry{r.recorded[i], rec}
		if _, err := r.event(i); err != nil {
			entries[i].payload = nil
		}
	}
	return entries
}

// save saves events from a position on, and fills what is missing before them.
func (v *salvager) save(ctx context.Context, first Position, entries []entry) error {
	if err := v.fill(ctx, first); err != nil {
		return err
	}
	if skip := v.next() - first; skip < Position(len(entries)) {
		entries = entries[skip:]
	} else {
		return nil // it overlaps what is saved
	}
	for _, e := range entries {
		if e.payload == nil {
			if err := v.fill(ctx, v.next()+1); err != nil {
				return err
			}
			continue
		}
		v.result.Events++
		if err := v.add(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// fill puts system{lost} in the place of the events before a position.
func (v *salvager) fill(ctx context.Context, until Position) error {
	if v.next() >= until {
		return nil
	}
	v.lost(v.next(), until-1)
	detail := "this event could not be saved when log " + v.from.UUID() + " was repaired"
	for v.next() < until {
		if err := v.addSystem(ctx, v.recorded, whatLost, detail); err != nil {
			return err
		}
	}
	return nil
}

// lost notes that positions are lost, with what the findings know of them.
func (v *salvager) lost(first, last Position) {
	f := Finding{Kind: FindingGap, First: first, Last: last, Problem: errors.New("it cannot be saved")}
	for _, found := range v.findings {
		if found.Kind == FindingSnapshot || found.Kind == FindingFilter || found.Kind == FindingFile ||
			found.Last < first || found.First > last {
			continue
		}
		if f.RecordedFrom.IsZero() || !found.RecordedFrom.IsZero() && found.RecordedFrom.Before(f.RecordedFrom) {
			f.RecordedFrom = found.RecordedFrom
		}
		if found.RecordedTo.After(f.RecordedTo) {
			f.RecordedTo = found.RecordedTo
		}
		f.Entities = append(f.Entities, found.Entities...)
	}
	slices.Sort(f.Entities)
	f.Entities = slices.Compact(f.Entities)
	if n := len(v.result.Lost); n > 0 && v.result.Lost[n-1].Last+1 == first && len(f.Entities) == 0 && len(v.result.Lost[n-1].Entities) == 0 {
		v.result.Lost[n-1].Last = last
		return
	}
	v.result.Lost = append(v.result.Lost, f)
}

func (v *salvager) addSystem(ctx context.Context, recorded int64, what, detail string) error {
	e := Event{Source: "statehouse", Payload: &eventv1.Payload{
		Kind: &eventv1.Payload_System{System: &eventv1.System{What: what, Subject: "log", Detail: detail}},
	}}
	raw, _, err := encodeRecord(nil, &e, 0, 0)
	if err != nil {
		return err
	}
	r, err := decodeRecord(raw, newNames())
	if err != nil {
		return err
	}
	return v.add(ctx, entry{recorded, r})
}

// add adds the next event.
func (v *salvager) add(ctx context.Context, e entry) error {
	e.recorded = max(e.recorded, v.recorded) // one before it may lie about its time
	at, before := v.next(), v.chain
	if n := len(v.chains); n > 0 {
		before = v.chains[n-1]
	}
	v.entries, v.chains = append(v.entries, e), append(v.chains, before.next(at, e.recorded, sha256.Sum256(e.append(nil))))
	v.recorded = e.recorded
	if v.size += len(e.payload); len(v.entries) >= sealedEvents || v.size >= sealedBytes {
		return v.write(ctx)
	}
	return nil
}

// write writes what there is as a sealed segment.
func (v *salvager) write(ctx context.Context) error {
	if len(v.entries) == 0 {
		return ctx.Err()
	}
	end := v.chains[len(v.chains)-1]
	sealed, entities, err := sealSegment(v.last+1, v.entries, end)
	if err != nil {
		return err
	}
	p := sealable{sealed: []*segment{sealed}, filters: []filter{newFilter(sealed.last, entities)}}
	tx, err := v.into.db.Writer().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := p.insert(ctx, tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	v.last, v.chain = sealed.last, end
	v.entries, v.chains, v.size = v.entries[:0], v.chains[:0], 0
	return nil
}

// finish writes the end of the new log, and what is beside it. end is where the old one ended, MaxPosition where that is not
// known.
func (v *salvager) finish(ctx context.Context, end Position) error {
	v.result.Last = v.next() - 1
	if end == MaxPosition {
		end = 0
	}
	if a, found, _, err := readAnchor(v.from.db.Beside(storage.AnchorSuffix)); err == nil && found && bytes.Equal(a.uuid, v.from.uuid) {
		end = max(end, a.position)
	}
	if end > v.result.Last { // their positions are given to others, in a log of another name
		v.lost(v.result.Last+1, end)
	}
	detail := fmt.Sprintf("%d events of log %s were saved, up to position %d; %d findings, of which %d are lost",
		v.result.Events, v.from.UUID(), v.result.Last, len(v.findings), len(v.result.Lost))
	now := time.Time.UnixNano(v.from.opts.Clock().Truncate(time.Microsecond))
	if err := errors.Join(v.addSystem(ctx, max(now, v.recorded), whatRepaired, detail), v.write(ctx)); err != nil {
		return err
	}
	if err := v.saveCaptures(ctx); err != nil {
		return err
	}
	if err := v.saveCursors(ctx); err != nil {
		return err
	}
	return v.saveKeys(ctx)
}

// saveCaptures writes the snapshots without which a log of which events have been removed cannot be folded.
func (v *salvager) saveCaptures(ctx context.Context) error {
	if len(v.captures) == 0 {
		return nil
	}
	tx, err := v.into.db.Writer().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, c := range v.captures {
		if err := WriteCapture(ctx, tx, c); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// saveCursors copies the cursors. One that is behind the end of what was saved is set back to it: what comes next is new to
// its consumer.
func (v *salvager) saveCursors(ctx context.Context) error {
	return v.saveRows(ctx, `SELECT name, position, stored, checksum FROM cursors WHERE name <> '' ORDER BY name`, &v.result.LostCursors,
		func(tx storage.Tx, scan func(...any) error) (bool, error) {
			var name string
			var at, stored, sum int64
			if err := scan(&name, &at, &stored, &sum); err != nil || sum != storage.RowSum(name, at, stored) {
				return false, nil //nolint:nilerr // that is what it is lost for
			}
			if Position(at) > v.result.Last {
				at = int64(v.result.Last)
				v.result.SetBack = append(v.result.SetBack, name)
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO cursors (name, position, stored, checksum) VALUES (?, ?, ?, ?)`,
				name, at, stored, storage.RowSum(name, at, stored))
			if err == nil {
				err = countCursors(ctx, tx)
			}
			v.result.Cursors++
			return true, err
		})
}

// saveKeys copies the keys whose events were all saved. The repeat of an append that has lost one adds all of them again: it is
// better to have an event twice than not at all.
func (v *salvager) saveKeys(ctx context.Context) error {
	return v.saveRows(ctx, `SELECT scope, key, hash, first_position, last_position, recorded, checksum FROM append_keys ORDER BY id`,
		&v.result.LostKeys, func(tx storage.Tx, scan func(...any) error) (bool, error) {
			var k Key
			var hash []byte
			var span Span
			var recorded, sum int64
			err := scan(&k.Scope, &k.ID, &hash, &span.First, &span.Last, &recorded, &sum)
			if err != nil || sum != keySum(k, hash, span, recorded) || v.result.isLost(span) {
				return false, nil //nolint:nilerr // that is what it is lost for
			}
			if hash == nil { // that of a decision is empty, and is read as nil
				hash = []byte{}
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO append_keys (scope, key, hash, first_position, last_position, recorded, checksum)
				VALUES (?, ?, ?, ?, ?, ?, ?)`, k.Scope, k.ID, hash, int64(span.First), int64(span.Last), recorded, sum)
			v.result.Keys++
			return true, err
		})
}

// saveRows hands each row of a query to save, which says whether it was saved, and counts those that were not. Rows that
// cannot be read end it.
func (v *salvager) saveRows(ctx context.Context, query string, lost *int, save func(storage.Tx, func(...any) error) (bool, error)) error {
	tx, err := v.into.db.Writer().BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing is left to roll back after the commit
	rows, err := v.from.db.Reader().QueryContext(ctx, query)
	if err == nil {
		defer func() { _ = rows.Close() }() // what it could say, Err has said
		for rows.Next() {
			saved, err := save(tx, rows.Scan)
			if err != nil {
				return err
			}
			if !saved {
				*lost++
			}
		}
		err = rows.Err()
	}
	if err != nil && !isDamage(err) {
		return err
	}
	return tx.Commit()
}
