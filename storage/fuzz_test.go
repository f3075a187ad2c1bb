package storage_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/statehouse/statehouse/storage"
)

// FuzzHolder: whatever the lock file says, it is read or refused.
func FuzzHolder(f *testing.F) {
	for _, s := range []string{"", `{"pid":12,"url":"http://127.0.0.1:8321"}`, `{"pid":"x"}`, "null", "[]", "\x00", `{"pid":1}{`} {
		f.Add([]byte(s))
	}
	path := filepath.Join(f.TempDir(), "home.db")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path+".lock", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if h, err := storage.ReadHolder(path); err != nil && h != (storage.Holder{}) {
			t.Errorf("%q: %+v and %v", text, h, err)
		}
	})
}
