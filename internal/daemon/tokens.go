package daemon

import (
	"context"
	"fmt"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/storage"
)

// TokensPath is where the tokens of a database are, as hashes.
func TokensPath(db string) string { return storage.Beside(db, ".tokens") }

// FirstTokenPath is where the first token of a database is, of mode 0600, for its owner to read.
func FirstTokenPath(db string) string { return storage.Beside(db, ".admin-token") }

// firstToken makes the first token, in a file of its own and nowhere else, unless there have been tokens before.
func (d *Daemon) firstToken(ctx context.Context) error {
	if !d.tokens.Fresh() {
		return nil
	}
	path := FirstTokenPath(d.cfg.DB)
	by := eventstore.Event{Source: source, CorrelationID: d.run, CausePosition: d.started}
	_, err := api.CreateTokenIn(ctx, d.house, d.tokens, by, api.TokenSpec{Name: "admin", Scopes: access.Admin.Names()}, path)
	if err != nil {
		return fmt.Errorf("the first token: %w", err)
	}
	d.log.Info("made the first token; it is in a file that only this user can read", "file", path)
	return nil
}
