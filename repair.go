package statehouse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/storage"
)

// RepairOptions say how [Repair] goes about it.
type RepairOptions struct {
	// AcceptLoss says that events at the end of the log, which were acknowledged and are missing, are given up.
	AcceptLoss bool
	// Inspect is as for [House.Verify], and its projectors are not used.
	Inspect eventstore.InspectOptions
}

// ErrLoss means that events that were acknowledged are missing at the end of the log, and that nobody gave them up.
var ErrLoss = errors.New("acknowledged events are missing")

// Repair copies everything that can be read of the damaged database at path, which nobody may have open, into a new one
// at output, where nothing may be: see [eventstore.Store.Salvage] for what becomes of it. The database at path stays as it is.
// The new one is verified before Repair returns. An error leaves nothing at output. Errors: [ErrLoss], [fs.ErrExist] for
// the output, [fs.ErrNotExist] where there is no database at path, [storage.ErrNotWritable], [storage.ErrLocked], [storage.ErrDamaged] where SQLite can read nothing of the database, and others of
// reading and writing.
func Repair(ctx context.Context, path, output string, opts RepairOptions) (result eventstore.Salvaged, err error) {
	if _, err := os.Lstat(output); !errors.Is(err, fs.ErrNotExist) {
		return result, errors.Join(isThere(output), err)
	}
	db, err := storage.Open(ctx, path, storage.Options{ReadOnlyIfDamaged: true, Existing: true})
	if err != nil {
		return result, err
	}
	db.Preserve()
	defer func() { err = errors.Join(err, db.Close()) }()
	from, err := eventstore.Open(ctx, db, eventstore.Options{ReadOnlyIfDamaged: true})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	missing, err := from.Missing(ctx)
	if err == nil && missing != nil && !opts.AcceptLoss {
		err = fmt.Errorf("%w: %w", ErrLoss, missing)
	}
	if err != nil {
		return result, err
	}
	opts.Inspect.Projectors = freshProjectors()
	if err := create(output); err != nil {
		return result, err
	}
	if result, err = salvage(ctx, from, output, opts.Inspect); err != nil {
		return result, errors.Join(err, remove(output))
	}
	return result, nil
}

// create makes an empty file, which is nobody else's: another repair may have begun to write there meanwhile.
func create(output string) error {
	if err := os.MkdirAll(filepath.Dir(output), 0o700); err != nil {
		return fmt.Errorf("%w: %w", storage.ErrNotWritable, err)
	}
	f, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return isThere(output)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrNotWritable, err)
	}
	return f.Close()
}

func isThere(output string) error {
	return fmt.Errorf("%w: %s; name a file that is not there", fs.ErrExist, output)
}

// salvage makes the new database, and looks whether it is whole.
func salvage(ctx context.Context, from *eventstore.Store, output string, opts eventstore.InspectOptions) (eventstore.Salvaged, error) {
	db, err := storage.Open(ctx, output, storage.Options{})
	if err != nil {
		return eventstore.Salvaged{}, err
	}
	into, err := eventstore.Open(ctx, db, eventstore.Options{})
	if err != nil {
		return eventstore.Salvaged{}, errors.Join(err, db.Close())
	}
	result, err := from.Salvage(ctx, into, opts)
	if err = errors.Join(err, into.Close(), db.Close()); err != nil {
		return result, err
	}
	h, err := OpenContext(ctx, output, Options{})
	if err != nil {
		return result, err
	}
	err = h.Snapshot(ctx)
	if err == nil {
		err = h.store.Verify(ctx, freshProjectors()...)
	}
	return result, errors.Join(err, h.Close())
}

// remove removes a database and what is beside it.
func remove(path string) error {
	var errs []error
	for _, suffix := range [...]string{"", "-wal", "-shm", "-journal", ".lock", storage.AnchorSuffix} {
		if err := os.Remove(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
