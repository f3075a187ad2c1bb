package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/storage"
)

// register remembers the last position of each entity, by id.
type register struct {
	owner string
	at    Position
	last  map[string]Position
}

func (r *register) Name() string { return r.owner }

func (r *register) Apply(_ context.Context, _ storage.Tx, e Event) error {
	next := map[string]Position{e.Entity: e.Position}
	for id, p := range r.last {
		if id != e.Entity {
			next[id] = p
		}
	}
	r.at, r.last = e.Position, next
	return nil
}

func (r *register) Promote() {}
func (r *register) Discard() {}

func (r *register) Snapshot(ctx context.Context, tx storage.Tx) error {
	return WriteCapture(ctx, tx, r.Capture())
}

func (r *register) Restore(ctx context.Context, tx storage.Tx) (uint64, error) {
	at, _, err := ReadSnapshot(ctx, tx, r.owner, 1, func(records iter.Seq2[[]byte, error]) error {
		r.last = map[string]Position{}
		for raw, err := range records {
			var record entityv1.StateRecord
			if err == nil {
				err = proto.Unmarshal(raw, &record)
			}
			if err != nil {
				return err
			}
			r.last[record.GetEntityId()] = Position(record.GetPosition())
		}
		return nil
	})
	r.at = at
	return uint64(at), err
}

func (r *register) Capture() Capture { return registerCapture{*r} }

type registerCapture struct{ register }

func (c registerCapture) Header() SnapshotHeader {
	return SnapshotHeader{Owner: c.owner, FoldVersion: 1, Position: c.at}
}

func (c registerCapture) Records(giveWay func()) Records { return c.Delta(registerCapture{}, giveWay) }

func (c registerCapture) Delta(base Capture, _ func()) Records {
	var all []proto.Message
	for id, p := range c.last {
		if base.(registerCapture).last[id] != p {
			all = append(all, &entityv1.StateRecord{EntityId: id, Position: uint64(p)})
		}
	}
	slices.SortFunc(all, func(a, b proto.Message) int {
		return strings.Compare(a.(*entityv1.StateRecord).GetEntityId(), b.(*entityv1.StateRecord).GetEntityId())
	})
	return Records{Count: len(all), Message: func(i int) proto.Message { return all[i] }}
}

// savedLog is a log with a register, and what there is of its snapshots.
type savedLog struct {
	*testing.T
	db *storage.DB
	s  *Store
	r  *register
}

func openSaved(t *testing.T, path string) *savedLog {
	t.Helper()
	l := &savedLog{T: t, r: &register{owner: "register"}}
	var err error
	if l.db, err = storage.Open(t.Context(), path, storage.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.db.Close() })
	if l.s, err = Open(t.Context(), l.db, Options{SnapshotEvery: 1 << 30}); err == nil {
		err = l.s.Start(t.Context(), l.r)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.s.Close() })
	return l
}

// touch appends an event about each of the entities from..to-1.
func (l *savedLog) touch(from, to int) {
	l.Helper()
	var events []Event
	for i := from; i < to; i++ {
		events = append(events, Event{Entity: fmt.Sprintf("sensor.s%03d", i), Payload: &eventv1.Payload{
			Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}},
		}})
	}
	if _, err := l.s.Append(l.Context(), Batch{Events: events}); err != nil {
		l.Fatal(err)
	}
}

func (l *savedLog) save() {
	l.Helper()
	if err := l.s.Snapshot(l.Context()); err != nil {
		l.Fatal(err)
	}
}

// kinds are the snapshots, oldest first: "12" for a full one, "15-12" for a delta.
func (l *savedLog) kinds() string {
	l.Helper()
	all, err := l.s.Snapshots(l.Context(), map[string]int{"register": 1})
	if err != nil {
		l.Fatal(err)
	}
	var kinds []string
	for _, s := range all {
		kind := fmt.Sprint(s.Position)
		if s.Delta {
			kind += fmt.Sprint("-", s.Base)
		}
		if s.Fault != nil {
			kind += "!"
		}
		kinds = append(kinds, kind)
	}
	return strings.Join(kinds, " ")
}

// A snapshot is a delta on the last full one, unless half has changed, or nobody knows the full
// one; and one that is saved already is left alone.
func TestWhichSnapshotsAreDeltas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l := openSaved(t, path)
	is := func(want string) {
		t.Helper()
		if got := l.kinds(); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	l.save() // of nothing
	is("0")
	l.touch(0, 10)
	l.save()
	is("0 10")
	l.touch(0, 2)
	l.save()
	is("0 10 12-10")
	l.save() // saved already
	is("0 10 12-10")
	l.touch(2, 5) // half of them
	l.save()
	is("0 10 12-10 15-10")
	l.touch(5, 6)
	l.save()
	is("0 10 12-10 15-10 16")
	l.touch(0, 1)
	l.save()
	is("0 10 12-10 15-10 16 17-16")
	if err := l.s.Verify(t.Context(), &register{owner: "register"}); err != nil {
		t.Error(err)
	}
	if err := l.s.Close(); err != nil {
		t.Fatal(err)
	}
	_ = l.db.Close()
	l = openSaved(t, path)
	if r := l.s.Recovered(); r.Snapshot != 17 || len(l.r.last) != 10 || l.r.last["sensor.s000"] != 17 {
		t.Errorf("recovered %+v with %v", r, l.r.last)
	}
	l.save() // a good one is there
	is("0 10 12-10 15-10 16 17-16")
	l.touch(0, 1)
	l.save()
	is("0 10 12-10 15-10 16 17-16 18") // all that is recent, and what it starts from
}

