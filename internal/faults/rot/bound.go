package rot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/statehouse/statehouse/eventstore"
)

// rows are the segments of a log as SQLite alone reads them, by their last positions: a row is the first position and a hash of
// all of it. A damage may cost the events of those rows that do not read back as they were written, and no others.
type rows map[eventstore.Position]row

type row struct {
	first eventstore.Position
	sum   string
}

// readRows reads those of a house, of copies of its files. What SQLite cannot read is not among them: wanted says which rows
// are asked for, one after another, so that one costs none of the others; nil asks for all that there are.
func readRows(ctx context.Context, dir string, house files, wanted rows) (found rows, err error) {
	dir = filepath.Join(dir, "rows")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := house.write(dir); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }() // which may not go, with a damaged one
	found = rows{}
	if wanted == nil {
		return found, found.read(ctx, db, "")
	}
	for last := range wanted {
		_ = found.read(ctx, db, fmt.Sprintf(" WHERE last_position = %d", last)) // it is not readable
	}
	return found, ctx.Err()
}

func (r rows) read(ctx context.Context, db *sql.DB, where string) (err error) {
	all, err := db.QueryContext(ctx, "SELECT last_position, first_position, * FROM segments"+where)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	columns, err := all.Columns()
	if err != nil {
		return err
	}
	for all.Next() {
		var last, first int64
		values, into := make([]any, len(columns)), []any{&last, &first}
		for i := range values[2:] {
			into = append(into, &values[2+i])
		}
		if err := all.Scan(into...); err != nil {
			return err
		}
		r[eventstore.Position(last)] = row{eventstore.Position(first), sum(values[2:]...)}
	}
	return all.Err()
}

// spared are the positions whose rows read back as they were.
func (r *runner) spared(ctx context.Context, dir string, house files) (map[eventstore.Position]bool, error) {
	found, err := readRows(ctx, dir, house, r.rows)
	spared := map[eventstore.Position]bool{}
	for last, was := range r.rows {
		for at := was.first; at <= last && found[last] == was; at++ {
			spared[at] = true
		}
	}
	return spared, err
}

// tooMuch says which event is not answered though the damage spared it: a reader that comes from the beginning gets as far as the
// damage, and so does one that comes from the end.
func (r *runner) tooMuch(a *answers, spared map[eventstore.Position]bool) error {
	for _, step := range [...]int{1, -1} {
		at := 1
		if step < 0 {
			at = int(r.asker.last)
		}
		for ; spared[eventstore.Position(at)]; at += step {
			if a.events[eventstore.Position(at)] == "" {
				return fmt.Errorf("the event at position %d, which is not damaged, cannot be read; it reported %q", at, a.reports)
			}
		}
	}
	return nil
}
