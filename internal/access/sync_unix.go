//go:build unix

package access

import (
	"errors"
	"os"
)

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // beside the user's own database
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