// A part that was a stray when it was looked for, and is none when it is to be removed, stays.
func TestPartsThatAreNoStrays(t *testing.T) {
	l := openSaved(t, filepath.Join(t.TempDir(), "log.db"))
	l.touch(0, 10)
	l.save()
	step := l.s.snapshots.inTurns(t.Context())
	var ids []int64
	undo := errors.New("undo")
	err := step(func(ctx context.Context, tx storage.Tx) (err error) {
		if _, err = tx.ExecContext(ctx, `DELETE FROM snapshots`); err == nil {
			ids, err = findStrays(ctx, tx)
		}
		return errors.Join(err, undo)
	})
	if !errors.Is(err, undo) || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	err = step(func(ctx context.Context, tx storage.Tx) error { return clearStrays(ctx, tx, ids) })
	if err != nil {
		t.Fatal(err)
	}
	if err := l.s.Verify(t.Context(), &register{owner: "register"}); err != nil || l.kinds() != "10" {
		t.Error(l.kinds(), err)
	}
}

// So many deltas start from one, and then there is a full one; what they start from is kept for as long as one of them is.
func TestDeltasOnOneSnapshot(t *testing.T) {
	l := openSaved(t, filepath.Join(t.TempDir(), "log.db"))
	l.touch(0, 10)
	l.save()
	for range maxDeltas {
		l.touch(0, 1)
		l.save()
	}
	if got, want := l.kinds(), "10 19-10 20-10 21-10 22-10 23-10 24-10 25-10 26-10"; got != want {
		t.Fatalf("%q, want %q", got, want)
	}
	for range recentSnapshots {
		l.touch(0, 1)
		l.save()
	}
	if got, want := l.kinds(), "27 28-27 29-27 30-27 31-27 32-27 33-27 34-27"; got != want {
		t.Fatalf("%q, want %q", got, want)
	}
	if err := l.s.Verify(t.Context(), &register{owner: "register"}); err != nil {
		t.Error(err)
	}
}

// A full snapshot may go without anybody saying so: then the next one starts from nothing.
func TestBaseOfDeltasIsGone(t *testing.T) {
	l := openSaved(t, filepath.Join(t.TempDir(), "log.db"))
	l.touch(0, 10)
	l.save()
	l.inTurn(`DELETE FROM snapshots`)
	l.touch(0, 1)
	l.save()
	if got := l.kinds(); got != "11" {
		t.Fatal(got)
	}
}

func (l *savedLog) inTurn(statement string) {
	l.Helper()
	err := l.s.inTurn(l.Context(), func(w *writer, ctx context.Context) error {
		return w.transact(ctx, func(tx storage.Tx) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		})
	})
	if err != nil {
		l.Fatal(err)
	}
}

