package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/statehouse/statehouse/internal/daemon"
)

// FuzzConfig: whatever the configuration file says, it is taken or refused as a configuration.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		"", "db: x\n", "mqtt:\n  users:\n    - name: a\n      password: b\n      publish: ['#']\n", "verify_every: 0\n", "a: &a [*a]\n", "---\n---\n",
		"mqtt: {limits: {session_expiry: 1h}}", "zigbee2mqtt: {silent_after: soon}", "\t", "? [a]\n: b\n", "max_entities: 1e99", "\xff",
	} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "config.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readConfigFile(path, true)
		if err != nil && !errors.Is(err, daemon.ErrConfig) {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil {
			c.config.SetDefaults()
			_ = c.config.Redacted()
		}
	})
}
