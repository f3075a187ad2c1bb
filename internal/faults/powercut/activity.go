package powercut

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "modernc.org/sqlite" // the driver

	"github.com/statehouse/statehouse/internal/faults/disk"
	"github.com/statehouse/statehouse/internal/faults/trace"
)

// What the program is doing at a cut.
const (
	actCreate     = "creating the file"
	actMigrate    = "migrating"
	actAppend     = "appending"
	actSeal       = "sealing"
	actSnapshot   = "saving a snapshot"
	actKeys       = "storing a key or a cursor"
	actCompact    = "removing history"
	actCheckpoint = "moving the WAL"
	actBroker     = "the broker's file"
	actIdle       = "between commits"
)

// Activities are all of them.
var Activities = []string{
	actCreate, actMigrate, actAppend, actSeal, actSnapshot, actKeys, actCompact, actCheckpoint, actBroker, actIdle,
}

// shape is what of a database changes when something else than an append is committed.
type shape struct{ version, meta, oldest, sealed, snapshots, parts, keys, cursors int }

// activities says for each event of a recording what the program is doing after it. It looks at the database after each
// sync of the WAL, as programs see it: what is different is what was done since the one before.
func (r *Recording) activities(ctx context.Context) ([]string, error) {
	doing := make([]string, 0, r.Events())
	d, last, begun := disk.New(r.Root, r.Before), shape{}, 0
	for _, run := range r.Runs {
		for _, e := range run.Events {
			if err := d.Apply(e); err != nil {
				return nil, err
			}
			doing = append(doing, activity(d))
			if e.Kind != trace.Sync || !e.End || !strings.HasSuffix(e.Path, DBPath+"-wal") {
				continue
			}
			s, err := shapeOf(ctx, d.Cached())
			if err != nil {
				return nil, err
			}
			for i := begun; i < len(doing); i++ {
				if doing[i] == actAppend {
					doing[i] = s.since(last)
				}
			}
			last, begun = s, len(doing)
		}
		d.Restart()
	}
	return doing, nil
}

// since says what was done between two shapes.
func (s shape) since(before shape) string {
	switch {
	case s.version != before.version:
		return actMigrate
	case before.meta > 0 && s.meta != before.meta, before.oldest > 0 && s.oldest != before.oldest:
		return actCompact
	case s.sealed != before.sealed:
		return actSeal
	case s.snapshots != before.snapshots || s.parts != before.parts:
		return actSnapshot
	case s.keys != before.keys || s.cursors != before.cursors:
		return actKeys
	}
	return actAppend
}

// shapeOf looks into the database of an image. What is not there counts as 0.
func shapeOf(ctx context.Context, image disk.Image) (s shape, err error) {
	dir, err := os.MkdirTemp(Scratch(), "statehouse-shape")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, suffix := range []string{"", "-wal"} {
		if err := os.WriteFile(filepath.Join(dir, "db"+suffix), image[DBPath+suffix].Data, 0o600); err != nil {
			return s, err
		}
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "db"))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for query, into := range map[string]*int{
		`SELECT max(version_id) FROM goose_db_version`:     &s.version,
		`SELECT count(*) FROM meta`:                        &s.meta,
		`SELECT min(first_position) FROM segments`:         &s.oldest,
		`SELECT count(*) FROM segment_filters`:             &s.sealed,
		`SELECT coalesce(sum(position), 0) FROM snapshots`: &s.snapshots,
		`SELECT count(*) FROM snapshot_parts`:              &s.parts,
		`SELECT count(*) FROM append_keys`:                 &s.keys,
		`SELECT coalesce(sum(position), 0) FROM cursors`:   &s.cursors,
	} {
		_ = db.QueryRowContext(ctx, query).Scan(into) // the table may not be there yet
	}
	return s, nil
}

// activity says what the program is doing, as far as the files say it that are not synced.
func activity(d *disk.Disk) string {
	names := d.Uncertain()
	has := func(name string) bool { return slices.Contains(names, name) }
	switch {
	case has(DBPath + "-journal"), has(filepath.Dir(DBPath)):
		return actCreate
	case has(DBPath):
		return actCheckpoint
	case has(DBPath + "-wal"):
		return actAppend
	case has(DBPath + ".mqtt"):
		return actBroker
	}
	return actIdle
}

// Scratch is where files are made that are soon gone: in memory, where there is such a place.
func Scratch() string {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		return memory
	}
	return os.TempDir()
}
