package timeline_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/timeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// past is a house whose log is long enough for everything that a timeline keeps: several sealed segments, and many more
// snapshots and strides.
type past struct {
	*statehouse.House
	path string
	opts statehouse.Options
	rng  *rand.Rand
	// entities is how many there are; some more are made by renames.
	entities int
}

func newPast(t *testing.T, seed uint64, entities, events int) *past {
	t.Helper()
	p := &past{path: filepath.Join(t.TempDir(), "house.db"), rng: rand.New(rand.NewPCG(seed, 1)), entities: entities}
	p.opts.SnapshotEvery = []int{400, 1500, 20_000}[seed%3]
	p.open(t)
	t.Cleanup(func() { _ = p.Close() })
	for int(p.Now().Position()) < events {
		p.append(t)
		if p.rng.IntN(60) == 0 {
			if err := p.Store().Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p
}

func (p *past) open(t *testing.T) {
	t.Helper()
	h, err := statehouse.OpenContext(context.Background(), p.path, p.opts)
	if err != nil {
		t.Fatal(err)
	}
	p.House = h
}

// append appends a batch; one that the house refuses changes nothing.
func (p *past) append(t *testing.T) {
	t.Helper()
	batch := make([]eventstore.Event, 1+p.rng.IntN(120)*p.rng.IntN(2))
	for i := range batch {
		batch[i] = p.event()
	}
	if _, err := p.Append(context.Background(), batch...); err != nil && !errors.Is(err, eventstore.ErrInvalid) {
		t.Error(err)
	}
}

func (p *past) event() eventstore.Event {
	id := fmt.Sprintf("sensor.s%02d", p.rng.IntN(p.entities))
	switch n := p.rng.IntN(400); {
	case n < 2:
		return check.RegisterEvent(&entityv1.Entity{Id: id, Name: fmt.Sprint(n), Disabled: n == 0})
	case n < 3:
		return check.UnregisterEvent(id)
	case n < 4:
		return check.RenameEvent(id, fmt.Sprintf("sensor.s%02d", p.rng.IntN(3*p.entities/2)))
	case n < 30:
		return check.ReportEvent(id)
	case n < 40:
		return check.CustomEvent(id, "acme.touched", nil)
	default:
		return check.SensorEvent(id, float64(p.rng.IntN(3)))
	}
}

// walk is the positions that a client asks for one after another: it steps, scrubs and jumps.
func (p *past) walk(count int) (positions []eventstore.Position) {
	head := int(p.Now().Position())
	at := p.rng.IntN(head + 1)
	for range count {
		switch p.rng.IntN(8) {
		case 0:
			at = p.rng.IntN(head + 1)
		case 1:
			at += 300 - p.rng.IntN(600)
		case 2, 3:
			at--
		case 4:
		default:
			at++
		}
		at = min(max(at, 0), head)
		positions = append(positions, eventstore.Position(at))
	}
	return positions
}

// folds are the folds of the events up to positions.
func (p *past) folds(t *testing.T, positions []eventstore.Position) map[eventstore.Position]*check.Fold {
	t.Helper()
	wanted := map[eventstore.Position]*check.Fold{}
	for _, at := range positions {
		wanted[at] = nil
	}
	f := check.NewFold()
	wanted[0] = f.Clone()
	for e, err := range p.Read(context.Background(), eventstore.Query{}) {
		if err == nil {
			err = f.Add(e)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := wanted[e.Position]; ok {
			wanted[e.Position] = f.Clone()
		}
	}
	return wanted
}

// expect asks for positions and compares the answers with their folds.
func (p *past) expect(t *testing.T, positions []eventstore.Position, folds map[eventstore.Position]*check.Fold) {
	t.Helper()
	for i, at := range positions {
		m, err := p.AsOf(context.Background(), at)
		if err == nil && m.Position() != at {
			err = fmt.Errorf("it is of position %d", m.Position())
		}
		if err == nil {
			err = errors.Join(folds[at].CompareStates(m.State), folds[at].CompareRegistry(m.Registry))
		}
		if err != nil {
			t.Fatalf("the %d-th moment, as of %d: %v", i, at, err)
		}
		if err := p.Timeline().CheckKept(); err != nil {
			t.Fatalf("after the %d-th moment, as of %d: %v", i, at, err)
		}
	}
}

// size is how many walks there are, and how many questions in each.
func size() (seeds uint64, questions int) {
	if testing.Short() {
		return 3, 100
	}
	return 9, 300
}

// I6, I7, I10: whatever a timeline has kept, and however little room it has, the house as of a position is the fold of the
// events up to it; also where snapshots are damaged, before a start or under way.
func TestWalksThroughThePast(t *testing.T) {
	seeds, questions := size()
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := newPast(t, seed, 40, 6000)
			positions := p.walk(questions)
			folds := p.folds(t, positions)
			p.Timeline().LimitKept([]int{1, 100_000, 10 << 20}[seed/3%3])
			p.expect(t, positions, folds)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			p.damage(t, []string{"state", "registry", "%"}[seed%3])
			p.open(t)
			p.Timeline().LimitKept(100_000)
			p.expect(t, positions, folds)
			p.damage(t, "%")
			slices.Reverse(positions)
			p.expect(t, positions, folds)
		})
	}
}

