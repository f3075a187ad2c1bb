package statehouse_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/storage"
)

// Whatever a kill in the first moments of a new file leaves behind, the next start makes a house of it.
func TestKilledInTheFirstMoments(t *testing.T) {
	const header = `PRAGMA application_id = 1398032467` // "STHS"
	for name, leave := range map[string]func(t *testing.T, path string){
		"an empty file": func(t *testing.T, path string) { writeFile(t, path, nil) },
		"a lock file":   func(t *testing.T, path string) { writeFile(t, path+".lock", nil) },
		"a lock file with its holder": func(t *testing.T, path string) {
			writeFile(t, path+".lock", []byte(`{"pid":4194304}`+"\n"))
			writeFile(t, path, nil)
		},
		"half a lock file": func(t *testing.T, path string) { writeFile(t, path+".lock", []byte(`{"pi`)) },
		"a WAL database without a page": func(t *testing.T, path string) {
			statements(t, path, `PRAGMA journal_mode = WAL`)
		},
		"a header": func(t *testing.T, path string) { statements(t, path, header) },
		"a header of a WAL database": func(t *testing.T, path string) {
			statements(t, path, `PRAGMA journal_mode = WAL`, header)
		},
		"a journal that is still empty": func(t *testing.T, path string) {
			writeFile(t, path, nil)
			writeFile(t, path+"-journal", nil)
		},
		"a WAL that is still empty": func(t *testing.T, path string) {
			statements(t, path, `PRAGMA journal_mode = WAL`, header)
			writeFile(t, path+"-wal", nil)
			writeFile(t, path+"-shm", nil)
		},
		"the table of migrations": func(t *testing.T, path string) {
			withDB(t, path, func(*storage.DB) {})
			statements(t, path, `DELETE FROM goose_db_version WHERE version_id > 0`, `DROP TABLE meta`, `DROP TABLE segments`,
				`DROP TABLE segment_filters`, `DROP TABLE snapshots`, `DROP TABLE snapshot_parts`, `DROP TABLE append_keys`,
				`DROP TABLE cursors`)
		},
		"tables without a uuid": func(t *testing.T, path string) { withDB(t, path, func(*storage.DB) {}) },
		"a house without events": func(t *testing.T, path string) {
			h, err := statehouse.Open(path)
			if err == nil {
				err = h.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := tempDB(t)
			leave(t, path)
			h := openHouse(t, path, statehouse.Options{})
			if h.Now().Position() != 0 || h.Now().State.Entities.Len() != 0 {
				t.Errorf("it is not empty: %v", h)
			}
			mustAppend(t, h, check.SensorEvent("sensor.a", 1))
			uuid := h.Store().UUID()
			h = reopen(t, h, path)
			if s, ok := h.Now().State.Get("sensor.a"); !ok || check.SensorValue(s.Attributes) != 1 || h.Store().UUID() != uuid {
				t.Errorf("after a restart: %v, uuid %s, before %s", s, h.Store().UUID(), uuid)
			}
		})
	}
}

// Where there is no database there is nothing to verify or to repair, and none is made.
func TestThereIsNoDatabase(t *testing.T) {
	path, to := tempDB(t), tempDB(t)
	none := func(want error) {
		t.Helper()
		if _, err := statehouse.Verify(t.Context(), path, eventstore.InspectOptions{}); !errors.Is(err, want) {
			t.Errorf("verify: %v, want %v", err, want)
		}
		if _, err := statehouse.Repair(t.Context(), path, to, statehouse.RepairOptions{}); !errors.Is(err, want) {
			t.Errorf("repair: %v, want %v", err, want)
		}
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			t.Error("a database was made")
		}
		if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the output: %v", err)
		}
	}
	none(fs.ErrNotExist)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
	writeFile(t, path, nil)
	none(fs.ErrNotExist)
	writeFile(t, path+storage.AnchorSuffix, []byte("there was one"))
	none(storage.ErrDamaged)
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// statements runs statements on the file at path with nothing of ours set.
func statements(t *testing.T, path string, all ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, s := range all {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
