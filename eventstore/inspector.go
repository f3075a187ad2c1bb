package eventstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/storage"
)

// inspector is the state of [Store.Inspect]: how far it has come, and what it knows there.
type inspector struct {
	s      *Store
	opts   InspectOptions
	until  Position // the end of the log; MaxPosition where that cannot be read
	run    *run
	folds  []*refold
	result Inspection
	// resumed is when it last rested.
	resumed time.Time

	// after is the position up to which everything was looked at.
	after Position
	// before are the values that the chain may have there: one, unless the segment before is damaged; none where nothing
	// can be said.
	before []chain
	// recorded is when the event there was recorded, where known.
	recorded   int64
	isRecorded bool
	// snapshots are those that are not looked at yet, by position, of all up to the position listed, which is -1 at first.
	snapshots []snapshotRow
	listed    int64
	// unusable are the snapshots that were reported, which deltas may start from.
	unusable map[snapshotPlace]bool
	// unfiltered says that it was reported that filters cannot be read.
	unfiltered bool
	// salvager is told what is whole; nil where nobody wants it.
	salvager *salvager
	// limit is the position up to which to walk, 0 for all of the log.
	limit Position
	// begins is the base of the log when the walk began: what attests it is before the end of the log then.
	begins *base
	// attested are the last events removed that an event attests.
	attested *eventv1.HistoryRemoved
}

func newInspector(s *Store, opts InspectOptions) *inspector {
	v := &inspector{s: s, opts: opts, run: newRun(), before: []chain{genesis(s.uuid)}, resumed: time.Now(), listed: -1,
		unusable: map[snapshotPlace]bool{}}
	for _, p := range opts.Projectors {
		v.folds = append(v.folds, &refold{projector: p})
	}
	return v
}

// found counts and tells a finding.
func (v *inspector) found(f Finding) {
	v.result.Findings++
	if v.opts.Found != nil {
		v.opts.Found(f)
	}
}

// about is the beginning of a finding about a segment.
func about(kind FindingKind, s *segment, problem error) Finding {
	return Finding{
		Kind: kind, First: s.first, Last: s.last,
		RecordedFrom: time.Unix(0, s.firstRecorded).UTC(), RecordedTo: time.Unix(0, s.lastRecorded).UTC(), Problem: problem,
	}
}

// cause is the error that segment.damaged was given, without the words about where that is.
func cause(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && errors.Is(err, ErrCorrupt) {
		all := joined.Unwrap()
		return all[len(all)-1]
	}
	return err
}

// isDamage says that an error of a read is about what is stored there, and not about the reading.
func isDamage(err error) bool { return storage.IsDamage(err) || errors.Is(err, ErrCorrupt) }

