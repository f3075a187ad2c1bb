package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/storage"
)

// verifyCmd checks a database the long way.
type verifyCmd struct{}

// Help implements [kong.HelpProvider].
func (*verifyCmd) Help() string {
	return `Reads the whole log: every position is there once, every checksum and the chain fit, and the present is what the events make of it. No daemon may have the database open.

Examples:

    statehouse verify
    statehouse verify --db backup/home.db && echo good`
}

// Run implements the command.
func (c *verifyCmd) Run(a *app) error {
	if a.flags.Server != "" {
		return usagef("verify reads a database file; name it with --db and not --server")
	}
	began := time.Now()
	h, err := a.openHouse()
	if errors.Is(err, storage.ErrLocked) {
		return fmt.Errorf("%w; stop the daemon, or verify a copy", err)
	}
	if err != nil {
		return err
	}
	if err := check.House(a.ctx, h); err != nil {
		return errors.Join(err, h.Close())
	}
	now := h.Now()
	if err := h.Close(); err != nil {
		return err
	}
	return a.printf("%s: %s and %s are what was written (%s)\n", a.flags.DB, counted(now.Position(), "event"),
		counted(now.State.Entities.Len(), "state"), time.Since(began).Round(time.Millisecond))
}
