package powercut

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/check"
)

// oldEvents is how many events a database of the first version has.
const oldEvents = 40

// makeOld makes a database as the first version wrote it, with a few events: the first migration's schema, and rows,
// whose format does not change.
func makeOld(ctx context.Context, path string) (err error) {
	h, err := statehouse.OpenContext(ctx, path+".new", statehouse.Options{})
	if err != nil {
		return err
	}
	for i := range oldEvents {
		e := check.SensorEvent("sensor.old", float64(-1-i))
		if _, appended := h.Append(ctx, e); appended != nil {
			err = errors.Join(err, appended)
		}
	}
	if err := errors.Join(err, h.Close()); err != nil {
		return err
	}
	module, err := sources(ctx)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=page_size(2048)&_pragma=journal_mode(WAL)")
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, db.Close(), os.Remove(path+".new"), os.Remove(path+".new.lock"),
			os.Remove(path+".new.anchor"))
	}()
	db.SetMaxOpenConns(1) // ATTACH is a connection's
	if _, err := db.ExecContext(ctx, `PRAGMA application_id = 0x53544853`); err != nil {
		return err
	}
	migrations, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS(filepath.Join(module, "storage", "migrations")))
	if err != nil {
		return err
	}
	if _, err := migrations.UpTo(ctx, 1); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `ATTACH ? AS new; INSERT INTO meta SELECT key, value FROM new.meta;
		INSERT INTO segments SELECT * FROM new.segments; DETACH new`, path+".new")
	return err
}

// sources is the directory of this module.
func sources(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the sources: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("find the sources: run this in the repository")
	}
	return filepath.Dir(file), nil
}
