package eventstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// InspectOptions say how [Store.Inspect] goes about it. The zero value walks as fast as it can, compares no fold and
// tells nobody.
type InspectOptions struct {
	// Projectors are fresh ones, which belong to the inspection from here on: they fold the log as it is walked, and each
	// that is a [SnapshotSource] is compared with the snapshots of its name. They are given no transaction, so none may
	// keep tables.
	Projectors []Projector
	// Found is called with each finding, in the order in which they are found; nil means that they are only counted.
	Found func(Finding)
	// Progress is called every now and then with the position up to which everything was looked at, and the last one;
	// nil means nobody wants to know. last is MaxPosition where the log's end cannot be read.
	Progress func(done, last Position)
	// Rest is how many times as long as it works the inspection rests, so that it takes one part in Rest+1 of a
	// processor; 0 means that it does not rest.
	Rest int
}

// Inspection says what [Store.Inspect] looked at.
type Inspection struct {
	// Last is the position up to which the log was walked: its end when the walk began, or the last position that could be
	// read where that could not.
	Last Position
	// Removed is the position up to which events have been removed, on purpose: the walk began behind it. What took their
	// place are snapshots, which cannot be compared with anything.
	Removed Position
	// Events are those that could be read, Sealed and Unsealed the segments that they are in.
	Events           uint64
	Sealed, Unsealed int
	// Snapshots were checked; Compared are those of them that were compared with the fold of the log as well. The others
	// are of other versions of a fold, of projectors that were not given, or lie behind a damage.
	Snapshots, Compared int
	// Findings is the number of things that are wrong.
	Findings int
	// Took is how long it took, rest included.
	Took time.Duration
}

// Inspect walks everything that is stored, from the first position to the head at the time of the call: every segment's
// checksum, contents, order and chain; every event's payload; every sealed segment's filter; every snapshot's checksum,
// origin, base and contents. It goes on behind a damage and reports everything that does not fit. An error means that
// it could not go on: that of the context, [ErrClosed], or one of the database.
//
// The store need not be started, so that a log that no projector can be started on can be looked at. Appends, sealing and
// snapshots may go on meanwhile; what they add or replace is no finding. It holds no transaction open while it works,
// and keeps no more in memory than a page of segments, a snapshot and the projectors' folds.
func (s *Store) Inspect(ctx context.Context, opts InspectOptions) (Inspection, error) {
	v := newInspector(s, opts)
	began := time.Now()
	err := v.walk(ctx)
	v.result.Took = time.Since(began)
	if err != nil {
		return v.result, orContext(ctx, s.orClosed(err))
	}
	return v.result, nil
}

// maxVerifyErrors is the number of findings that the error of Verify names.
const maxVerifyErrors = 100

// Verify is [Store.Inspect] for who wants to know just whether everything is what was written, and compares the
// snapshots of fresh projectors with their fold. The findings come joined into one error, which matches [ErrCorrupt].
func (s *Store) Verify(ctx context.Context, fresh ...Projector) error {
	var found []error
	result, err := s.Inspect(ctx, InspectOptions{Projectors: fresh, Found: func(f Finding) {
		if len(found) < maxVerifyErrors {
			found = append(found, f.Err())
		}
	}})
	if more := result.Findings - len(found); more > 0 {
		found = append(found, fmt.Errorf("%w: and %d findings more", ErrCorrupt, more))
	}
	return errors.Join(append(found, err)...)
}
