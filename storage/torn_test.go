package storage

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// A power cut in the first transaction of a new file leaves a journal that says that the file was empty, and anything in
// the file: that is a new database, and stays one of ours.
func TestTornFirstTransaction(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "whole.db")
	if err := claim(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(whole)
	if err != nil || len(page) != pageSize {
		t.Fatalf("%d bytes: %v", len(page), err)
	}
	journal := make([]byte, 512)
	copy(journal, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7")
	binary.BigEndian.PutUint32(journal[12:], 7) // a nonce; no pages are recorded, and there were none
	binary.BigEndian.PutUint32(journal[20:], 512)
	binary.BigEndian.PutUint32(journal[24:], pageSize)
	for name, contents := range map[string][]byte{
		"nothing arrived":       make([]byte, pageSize),
		"anything is there":     bytes.Repeat([]byte{0xa5}, pageSize),
		"the beginning arrived": append(bytes.Clone(page[:512]), make([]byte, pageSize-512)...),
		"everything arrived":    page,
	} {
		torn := func(t *testing.T, byLink bool) {
			path := filepath.Join(t.TempDir(), "home.db")
			for file, data := range map[string][]byte{path: contents, path + "-journal": journal} {
				if err := os.WriteFile(file, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if byLink {
				link := filepath.Join(t.TempDir(), "link.db")
				if err := os.Symlink(path, link); err != nil {
					t.Fatal(err)
				}
				path = link
			}
			for range 2 {
				db, err := Open(context.Background(), path, Options{})
				if err != nil {
					t.Fatal(err)
				}
				var id, size int
				err = db.Reader().QueryRow(`PRAGMA application_id`).Scan(&id)
				if err == nil {
					err = db.Reader().QueryRow(`PRAGMA page_size`).Scan(&size)
				}
				if err != nil || id != applicationID || size != pageSize {
					t.Errorf("application id %#x, page size %d: %v", id, size, err)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Run(name, func(t *testing.T) { torn(t, false) })
		t.Run(name+", behind a link", func(t *testing.T) { torn(t, true) })
	}
}
