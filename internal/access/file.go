package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/statehouse/statehouse/storage"
)

// fileVersion is that of the form of the file.
const fileVersion = 1

// maxFile is how large the file can be, in bytes.
const maxFile = 64 << 20

// file is the JSON of the file. A bit that changes on the disk must not give anybody more than he had.
type file struct {
	Version int `json:"version"`
	// SHA256 is that of the tokens as they stand, without white space.
	SHA256 string          `json:"sha256"`
	Tokens json.RawMessage `json:"tokens"`
}

type storedToken struct {
	Token
	Secrets []storedSecret
}

type storedSecret struct {
	Hash  [sha256.Size]byte
	Until time.Time
}

type tokenJSON struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Scopes    []string     `json:"scopes"`
	Entities  []string     `json:"entities,omitempty"`
	CreatedAt time.Time    `json:"created_at"`
	RotatedAt time.Time    `json:"rotated_at,omitzero"`
	ExpiresAt time.Time    `json:"expires_at,omitzero"`
	Secrets   []secretJSON `json:"secrets"`
}

type secretJSON struct {
	SHA256 string    `json:"sha256"`
	Until  time.Time `json:"until,omitzero"`
}

// store writes the file; it needs mu.
func (t *Tokens) store() error {
	all := []tokenJSON{}
	for _, tok := range t.byID {
		j := tokenJSON{
			ID: tok.ID, Name: tok.Name, Scopes: tok.Scopes.Names(), Entities: tok.Entities,
			CreatedAt: tok.CreatedAt, RotatedAt: tok.RotatedAt, ExpiresAt: tok.ExpiresAt,
		}
		for _, s := range tok.secrets {
			j.Secrets = append(j.Secrets, secretJSON{SHA256: hex.EncodeToString(s.hash[:]), Until: s.until})
		}
		all = append(all, j)
	}
	tokens, err := json.Marshal(all)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(tokens)
	text, err := json.MarshalIndent(file{Version: fileVersion, SHA256: hex.EncodeToString(sum[:]), Tokens: tokens}, "", "  ")
	if err != nil {
		return err
	}
	if err = WriteFile(t.path, append(text, '\n')); err != nil {
		err = fmt.Errorf("tokens: %w", err)
	}
	t.fresh = t.fresh && undone(err)
	return err
}

// readFile is what the file holds.
func readFile(path string) ([]storedToken, error) {
	f, err := os.Open(path) //nolint:gosec // beside the user's own database
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxFile)
	}
	return parseFile(text)
}

// errDamaged says what to do about a file that is not as it was written.
var errDamaged = errors.New("the file is damaged; move it away, and a new first token is made")

func parseFile(text []byte) ([]storedToken, error) {
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if f.Version != fileVersion {
		return nil, fmt.Errorf("it is of version %d; this program knows %d", f.Version, fileVersion)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, f.Tokens); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if sum := sha256.Sum256(compact.Bytes()); hex.EncodeToString(sum[:]) != f.SHA256 {
		return nil, fmt.Errorf("%w: its checksum is not that of the tokens", errDamaged)
	}
	var all []tokenJSON
	if err := json.Unmarshal(compact.Bytes(), &all); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	var tokens []storedToken
	for _, j := range all {
		tok, err := j.token()
		if err != nil {
			return nil, fmt.Errorf("%w: token %.80q: %w", errDamaged, j.Name, err)
		}
		tokens = append(tokens, tok)
	}
	return tokens, nil
}

func (j tokenJSON) token() (storedToken, error) {
	scopes, err := ParseScopes(j.Scopes...)
	if err != nil {
		return storedToken{}, err
	}
	if len(j.ID) != idLen || len(j.Secrets) == 0 {
		return storedToken{}, errors.New("it has no id or no secret")
	}
	tok := storedToken{Token: Token{
		ID: j.ID, Spec: Spec{Name: j.Name, Scopes: scopes, Entities: j.Entities, ExpiresAt: j.ExpiresAt},
		CreatedAt: j.CreatedAt, RotatedAt: j.RotatedAt,
	}}
	if err := tok.check(time.Time{}); err != nil {
		return storedToken{}, err
	}
	for _, s := range j.Secrets {
		hash, err := hex.DecodeString(s.SHA256)
		if err != nil || len(hash) != sha256.Size {
			return storedToken{}, errors.New("a hash is none")
		}
		tok.Secrets = append(tok.Secrets, storedSecret{Hash: [sha256.Size]byte(hash), Until: s.Until})
	}
	return tok, nil
}

// WriteFile replaces a file with a secret in it: all of it or nothing, of mode 0600, and durable when it returns.
func WriteFile(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if undone(err) {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if err := storage.SyncDir(dir); err != nil {
		return fmt.Errorf("%w: %w", errNotSynced, err)
	}
	return nil
}

// errNotSynced says that a file has been replaced, and may be what it was after a power cut.
var errNotSynced = errors.New("it is written, and a power cut may undo that")

// undone says that nothing has been replaced.
func undone(err error) bool { return err != nil && !errors.Is(err, errNotSynced) }
