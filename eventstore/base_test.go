package eventstore

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/storage"
)

// A base that is whole in itself and that no event attests is found.
func TestInspectFindsABaseThatNobodyAttests(t *testing.T) {
	db, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), db, Options{SealAfter: -1})
	if err == nil {
		err = s.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Append(t.Context(), Batch{Events: []Event{systemEvent(1)}}); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := s.Compact(t.Context(), 2, CompactOptions{}); err != nil || c.Base != 2 {
		t.Fatal(c, err)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	real := *s.base.Load()
	for name, change := range map[string]func(*base){
		"another time":     func(b *base) { b.recorded++ },
		"another chain":    func(b *base) { b.chain[0]++ },
		"another position": func(b *base) { b.position-- },
	} {
		other := real
		change(&other)
		s.base.Store(&other)
		if err := s.Verify(t.Context()); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "no event says that they were removed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.base.Store(&real)
	if err := errors.Join(s.Verify(t.Context()), s.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}
