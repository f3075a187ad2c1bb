package statehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/storage"
)

// Verify walks everything that is stored: the log, its segments and chain, their filters, and the snapshots, which are
// compared with a fold of the log of their own. It may run beside everything else; see [eventstore.Store.Inspect], whose
// options are taken but for the projectors.
func (h *House) Verify(ctx context.Context, opts eventstore.InspectOptions) (eventstore.Inspection, error) {
	opts.Projectors = freshProjectors()
	return h.store.Inspect(ctx, opts)
}

// Verify is [House.Verify] for the database at path, which nobody may have open. It does not start the house, and so
// can look at one that does not start because it is damaged. Where there is none the error matches [fs.ErrNotExist].
func Verify(ctx context.Context, path string, opts eventstore.InspectOptions) (result eventstore.Inspection, err error) {
	db, err := storage.Open(ctx, path, storage.Options{ReadOnlyIfDamaged: true, Existing: true})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := eventstore.Open(ctx, db, eventstore.Options{ReadOnlyIfDamaged: true})
	if storage.IsDamage(err) {
		err = fmt.Errorf("%w: %w", storage.ErrDamaged, err)
	}
	if err != nil {
		return result, err
	}
	opts.Projectors = freshProjectors()
	result, err = store.Inspect(ctx, opts)
	return result, errors.Join(err, store.Close())
}

// freshProjectors are those of a house whose snapshots can be compared.
func freshProjectors() []eventstore.Projector {
	return []eventstore.Projector{state.New(), registry.New()}
}

// Path is the absolute path of the database file. The files beside it whose names begin with it belong to it. None of
// them may be opened while the house is: closing it again would drop SQLite's locks.
func (h *House) Path() string { return h.db.Path() }
