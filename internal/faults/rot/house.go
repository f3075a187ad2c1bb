package rot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // for the page size

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// The files of a house that are damaged, by what comes after the name of the database.
var suffixes = [...]string{"", "-wal", storage.AnchorSuffix}

const name = "home.db"

// files are the contents of a house's files.
type files map[string][]byte

// write writes them into a directory, in place of those that are there.
func (f files) write(dir string) error {
	aside, err := filepath.Glob(filepath.Join(dir, name+"-wal.damaged-*"))
	for _, path := range aside {
		err = errors.Join(err, os.Remove(path))
	}
	if err != nil {
		return err
	}
	for _, s := range [...]string{"", "-wal", "-shm", storage.AnchorSuffix} {
		path := filepath.Join(dir, name+s)
		err := error(nil)
		if content, ok := f[s]; ok {
			err = os.WriteFile(path, content, 0o600)
		} else if err = os.Remove(path); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readFiles(dir string) (files, error) {
	f := files{}
	for _, s := range suffixes {
		content, err := os.ReadFile(filepath.Join(dir, name+s))
		if err != nil {
			return nil, err
		}
		f[s] = content
	}
	return f, nil
}

// maker makes the house.
type maker struct {
	dir   string
	rng   *rand.Rand
	clock time.Time
	store *eventstore.Store
	db    *storage.DB
}

// The names of what there is beside the log, in the database and in the WAL.
var (
	consumers = [...]string{"settled", "moved", "late"}
	keys      = [...]eventstore.Key{{Scope: "api:a", ID: "early"}, {Scope: "api:b", ID: "late"}}
)

// makeFiles makes a small house: sealed and unsealed segments, snapshots before and behind them, keys and cursors, and a
// WAL with the last transactions. A page size of 0 is that of every house.
func makeFiles(ctx context.Context, dir string, seed uint64, pageSize int) (files, error) {
	m := &maker{dir: dir, rng: rand.New(rand.NewPCG(seed, 3)), clock: time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)}
	if err := (files{}).write(dir); err != nil {
		return nil, err
	}
	if pageSize != 0 {
		if err := m.emptyWith(ctx, pageSize); err != nil {
			return nil, err
		}
	}
	err := m.with(ctx, m.settled)
	if err == nil {
		err = m.with(ctx, func(ctx context.Context) error {
			if err := m.late(ctx); err != nil {
				return err
			}
			m.db.Preserve() // keeps the WAL
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	return readFiles(dir)
}

// emptyWith makes an empty database with pages of a size.
func (m *maker) emptyWith(ctx context.Context, pageSize int) error {
	db, err := sql.Open("sqlite", filepath.Join(m.dir, name))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf("PRAGMA page_size = %d; VACUUM", pageSize))
	return errors.Join(err, db.Close())
}

// with opens the house, does something, and closes it.
func (m *maker) with(ctx context.Context, do func(ctx context.Context) error) (err error) {
	if m.db, err = storage.Open(ctx, filepath.Join(m.dir, name), storage.Options{}); err != nil {
		return err
	}
	m.store, err = eventstore.Open(ctx, m.db, eventstore.Options{SealAfter: -1, Clock: func() time.Time {
		m.clock = m.clock.Add(time.Duration(1+m.rng.IntN(90)) * time.Second)
		return m.clock
	}})
	if err == nil {
		err = m.store.Start(ctx, state.New(), registry.New())
	}
	if err == nil {
		err = do(ctx)
	}
	return errors.Join(err, m.store.Close(), m.db.Close())
}

// settled is what comes to be in the database: a part that is sealed, with a snapshot in it, and one that is not.
func (m *maker) settled(ctx context.Context) error {
	if err := m.append(ctx, eventstore.Key{}, check.RegisterEvent(&entityv1.Entity{Id: "sensor.a", UniqueId: "u1", Name: "A"})); err != nil {
		return err
	}
	for range 12 {
		if err := m.append(ctx, eventstore.Key{}, m.events()...); err != nil {
			return err
		}
	}
	if err := errors.Join(m.store.Snapshot(ctx), m.append(ctx, keys[0], m.event()), m.store.Seal(ctx)); err != nil {
		return err
	}
	for range 4 {
		if err := m.append(ctx, eventstore.Key{}, m.events()...); err != nil {
			return err
		}
	}
	for _, c := range consumers[:2] {
		if err := m.ack(ctx, c); err != nil {
			return err
		}
	}
	if err := m.store.Snapshot(ctx); err != nil {
		return err
	}
	return m.append(ctx, eventstore.Key{}, m.events()...)
}

// late is what comes to be in the WAL.
func (m *maker) late(ctx context.Context) error {
	for i := range 6 {
		var key eventstore.Key
		if i == 2 {
			key = keys[1]
		}
		if err := m.append(ctx, key, m.event()); err != nil {
			return err
		}
	}
	return errors.Join(m.ack(ctx, consumers[1]), m.ack(ctx, consumers[2]), m.append(ctx, eventstore.Key{}, m.event()),
		m.append(ctx, eventstore.Key{}, m.event()))
}

func (m *maker) append(ctx context.Context, key eventstore.Key, events ...eventstore.Event) error {
	if key != (eventstore.Key{}) {
		events = []eventstore.Event{keyed(key)}
	}
	_, err := m.store.Append(ctx, eventstore.Batch{Key: key, Events: events})
	return err
}

// keyed is the event that is appended under a key.
func keyed(key eventstore.Key) eventstore.Event {
	return check.CustomEvent("", "rot.keyed", []byte(key.ID))
}

func (m *maker) event() eventstore.Event {
	id := "sensor." + string(rune('a'+m.rng.IntN(4)))
	if m.rng.IntN(5) == 0 {
		return check.ReportEvent(id)
	}
	return check.SensorEvent(id, float64(m.rng.IntN(50)))
}

func (m *maker) events() []eventstore.Event {
	var all []eventstore.Event
	for range 1 + m.rng.IntN(3) {
		all = append(all, m.event())
	}
	return all
}

// ack sets a consumer's cursor to where the log ends.
func (m *maker) ack(ctx context.Context, consumer string) error {
	c, err := m.store.Consumer(ctx, consumer, eventstore.Query{})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Ack(m.store.Head())
}
