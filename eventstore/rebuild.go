package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/statehouse/statehouse/storage"
)

// Rebuilder is a [Projector] with everything in memory, which can be built anew from the log while the store goes on.
type Rebuilder interface {
	Projector
	// Fresh returns another projector of the same kind that has nothing and is at position 0. Its Apply, and what else
	// it is given events by, gets no transaction: tx is nil.
	Fresh() Projector
	// Adopt takes what a projector of Fresh has promoted, which is the fold of the same events, in place of what it has
	// promoted itself, at once. Nothing is pending in either. The other one is not used any more.
	Adopt(fresh Projector)
}

// rebuildRest is the number of events that may be left for the writer's turn.
const rebuildRest = 2048

// Rebuild folds the whole log anew into a projector, by its name, or what is left of it behind a snapshot, and replaces what it has by the result. The log is
// read and folded beside the writer; only the last events are folded in the writer's turn, so that appends go on, and
// readers see what they have seen until the new one takes its place. An error leaves everything as it was:
// [ErrInvalid] where no projector has that name, or where it is no [Rebuilder]. One with tables of its own cannot be
// one, since only the writer may change them: it is rebuilt at the next start, when its Restore says that it has
// nothing.
func (s *Store) Rebuild(ctx context.Context, name string) error {
	if s.head.Load() == nil {
		return errNotStarted
	}
	old, err := s.rebuilder(name)
	if err != nil {
		return err
	}
	if err := s.contained("projector "+name, func() error { return s.rebuild(ctx, old) }); err != nil {
		return fmt.Errorf("rebuild projector %s: %w", name, err)
	}
	return nil
}

func (s *Store) rebuilder(name string) (Rebuilder, error) {
	for _, p := range s.projectors {
		if p.Name() != name {
			continue
		}
		r, ok := p.(Rebuilder)
		if !ok {
			return nil, fmt.Errorf("%w: projector %s cannot be rebuilt while the store goes on; it is at a start, "+
				"when its Restore says 0", ErrInvalid, name)
		}
		return r, nil
	}
	return nil, fmt.Errorf("%w: there is no projector named %q", ErrInvalid, name)
}

func (s *Store) rebuild(ctx context.Context, old Rebuilder) error {
	fresh := old.Fresh()
	f := &folding{projectors: projectors{fresh}, head: head{chain: genesis(s.uuid)}}
	if b := s.base.Load(); b.position > 0 {
		f.head = head{position: b.position, recorded: b.recorded, chain: b.chain}
		if err := s.restoreAt(ctx, fresh, b.position); err != nil {
			return err
		}
	}
	for until := s.Head(); f.head.position+rebuildRest < until; until = s.Head() {
		if err := s.foldUntil(ctx, f, until); err != nil {
			return s.orClosed(err)
		}
	}
	return s.inTurn(ctx, func(w *writer, ctx context.Context) error {
		if err := w.ready(ctx); err != nil {
			return err
		}
		if err := s.foldUntil(ctx, f, w.head.position); err != nil {
			return err
		}
		if err := f.projectors.folded(); err != nil {
			return err
		}
		f.projectors.promote()
		old.Adopt(fresh)
		w.promote() // for those that join others
		return nil
	})
}

// restoreAt restores a fresh projector to its snapshot at a position.
func (s *Store) restoreAt(ctx context.Context, p Projector, at Position) error {
	r, ok := p.(SnapshotRestorer)
	if !ok {
		return fmt.Errorf("projector %s cannot restore the snapshot at position %d, before which nothing is left: %w", p.Name(), at, s.kept(0))
	}
	return s.View(ctx, func(tx storage.Tx) error {
		switch got, err := r.RestoreUntil(ctx, tx, at); {
		case err != nil:
			return err
		case got != at:
			err := fmt.Errorf("%w: projector %s has no usable snapshot at position %d, before which nothing is left", ErrCorrupt, p.Name(), at)
			if f, ok := p.(SnapshotFaults); ok {
				err = errors.Join(append([]error{err}, f.SnapshotFaults()...)...)
			}
			return err
		}
		return nil
	})
}

// foldUntil folds the log up to the end of the segment that holds a position, without a transaction. That is beyond the
// position only where what followed it has been sealed since, which happens to what is promoted.
func (s *Store) foldUntil(ctx context.Context, f *folding, until Position) error {
	if f.head.position >= until {
		return nil
	}
	before, err := f.chainBefore(ctx, s.db.Reader())
	if err != nil {
		return err
	}
	for p, err := range openAhead(ctx, s.db.Reader(), stretch{f.head.position + 1, until, &before, newNames()}) {
		if err != nil {
			return err
		}
		for i := range p.segments {
			if err := f.segment(ctx, &p.segments[i], p.runs[i]); err != nil {
				return err
			}
		}
		p.checking.Wait()
		if p.chained != nil {
			return p.chained
		}
	}
	if f.head.position < until {
		return fmt.Errorf("%w: it ends at position %d instead of %d", ErrCorrupt, f.head.position, until)
	}
	return nil
}