// What is wrong with a delta, or with what it starts from, an inspection finds, and what is wrong with its contents.
func TestInspectDeltas(t *testing.T) {
	const base, delta = "snapshot of register at position 10", "snapshot of register at position 12"
	for name, c := range map[string]struct {
		statement string
		want      []string
	}{
		"good":    {`UPDATE snapshots SET owner = owner`, nil},
		"delta":   {`UPDATE snapshot_parts SET body = x'00' WHERE position = 12`, []string{delta + ".*its checksum does not fit"}},
		"base":    {`UPDATE snapshot_parts SET body = x'00' WHERE position = 10`, []string{base + ".*its checksum does not fit", delta + ".*its base, the one at position 10, cannot be used"}},
		"no base": {`DELETE FROM snapshots WHERE position = 10`, []string{delta + ".*its base, the one at position 10, is missing"}},
		"not a delta": {`UPDATE snapshots SET base_position = NULL, base_checksum = NULL WHERE position = 12`,
			[]string{delta + ".*its checksum does not fit"}},
		"another base": {`UPDATE snapshots SET base_checksum = zeroblob(32) WHERE position = 12`,
			[]string{delta + ".*its base, the one at position 10, is not the one that it was made from"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := openSaved(t, filepath.Join(t.TempDir(), "log.db"))
			l.touch(0, 10)
			l.save()
			l.touch(0, 2)
			l.save()
			l.inTurn(c.statement)
			var found []string
			result, err := l.s.Inspect(t.Context(), InspectOptions{
				Projectors: []Projector{&register{owner: "register"}},
				Found:      func(f Finding) { found = append(found, f.String()) },
			})
			if err != nil || len(found) != len(c.want) || name == "good" && result.Compared != 2 {
				t.Fatalf("%v, %+v, %v", found, result, err)
			}
			for i, want := range c.want {
				before, after, _ := strings.Cut(want, ".*")
				if !strings.HasPrefix(found[i], before) || !strings.HasSuffix(found[i], after) {
					t.Errorf("%q, want %q", found[i], want)
				}
			}
		})
	}
	// One that is whole, and not what has changed.
	l := openSaved(t, filepath.Join(t.TempDir(), "log.db"))
	l.touch(0, 10)
	l.save()
	l.touch(0, 2)
	full := l.s.snapshots.fulls["register"]
	row := snapshotRow{
		SnapshotHeader: SnapshotHeader{Owner: "register", FoldVersion: 1, Position: 12}, uuid: l.s.uuid,
		chain: l.s.head.Load().chain, encoding: snapshotFrames, delta: true, base: full.snapshotBase,
	}
	wrong := Records{Count: 1, Message: func(int) proto.Message { return &entityv1.StateRecord{EntityId: "sensor.s000", Position: 11} }}
	if err := l.s.inTurn(t.Context(), func(w *writer, ctx context.Context) error {
		return row.write(ctx, wrong, atOnce(), func(f func(context.Context, storage.Tx) error) error {
			return w.transact(ctx, func(tx storage.Tx) error { return f(ctx, tx) })
		})
	}); err != nil {
		t.Fatal(err)
	}
	err := l.s.Verify(t.Context(), &register{owner: "register"})
	if err == nil || !strings.Contains(err.Error(), delta) || !strings.Contains(err.Error(), "about sensor.s001: it ends after 1 records") {
		t.Errorf("a delta that lacks a record: %v", err)
	}
}

// A snapshot that a crash has cut off between two of its steps is none, and the next one takes its place.
func TestSnapshotsThatAreCutOff(t *testing.T) {
	l := openSaved(t, filepath.Join(t.TempDir(), "log.db"))
	l.touch(0, 10)
	row := snapshotRow{
		SnapshotHeader: SnapshotHeader{Owner: "register", FoldVersion: 1, Position: 10}, uuid: l.s.uuid,
		chain: l.s.head.Load().chain, encoding: snapshotFrames,
	}
	large := randomRecords(10)
	// saved saves up to a step, and says whether that was all.
	saved := func(steps int) bool {
		row.parts = 0
		err := l.s.inTurn(t.Context(), func(w *writer, ctx context.Context) error {
			return row.write(ctx, large, atOnce(), func(f func(context.Context, storage.Tx) error) error {
				if steps--; steps < 0 {
					return context.Canceled
				}
				return w.transact(ctx, func(tx storage.Tx) error { return f(ctx, tx) })
			})
		})
		return err == nil
	}
	cut := 0
	for !saved(cut) {
		if got := l.kinds(); got != "" {
			t.Fatalf("after %d steps there is %q", cut, got)
		}
		cut++
	}
	if got := l.kinds(); got != "10" || cut < 10 {
		t.Fatalf("after %d steps there is %q", cut, got)
	}
	if saved(3) || l.kinds() != "" {
		t.Fatalf("one that was to be replaced: %q", l.kinds())
	}
	l.save()
	var parts int
	if err := l.db.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM snapshot_parts`).Scan(&parts); err != nil || parts != 1 || l.kinds() != "10" {
		t.Errorf("%d parts, %q, %v", parts, l.kinds(), err)
	}
	if err := l.s.Verify(t.Context(), &register{owner: "register"}); err != nil {
		t.Error(err)
	}
}

// randomRecords are so many records, each of which fills a part.
func randomRecords(count int) Records {
	return Records{Count: count, Append: func(dst []byte, i int) ([]byte, error) {
		random := make([]byte, partBytes)
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(random)
		return append(dst, random...), nil
	}}
}

// The WAL that a large snapshot makes is moved before it is so long, a thousand pages, that a commit would do it.
func TestSnapshotsMoveTheirWAL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l := openSaved(t, path)
	l.touch(0, 10)
	if err := l.s.inTurn(t.Context(), func(w *writer, ctx context.Context) error { return w.s.db.MoveWAL(ctx, w.conn) }); err != nil {
		t.Fatal(err)
	}
	row := snapshotRow{
		SnapshotHeader: SnapshotHeader{Owner: "register", FoldVersion: 1, Position: 10}, uuid: l.s.uuid,
		chain: l.s.head.Load().chain, encoding: snapshotFrames,
	}
	if err := row.write(t.Context(), randomRecords(40), atOnce(), l.s.snapshots.inTurns(t.Context())); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if size := info.Size(); size < partBytes || size > (checkpointSteps+2)*(partBytes+partBytes/16) {
		t.Errorf("the WAL has %d bytes after parts of %d", size, partBytes)
	}
}
