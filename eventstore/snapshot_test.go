package eventstore_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// The projectors are saved after every so many events, and at the end if that many, or more than a thousand, follow.
func TestPeriodicSnapshots(t *testing.T) {
	for name, c := range map[string]struct {
		every, batches, size int
		within               eventstore.Position // the last one is fewer than so many events before the end; 0 for none at all
	}{
		"not yet":           {every: 10, batches: 9, size: 1},
		"just now":          {every: 10, batches: 10, size: 1, within: 10},
		"the second":        {every: 10, batches: 29, size: 1, within: 10},
		"in batches":        {every: 10, batches: 7, size: 4, within: 10},
		"a large batch":     {every: 10, batches: 1, size: 25, within: 10},
		"nothing to do":     {},
		"few at the end":    {batches: 4, size: 250},
		"many at the end":   {batches: 7, size: 143, within: 1},
		"few after another": {every: 500, batches: 14, size: 100, within: 500},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempDB(t)
			s, db := open(t, path, eventstore.Options{SnapshotEvery: c.every}, state.New())
			for i := range c.batches {
				batch := make([]eventstore.Event, c.size)
				for j := range batch {
					batch[j] = sensor(i*c.size + j)
				}
				mustAppend(t, s, batch...)
			}
			if err := errors.Join(s.Close(), db.Close()); err != nil {
				t.Fatal(err)
			}
			head := eventstore.Position(c.batches * c.size)
			saved := s.Stats().Snapshot
			if ok := saved > 0 && head-saved < c.within; ok != (c.within > 0) || saved > 0 && c.within == 0 {
				t.Errorf("it says that the snapshot is at %d of %d", saved, head)
			}
			cache := state.New()
			s, _ = open(t, path, eventstore.Options{SnapshotEvery: c.every}, cache)
			if r := s.Recovered(); r.Snapshot != saved || r.Position != head || r.Replayed != uint64(head-saved) || len(r.Faults) > 0 {
				t.Errorf("recovered %+v, want the snapshot at %d", r, saved)
			}
			if cache.Revision().Position != head {
				t.Errorf("the cache is at %d of %d", cache.Revision().Position, head)
			}
		})
	}
}

// fold is a projector that counts, in a version of its own.
type fold struct {
	version int
	at      eventstore.Position
	faults  []error
}

func (f *fold) Name() string { return "fold" }

func (f *fold) Apply(_ context.Context, _ storage.Tx, e eventstore.Event) error {
	f.at = e.Position
	return nil
}

func (f *fold) Snapshot(ctx context.Context, tx storage.Tx) error {
	h := eventstore.SnapshotHeader{Owner: f.Name(), FoldVersion: f.version, Position: f.at}
	return eventstore.WriteSnapshot(ctx, tx, h, func(yield func(proto.Message) bool) {
		yield(&entityv1.StateRecord{Position: uint64(f.at)})
	})
}

func (f *fold) Restore(ctx context.Context, tx storage.Tx) (uint64, error) {
	at, faults, err := eventstore.ReadSnapshot(ctx, tx, f.Name(), f.version, func(records iter.Seq2[[]byte, error]) error {
		for raw, err := range records {
			var r entityv1.StateRecord
			if err := errors.Join(err, proto.Unmarshal(raw, &r)); err != nil {
				return err
			}
			f.at = eventstore.Position(r.GetPosition())
		}
		return nil
	})
	f.faults = faults
	return uint64(at), err
}

func (f *fold) SnapshotFaults() []error { return f.faults }

// A snapshot of another version of the fold is skipped, which is reported, and the newest of this version is used.
func TestSnapshotsOfAnotherFold(t *testing.T) {
	path := tempDB(t)
	for i, c := range []struct {
		version  int
		snapshot eventstore.Position
		faults   int
	}{
		{version: 1}, {version: 2, faults: 1}, {version: 2, snapshot: 2}, {version: 1, snapshot: 1, faults: 2}, {version: 3, faults: 4},
	} {
		f := &fold{version: c.version}
		s, db := open(t, path, eventstore.Options{}, f)
		if r := s.Recovered(); r.Snapshot != c.snapshot || len(r.Faults) != c.faults {
			t.Errorf("start %d: recovered %+v, want %+v", i+1, r, c)
		}
		for _, fault := range s.Recovered().Faults {
			if !strings.Contains(fault.Error(), "version") || !strings.Contains(fault.Error(), "of the fold") {
				t.Errorf("start %d: the fault does not say what is wrong: %v", i+1, fault)
			}
		}
		if f.at != eventstore.Position(i) {
			t.Errorf("start %d: the fold is at %d", i+1, f.at)
		}
		mustAppend(t, s, sensor(i))
		if err := errors.Join(s.Snapshot(t.Context()), s.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// What is left of a snapshot that was not finished is removed by the next one, and is none meanwhile.
func TestUnfinishedSnapshotsAreRemoved(t *testing.T) {
	crash := &spy{name: "crash", apply: func(ctx context.Context, tx storage.Tx, e eventstore.Event) error {
		if e.Position != 1 {
			return nil
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO snapshot_parts (owner, position, part, body) VALUES ('state', 1, 0, x'00')`)
		return err
	}}
	cache := state.New()
	s, db := open(t, tempDB(t), eventstore.Options{}, cache, crash)
	mustAppend(t, s, sensor(1), sensor(2))
	fresh := state.New()
	err := s.View(t.Context(), func(tx storage.Tx) error {
		at, err := fresh.Restore(t.Context(), tx)
		if at != 0 {
			t.Errorf("a snapshot at %d", at)
		}
		return err
	})
	if err := errors.Join(err, s.Snapshot(t.Context())); err != nil {
		t.Fatal(err)
	}
	var positions, parts int
	if err := db.Reader().QueryRowContext(t.Context(), `SELECT min(position), count(*) FROM snapshot_parts`).
		Scan(&positions, &parts); err != nil || positions != 2 || parts != 1 {
		t.Errorf("%d parts from position %d, %v", parts, positions, err)
	}
	if err := s.Verify(t.Context(), state.New()); err != nil {
		t.Error(err)
	}
}