// The states of many entities are decoded in several goroutines.
func TestThePastOfManyEntities(t *testing.T) {
	p := newPast(t, 2, 4000, 12_000) // with a snapshot every 20,000 events, which is none
	positions := p.walk(12)
	p.expect(t, append(positions, 11_000), p.folds(t, append(positions, 11_000)))
}

// damage damages every second snapshot of some owners, behind the back of the house, which may be open.
func (p *past) damage(t *testing.T, owners string) {
	t.Helper()
	p.damageEvery(t, owners, 2, p.rng.IntN(2))
}

// damageEvery damages the snapshots of some owners whose positions have a remainder.
func (p *past) damageEvery(t *testing.T, owners string, divisor, remainder int) {
	t.Helper()
	db, err := sql.Open("sqlite", p.path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	_, err = db.Exec(`UPDATE snapshot_parts SET body = x'00' WHERE owner LIKE ? AND position % ? = ?`, owners, divisor, remainder)
	if err != nil {
		t.Fatal(err)
	}
}

// Any number of clients may walk at once, while the house goes on: events come, are sealed, and snapshots are taken and
// removed. What they were given stays what it was.
func TestManyWalkThroughThePast(t *testing.T) {
	p := newPast(t, 1, 40, 3000)
	p.Timeline().LimitKept(200_000)
	type answer struct {
		at eventstore.Position
		m  timeline.Moment
	}
	const walkers, steps = 4, 60
	walks := make([][]eventstore.Position, walkers)
	for i := range walks {
		walks[i] = p.walk(steps)
	}
	answers := make([][]answer, walkers)
	var walking sync.WaitGroup
	for i, positions := range walks {
		walking.Go(func() {
			for _, at := range positions {
				m, err := p.AsOf(context.Background(), at)
				if err != nil {
					t.Error(err)
					return
				}
				answers[i] = append(answers[i], answer{at, m})
			}
		})
	}
	for range 100 {
		p.append(t)
	}
	err := errors.Join(p.Store().Seal(t.Context()), p.Snapshot(t.Context()))
	walking.Wait()
	if err = errors.Join(err, p.Timeline().CheckKept()); err != nil {
		t.Fatal(err)
	}
	folds := p.folds(t, slices.Concat(walks...))
	for _, walk := range answers {
		for _, a := range walk {
			err := errors.Join(folds[a.at].CompareStates(a.m.State), folds[a.at].CompareRegistry(a.m.Registry))
			if err != nil || a.m.Position() != a.at {
				t.Fatalf("as of %d: position %d: %v", a.at, a.m.Position(), err)
			}
		}
	}
}

// A segment that is damaged or gone fails the questions that need it, saying where, and no others, which are answered as before.
func TestThePastWithADamagedSegment(t *testing.T) {
	for _, damage := range []string{
		`UPDATE segments SET body = x'00112233' WHERE last_position = ?`, `DELETE FROM segments WHERE last_position = ?`,
	} {
		p := newPast(t, 0, 40, 6000) // with a snapshot every 400 events
		if err := p.Store().Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		positions := p.walk(100)
		folds := p.folds(t, positions)
		db, err := sql.Open("sqlite", p.path+"?_pragma=busy_timeout(10000)")
		if err != nil {
			t.Fatal(err)
		}
		var first, last eventstore.Position
		row := db.QueryRow(`SELECT first_position, last_position FROM segments WHERE last_position >= 3000 ORDER BY last_position LIMIT 1`)
		if err := row.Scan(&first, &last); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(damage, last); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		failed := 0
		for _, at := range positions {
			m, err := p.AsOf(t.Context(), at)
			switch {
			case err == nil:
				err = errors.Join(folds[at].CompareStates(m.State), folds[at].CompareRegistry(m.Registry))
			case at >= first && errors.Is(err, eventstore.ErrCorrupt) && strings.Contains(err.Error(), fmt.Sprint(at)):
				failed++
				err = nil
			}
			if err != nil {
				t.Fatalf("as of %d, with %d to %d damaged: %v", at, first, last, err)
			}
		}
		if failed == 0 || failed == len(positions) {
			t.Errorf("%d of %d questions failed", failed, len(positions))
		}
	}
}

// Where history was removed and the snapshots of an owner are damaged since, the house is folded from the moment that is kept.
func TestThePastFromWhatIsKept(t *testing.T) {
	for _, owner := range []string{"state", "registry", "%"} {
		p := newPast(t, 1, 40, 9000) // with a snapshot every 1,500 events
		if c, err := p.Compact(t.Context(), 5000, eventstore.CompactOptions{}); err != nil || c.Base != 5000 {
			t.Fatal(c, err)
		}
		want, err := p.AsOf(t.Context(), 8900)
		if err != nil {
			t.Fatal(err)
		}
		p.Timeline().LimitKept(1)
		if _, err := p.AsOf(t.Context(), 5000); err != nil {
			t.Fatal(err)
		}
		p.damageEvery(t, owner, 1, 0)
		m, err := p.AsOf(t.Context(), 8900)
		if err != nil {
			t.Errorf("with damaged snapshots of %s: %v", owner, err)
			continue
		}
		for c := range timeline.Diff(want, m) {
			t.Errorf("with damaged snapshots of %s: %s is different", owner, c.EntityID)
		}
	}
}

// I11: a damaged segment keeps nobody from the moments behind a snapshot that is behind it, whatever is kept and however near that is.
func TestThePastBehindADamagedSegment(t *testing.T) {
	p := newPast(t, 1, 400, 100) // with a snapshot every 1,500 events
	for p.Now().Position() < 2500 {
		p.append(t)
	}
	all, err := p.Snapshots(t.Context())
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	snapshot := all[len(all)-1].Position
	want, err := p.AsOf(t.Context(), snapshot+1)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", p.path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var first eventstore.Position
	if err := db.QueryRow(`UPDATE segments SET body = x'00112233' WHERE last_position =
		(SELECT max(last_position) FROM segments WHERE last_position < ?) RETURNING first_position`, snapshot).Scan(&first); err != nil {
		t.Fatal(err)
	}
	p.Timeline().LimitKept(1)
	if _, err := p.AsOf(t.Context(), first-1); err != nil {
		t.Fatal(err)
	}
	if _, err := p.AsOf(t.Context(), first); !errors.Is(err, eventstore.ErrCorrupt) {
		t.Errorf("in the damaged segment: %v", err)
	}
	got, err := p.AsOf(t.Context(), snapshot+1)
	if err != nil {
		t.Fatal(err)
	}
	for c := range timeline.Diff(want, got) {
		t.Errorf("%s is different", c.EntityID)
	}
}