// orCorrupt is an error that matches ErrCorrupt if it is damage, also where SQLite found that.
func orCorrupt(err error) error {
	if isDamage(err) && !errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// walk looks at everything.
func (v *inspector) walk(ctx context.Context) error {
	if err := v.findEnd(ctx); err != nil {
		return err
	}
	for v.after < v.until {
		if err := v.rebase(ctx); err != nil {
			return err
		}
		segments, err := v.page(ctx)
		if b := v.s.base.Load(); v.after+1 < b.first {
			continue // it has been removed meanwhile
		}
		if isDamage(err) {
			if err := v.skip(ctx, err); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if len(segments) == 0 {
			v.missing(v.until, 0, false)
			break
		}
		for i := range segments {
			if err := v.segment(ctx, &segments[i]); err != nil {
				return err
			}
			if err := v.pause(ctx); err != nil {
				return err
			}
		}
	}
	if v.limit > 0 {
		return nil
	}
	if err := v.attest(ctx); err != nil {
		return err
	}
	if err := v.beyond(ctx); err != nil {
		return err
	}
	return v.file(ctx)
}

// rebase goes to where the log begins, if events have been removed that it has not come to.
func (v *inspector) rebase(ctx context.Context) error {
	b := v.s.base.Load()
	if v.after+1 >= b.first {
		return nil
	}
	var damage []Finding
	for _, f := range v.folds {
		projectors{f.projector}.discard()
		f.from, f.at, f.lost = b.position, b.position, false
		if err := v.s.restoreAt(ctx, f.projector, b.position); isDamage(err) || errors.Is(err, ErrCompacted) {
			damage = append(damage, Finding{Kind: FindingSnapshot, First: b.position, Last: b.position, Owner: f.projector.Name(), Problem: cause(err)})
			f.lost = true
		} else if err != nil {
			return err
		}
	}
	if len(damage) > 0 { // or the base has moved on, and its snapshots with it
		if err := v.s.loadBase(ctx, v.s.db.Reader()); err != nil {
			return err
		}
		if v.s.base.Load() != b {
			return v.rebase(ctx)
		}
	}
	for _, f := range damage {
		v.found(f)
	}
	if v.salvager != nil && len(damage) == 0 {
		if err := v.salvager.rebase(ctx, b, v.folds); err != nil {
			return err
		}
	}
	v.after, v.before, v.recorded, v.isRecorded = b.first-1, []chain{b.before}, 0, false
	v.result.Removed = b.position
	return nil
}

// attest checks that an event attests what has been removed.
func (v *inspector) attest(ctx context.Context) error {
	b := v.begins
	if b.position == 0 || v.attests(b) {
		return nil
	}
	// It may be behind the end of the walk, if that began when it was just being committed.
	end, err := lastPosition(ctx, v.s.db.Reader())
	for at := v.until; err == nil && at < end; {
		var s segment
		if s, err = segmentWith(ctx, v.s.db.Reader(), at+1); err == nil {
			err = v.run.open(&s, nil)
		}
		if err == nil {
			at = s.last
			v.payloads()
		}
	}
	if err != nil && !isDamage(err) {
		return err
	}
	if !v.attests(b) && v.s.base.Load() == b { // else what attested it has been removed with the rest
		v.found(Finding{Kind: FindingGap, First: 1, Last: b.position, RecordedTo: time.Unix(0, b.recorded).UTC(),
			Problem: errors.New("no event says that they were removed")})
	}
	return nil
}

// attests says that the last event about removed ones is about those up to a base.
func (v *inspector) attests(b *base) bool {
	a := v.attested
	return a.GetThrough() == uint64(b.position) && a.GetRecorded() == b.recorded && bytes.Equal(a.GetChain(), b.chain[:])
}

// findEnd finds out how far to walk.
func (v *inspector) findEnd(ctx context.Context) error {
	v.begins = v.s.base.Load()
	v.until = v.s.Head()
	if v.limit > 0 {
		v.until = v.limit
	} else if v.s.head.Load() == nil { // it was not started
		last, err := lastPosition(ctx, v.s.db.Reader())
		if isDamage(err) {
			last, err = MaxPosition, nil
		}
		if err != nil {
			return err
		}
		v.until = last
	}
	if v.until != MaxPosition {
		v.result.Last = v.until
	}
	return nil
}

// pause tells how far it is, and rests for what it has worked since it rested last.
func (v *inspector) pause(ctx context.Context) error {
	if v.opts.Progress != nil {
		v.opts.Progress(min(v.after, v.until), v.until)
	}
	const least = 5 * time.Millisecond // a timer is not good for less
	if worked := time.Since(v.resumed); v.opts.Rest > 0 && worked >= least {
		select {
		case <-time.After(time.Duration(v.opts.Rest) * worked):
		case <-ctx.Done():
		}
		v.resumed = time.Now()
	}
	return ctx.Err()
}

// missing reports that the positions behind v.after up to last are missing; recorded is when what is behind them was.
func (v *inspector) missing(last Position, recorded int64, isRecorded bool) {
	v.gap(Finding{Kind: FindingGap, Last: last, Problem: errors.New("they are missing")}, recorded, isRecorded)
}

// gap reports that nothing can be said of the positions behind v.after up to f.Last, and moves behind them.
func (v *inspector) gap(f Finding, recorded int64, isRecorded bool) {
	f.First = v.after + 1
	if v.isRecorded {
		f.RecordedFrom = time.Unix(0, v.recorded).UTC()
	}
	if isRecorded {
		f.RecordedTo = time.Unix(0, recorded).UTC()
	}
	v.found(f)
	v.lose()
	v.after, v.before = f.Last, nil
}

// lose gives up the folds: events are missing that they would need.
func (v *inspector) lose() {
	for _, f := range v.folds {
		f.lost = true
	}
}

// segment looks at the next segment, its filter, and the snapshots up to its end.
func (v *inspector) segment(ctx context.Context, s *inspectedSegment) error {
	switch {
	case s.first > v.after+1 && s.first <= s.last:
		v.missing(s.first-1, s.firstRecorded, true)
	case s.first <= v.after && s.replaced == nil:
		v.found(about(FindingGap, &s.segment, fmt.Errorf("it overlaps the segment before it, which ends at position %d", v.after)))
		v.lose()
		v.before = nil
	}
	chains := map[Position]chain{}
	err := v.run.open(&s.segment, nil)
	if err != nil {
		if err := v.damaged(ctx, s, err); err != nil {
			return err
		}
		v.lose()
	} else {
		if v.isRecorded && s.firstRecorded < v.recorded && s.first > v.after {
			v.found(about(FindingSegment, &s.segment, fmt.Errorf("the one before it was recorded after it, at %s", formatNanos(v.recorded))))
		}
		before := v.follow(s, chains)
		v.payloads()
		if v.salvager != nil {
			if err := v.salvager.segment(ctx, v.run, before); err != nil {
				return err
			}
		}
		if s.encoding == encodingSealed {
			v.result.Sealed++
		} else {
			v.result.Unsealed++
		}
		v.filter(s)
		v.result.Events += uint64(s.last - max(v.after, s.first-1))
	}
	if v.until == MaxPosition {
		v.result.Last = s.last
	}
	if err := v.foldAndCompare(ctx, &s.segment, chains); err != nil {
		return err
	}
	v.after, v.recorded, v.isRecorded = max(v.after, s.last), s.lastRecorded, err == nil
	return nil
}

// damaged reports a segment that cannot be opened, and what can be guessed about it. The value of the chain behind it is
// the one that it holds or, if that is what is damaged, the one that follows from its events.
func (v *inspector) damaged(ctx context.Context, s *inspectedSegment, err error) (unsaved error) {
	f := about(FindingSegment, &s.segment, cause(err))
	guess := s.segment
	guess.body = slices.Clone(s.body)
	behind, proven := []chain{s.chain}, false
	if len(guess.body) >= 4 {
		guess.sum()
		if v.run.open(&guess, nil) == nil {
			f.Entities = v.run.entities()
			for _, c := range v.before {
				proven = v.run.chainFrom(c, func(_ int, next chain) { c = next }) == nil || proven
				behind = append(behind, c)
			}
			if v.salvager != nil {
				unsaved = v.salvager.hold(ctx, v.run, behind[1:], proven)
			}
		}
	}
	v.run.segment = nil // what it holds is a guess
	v.found(f)
	v.before = behind
	return unsaved
}

// follow checks that a segment follows from what is before it, and notes the chain's value at the snapshots in it. It returns
// the value before it, nil where there is none that it follows from.
func (v *inspector) follow(s *inspectedSegment, at map[Position]chain) (found *chain) {
	before := v.before
	if s.replaced != nil {
		before = []chain{*s.replaced}
	}
	var err error
	for _, c := range before {
		passed := true
		clear(at)
		err = v.run.chainFrom(c, func(i int, c chain) {
			p := v.run.position(i)
			if p == v.after && len(v.before) > 0 {
				passed = slices.Contains(v.before, c)
			}
			if slices.ContainsFunc(v.snapshots, func(r snapshotRow) bool { return r.Position == p }) {
				at[p] = c
			}
		})
		if err == nil && !passed {
			err = errors.New("it holds other events than the segments that it took the place of")
		}
		if err == nil {
			found = &c
			break
		}
	}
	if err != nil {
		clear(at)
		f := about(FindingChain, &s.segment, cause(err))
		f.Entities = v.run.entities()
		v.found(f)
		v.lose()
	}
	at[s.last] = s.chain
	v.before = []chain{s.chain}
	return found
}

// payloads decodes every event of the segment.
func (v *inspector) payloads() {
	for i := range v.run.records {
		e, err := v.run.event(i)
		if p := e.Payload.GetHistoryRemoved(); p != nil {
			v.attested = p
		}
		if err != nil {
			f := about(FindingEvent, v.run.segment, cause(err))
			f.First, f.Last = v.run.position(i), v.run.position(i)
			f.RecordedFrom = time.Unix(0, v.run.recorded[i]).UTC()
			f.RecordedTo = f.RecordedFrom
			if id := v.run.records[i].entity; id != "" {
				f.Entities = []string{id}
			}
			v.found(f)
			v.lose()
		}
	}
}

// filter checks that a segment has a filter exactly if it is sealed, and that the filter denies none of its entities.
func (v *inspector) filter(s *inspectedSegment) {
	report := func(problem string, entities []string) {
		f := about(FindingFilter, &s.segment, errors.New(problem))
		f.Entities = entities
		v.found(f)
	}
	switch {
	case s.unfiltered:
	case s.encoding != encodingSealed:
		if s.filter != nil {
			report("the segment is not sealed and should have none", nil)
		}
	case s.filter == nil:
		report("it is missing, so that every read of an entity's history opens the segment", nil)
	case !s.filter.intact(s.last):
		report("its checksum does not fit, so that every read of an entity's history opens the segment", nil)
	default:
		denied := map[string]bool{}
		for i := range v.run.records {
			if id := v.run.records[i].entity; !denied[id] && !s.filter.mayHold(s.last, []uint64{entityHash(id)}) {
				denied[id] = true
			}
		}
		if len(denied) > 0 {
			report("it says that they are not in the segment, so that reads of their history leave it out", slices.Sorted(maps.Keys(denied)))
		}
	}
}

// skip reports that what is behind v.after cannot be read, and moves behind it.
func (v *inspector) skip(ctx context.Context, problem error) error {
	next, err := v.readable(ctx)
	if err != nil {
		return err
	}
	f := Finding{Kind: FindingSegment, Last: v.until, Problem: fmt.Errorf("it cannot be read: %w", problem)}
	if next != nil && next.first > v.after+1 && next.first <= next.last {
		f.Last = next.first - 1 // the segments before it are on a page that cannot be read
	} else if next != nil {
		f.Last = max(next.last, v.after+1) // its own row cannot be read
	}
	f.Last = min(f.Last, v.until)
	v.gap(f, 0, false)
	return v.pause(ctx)
}

// readable is the first segment behind v.after whose positions can be read, nil where there is none.
//
// A damaged page hides the segments that are on it. Which those are nobody can say, so it asks for the segments behind
// positions that are further and further away, and then halves what lies between the last failure and the first success.
func (v *inspector) readable(ctx context.Context) (*segment, error) {
	var found *segment
	var high Position // asking behind high succeeds, behind low it fails
	low := v.after
	for step := Position(0); ; step = max(1, 2*step) {
		if high = v.until - 1; step < v.until-v.after {
			high = v.after + step
		}
		var err error
		if found, err = v.boundsBehind(ctx, high); err != nil {
			return nil, err
		}
		if found != nil {
			break
		}
		if low = high; low == v.until-1 {
			return nil, nil
		}
	}
	for low+1 < high {
		middle := low + (high-low)/2
		s, err := v.boundsBehind(ctx, middle)
		if err != nil {
			return nil, err
		}
		if s == nil {
			low = middle
		} else {
			high, found = middle, s
		}
	}
	return found, nil
}

// boundsBehind reads the bounds of the first segment that ends behind a position, nil where they cannot be read or
// there is none.
func (v *inspector) boundsBehind(ctx context.Context, at Position) (*segment, error) {
	var s segment
	// Not "> at": that would look for at itself, which may be on the damaged page before.
	err := v.s.db.Reader().QueryRowContext(ctx, `SELECT last_position, first_position FROM segments
		WHERE last_position >= ? ORDER BY last_position LIMIT 1`, int64(at+1)).Scan(&s.last, &s.first)
	if isDamage(misread(err)) || errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// entities are those that the run's events are about, sorted.
func (r *run) entities() []string {
	var ids []string
	for i := range r.records {
		if id := r.records[i].entity; id != "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
