package eventstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/storage"
)

// listedLog is a log of segments of three events each, sealed but for the last few, about entity.all in each,
// and entity.0 to entity.4 in every fifth.
type listedLog struct {
	s  *Store
	db *storage.DB
	n  int // segments
}

func openListedLog(t *testing.T, path string) *listedLog {
	t.Helper()
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), db, Options{SealAfter: -1})
	if err == nil {
		err = s.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err, db.Close())
	}
	l := &listedLog{s: s, db: db, n: int(s.Head()) / 3}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *listedLog) close() error { return errors.Join(l.s.Close(), l.db.Close()) }

// add adds segments.
func (l *listedLog) add(t *testing.T, n int, sealed bool) {
	t.Helper()
	reported := &eventv1.Payload{Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}}}
	for range n {
		var events []Event
		for _, id := range []string{"entity.all", fmt.Sprintf("entity.e%d", l.n%5), "entity.all"} {
			events = append(events, Event{Entity: id, Payload: reported})
		}
		_, err := l.s.Append(t.Context(), Batch{Events: events})
		if err == nil && sealed {
			err = l.s.Seal(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		l.n++
	}
}

// change changes what is stored at path, also of a log that is open.
func change(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	done, err := db.ExecContext(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s: it changes nothing, %v", statement, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// want are the positions of the events that a query should yield.
func (l *listedLog) want(q Query) (want []Position) {
	for at := q.After + 1; at <= Position(3*l.n) && (q.Until == 0 || at <= q.Until); at++ {
		id := "entity.all"
		if at%3 == 2 {
			id = fmt.Sprintf("entity.e%d", at/3%5)
		}
		if slices.Contains(q.Entities, id) {
			want = append(want, at)
		}
	}
	if q.Backward {
		slices.Reverse(want)
	}
	return want
}

// read is what a query yields, up to so many events if that is not 0.
func (l *listedLog) read(ctx context.Context, q Query, limit int) (got []Position, err error) {
	for e, err := range l.s.Read(ctx, q) {
		if err != nil {
			return got, err
		}
		if got = append(got, e.Position); len(got) == limit {
			break
		}
	}
	return got, nil
}

// Whatever of the directory is in memory, and however it came to be there, the history of entities is complete: forward
// and backward, between any positions, and as far as its reader goes.
func TestDirectory(t *testing.T) {
	l := openListedLog(t, filepath.Join(t.TempDir(), "log.db"))
	l.s.directory.page = 7
	for _, room := range []int{directoryBytes, 100, 0} {
		l.s.directory.room = room
		l.add(t, 40, true)
		rapid.Check(t, func(t *rapid.T) {
			if rapid.IntRange(0, 3).Draw(t, "load anew") == 0 {
				l.s.directory.current.Store(nil)
			}
			head := rapid.IntRange(0, 3*l.n)
			q := Query{
				After: Position(head.Draw(t, "after")), Until: Position(head.Draw(t, "until")), Backward: rapid.Bool().Draw(t, "backward"),
				Entities: rapid.SampledFrom([][]string{
					{"entity.all"}, {"entity.e0"}, {"entity.e3"}, {"entity.e3", "entity.all", "entity.e0", "entity.e3"}, {"entity.none"},
				}).Draw(t, "entities"),
			}
			want, limit := l.want(q), rapid.IntRange(0, 30).Draw(t, "limit")
			if limit > 0 {
				want = want[:min(limit, len(want))]
			}
			if got, err := l.read(t.Context(), q, limit); err != nil || !slices.Equal(got, want) {
				t.Fatalf("%+v, %d: %v, %v\nwant %v", q, limit, got, err, want)
			}
		})
		l.add(t, 3, false)
	}
	if _, err := l.read(t.Context(), Query{Entities: []string{"entity.all"}}, 0); err != nil { // the last one may have read nothing
		t.Fatal(err)
	}
	d := l.s.directory.loaded()
	if d.held != len(d.entries) || d.size != 0 || len(d.entries) != l.n-3*3 {
		t.Errorf("%d of %d entries are without their filter, %d bytes of others are kept", d.held, len(d.entries), d.size)
	}
	if err := l.s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// Readers share a directory that grows and forgets under them.
func TestDirectoryBesideReaders(t *testing.T) {
	l := openListedLog(t, filepath.Join(t.TempDir(), "log.db"))
	l.s.directory.room, l.s.directory.page = 200, 7
	l.add(t, 30, true)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 3 {
		then := &listedLog{s: l.s, n: l.n}
		readers.Go(func() {
			for {
				q := Query{Until: Position(3 * then.n), Entities: []string{fmt.Sprintf("entity.e%d", i)}, Backward: i == 1}
				if got, err := then.read(t.Context(), q, 0); err != nil || !slices.Equal(got, then.want(q)) {
					t.Errorf("%+v: %v, %v", q, got, err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	l.add(t, 60, true)
	close(done)
	readers.Wait()
}

// A read whose context ends in the middle ends with its error, and with no goroutine left behind.
func TestCancelledHistory(t *testing.T) {
	l := openListedLog(t, filepath.Join(t.TempDir(), "log.db"))
	l.add(t, 100, true)
	for after := range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		var failed error
		for _, err := range l.s.Read(ctx, Query{Entities: []string{"entity.all"}, Backward: true}) {
			if err != nil {
				failed = err
			} else if n++; n == after+1 {
				cancel()
			}
		}
		if cancel(); !errors.Is(failed, context.Canceled) || n > 2*(1+aheadSegments)+after {
			t.Errorf("cancelled at event %d: %d events and %v", after+1, n, failed)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	l.s.directory.current.Store(nil)
	if n, err := l.read(cancelled, Query{Entities: []string{"entity.none"}}, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v, %v", n, err)
	}
	if _, err := l.read(t.Context(), Query{Entities: []string{"entity.none"}}, 0); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// What is damaged is found by the reads that need it: they yield what is before it, and those that do not need it everything.
func TestDamagedHistory(t *testing.T) {
	// The 21st segment, with positions 61 to 63, is about entity.e0.
	const gone = "positions 61 to 63 are missing"
	all, e0, e1 := []string{"entity.all"}, []string{"entity.e0"}, []string{"entity.e1"}
	for name, c := range map[string]struct {
		statement string
		loaded    bool                // before it is damaged
		fails     map[string][]string // the reads across it that should fail, and how
	}{
		"row": {`DELETE FROM segments WHERE last_position = 63`, false,
			map[string][]string{gone: {"entity.all", "entity.e0", "entity.e1"}}},
		"row of a loaded directory": {`DELETE FROM segments WHERE last_position = 63`, true,
			map[string][]string{gone: {"entity.all", "entity.e0"}}},
		"body": {`UPDATE segments SET body = zeroblob(100) WHERE last_position = 63`, false,
			map[string][]string{"segment with positions 61 to 63": {"entity.all", "entity.e0"}}},
		"bounds": {`UPDATE segments SET first_position = 62 WHERE last_position = 63`, false,
			map[string][]string{"the log is damaged": {"entity.all", "entity.e0", "entity.e1"}}},
		"no filter":          {`DELETE FROM segment_filters WHERE last_position = 63`, false, nil},
		"another's filter":   {`UPDATE segment_filters SET filter = (SELECT filter FROM segment_filters WHERE last_position = 66) WHERE last_position = 63`, false, nil},
		"short filter":       {`UPDATE segment_filters SET filter = x'' WHERE last_position = 63`, false, nil},
		"filter of nobody":   {`INSERT INTO segment_filters SELECT 62, filter FROM segment_filters WHERE last_position = 66`, false, nil},
		"filter far behind":  {`INSERT INTO segment_filters SELECT 6666, filter FROM segment_filters WHERE last_position = 66`, false, nil},
		"no filters":         {`DELETE FROM segment_filters`, false, nil},
		"no filter, no room": {`DELETE FROM segment_filters WHERE last_position BETWEEN 33 AND 66`, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log.db")
			l := openListedLog(t, path)
			l.add(t, 40, true)
			if c.loaded {
				if _, err := l.read(t.Context(), Query{Entities: e1}, 0); err != nil {
					t.Fatal(err)
				}
				change(t, path, c.statement)
			} else {
				if err := l.close(); err != nil {
					t.Fatal(err)
				}
				change(t, path, c.statement)
				l = openListedLog(t, path)
			}
			if strings.HasSuffix(name, "no room") {
				l.s.directory.room = 0
			}
			for _, entities := range [][]string{all, e0, e1} {
				for _, backward := range []bool{false, true} {
					for _, span := range [][2]Position{{0, 0}, {59, 64}, {60, 70}, {63, 120}, {0, 60}} {
						q := Query{After: span[0], Until: span[1], Entities: entities, Backward: backward}
						l.expect(t, q, c.fails)
					}
				}
			}
		})
	}
}

// expect checks a read of a log of which positions 61 to 63 are damaged.
func (l *listedLog) expect(t *testing.T, q Query, fails map[string][]string) {
	t.Helper()
	want, failure := l.want(q), ""
	for how, entities := range fails {
		crosses := q.After < 63 && (q.Until == 0 || q.Until > 60)
		if crosses && slices.Contains(entities, q.Entities[0]) {
			failure = how
			i := slices.IndexFunc(want, func(at Position) bool { return q.Backward && at <= 63 || !q.Backward && at > 60 })
			if i >= 0 {
				want = want[:i]
			}
		}
	}
	got, err := l.read(t.Context(), q, 0)
	if !slices.Equal(got, want) || (err != nil) != (failure != "") ||
		err != nil && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), failure)) {
		t.Errorf("%+v: %v, %v\nwant %v and %q", q, got, err, want, failure)
	}
}

// Whichever page of the file SQLite cannot read, the history of an entity is right or ends with an error.
func TestHistoryOverUnreadablePages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l := openListedLog(t, path)
	l.add(t, 150, true)
	l.add(t, 10, false)
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	failed, right, mixed := 0, 0, 0
	for page := 1; page < len(content)/4096; page++ {
		damaged := slices.Clone(content)
		damaged[page*4096] = 0xff
		copied := filepath.Join(t.TempDir(), "log.db")
		if err := os.WriteFile(copied, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := storage.Open(t.Context(), copied, storage.Options{})
		if err != nil {
			continue // what is damaged is not the log
		}
		s, err := Open(t.Context(), db, Options{SealAfter: -1})
		if err == nil {
			err = s.Start(t.Context())
		}
		if err != nil {
			_ = db.Close()
			continue
		}
		l := &listedLog{s: s, db: db, n: l.n}
		failedBefore, rightBefore := failed, right
		for _, q := range []Query{
			{Entities: []string{"entity.e0"}}, {Entities: []string{"entity.e0"}, Backward: true}, {Entities: []string{"entity.all"}},
			{Entities: []string{"entity.e3"}, After: 240}, {Entities: []string{"entity.e3"}, Until: 240, Backward: true},
		} {
			want := l.want(q)
			got, err := l.read(t.Context(), q, 0)
			switch {
			case err == nil && slices.Equal(got, want):
				right++
			case isDamage(err) && slices.Equal(got, want[:len(got)]):
				failed++
			default:
				t.Errorf("page %d, %+v: %v, %v\nwant %v", page, q, got, err, want)
			}
		}
		if failed > failedBefore && right > rightBefore {
			mixed++
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
	if failed == 0 || mixed == 0 {
		t.Errorf("%d reads failed, %d were right; on %d pages some did and others were", failed, right, mixed)
	}
}

// The bounds of a segment's times are beside what has its checksum: whatever they say, a time gets the position that it had, or
// an error. (Found by flipping bits: a damaged bound moved "the position at 12:12" by a segment, and nothing was said.)
func TestDamagedTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l := openListedLog(t, path)
	l.add(t, 6, true)
	l.add(t, 6, false)
	var times []time.Time
	ask := func() (answers map[time.Time]Position, failed int) {
		answers = map[time.Time]Position{}
		for _, at := range times {
			p, err := l.s.PositionAt(t.Context(), at)
			if errors.Is(err, ErrCorrupt) {
				failed++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			answers[at] = p
		}
		return answers, failed
	}
	for e, err := range l.s.Read(t.Context(), Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, e.RecordedAt.Add(-1), e.RecordedAt, e.RecordedAt.Add(1))
	}
	positions, failed := ask()
	if err := l.close(); err != nil || failed > 0 {
		t.Fatal(err, failed)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	failures := 0
	for _, column := range []string{"first_recorded", "last_recorded"} {
		for segment := 3; segment <= 36; segment += 6 {
			for _, bit := range []int{12, 40} {
				if err := os.WriteFile(path, sound, 0o600); err != nil {
					t.Fatal(err)
				}
				_ = os.Remove(path + ".anchor")
				change(t, path, fmt.Sprintf(`UPDATE segments SET %[1]s = (%[1]s | %[2]d) - (%[1]s & %[2]d) WHERE last_position = %[3]d`, column, 1<<bit, segment))
				db, err := storage.Open(t.Context(), path, storage.Options{})
				if err != nil {
					t.Fatal(err)
				}
				s, err := Open(t.Context(), db, Options{SealAfter: -1})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Start(t.Context()); err != nil { // it is noticed then already
					failures++
				} else {
					l.s = s
					answers, failed := ask()
					failures += failed
					for at, p := range answers {
						if p != positions[at] {
							t.Errorf("bit %d of %s of segment %d: the position at %s is %d, and was %d", bit, column, segment, at, p, positions[at])
						}
					}
				}
				if err := errors.Join(s.Close(), db.Close()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if failures == 0 {
		t.Error("nothing is ever noticed")
	}
}
