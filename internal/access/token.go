package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Limits of what a token may be.
const (
	// MaxTokens is how many tokens a database may have.
	MaxTokens = 1000
	// MaxPatterns is how many patterns a token may have, and MaxPattern how long one may be, in bytes.
	MaxPatterns = 64
	MaxPattern  = 255
)

// prefix begins every token, so that a leaked one is recognised as what it is.
const prefix = "sth_"

// Sizes in characters of the parts of a token, which stand for 50 and 256 bits.
const (
	idLen     = 10
	secretLen = 52
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newSecret is a token for an id.
func newSecret(id string) string {
	var bits [32]byte
	_, _ = rand.Read(bits[:]) // it does not fail
	return prefix + id + "_" + encoding.EncodeToString(bits[:])
}

func newID() string {
	var bits [8]byte
	_, _ = rand.Read(bits[:])
	return encoding.EncodeToString(bits[:])[:idLen]
}

// split is the id of something in the form of a token.
func split(token string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(token, prefix)
	if !ok || len(rest) != idLen+1+secretLen || rest[idLen] != '_' {
		return "", false
	}
	return rest[:idLen], true
}

func hashOf(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// Redact is a text without the secrets of tokens in it, for what is logged of what came from outside.
func Redact(text string) string {
	if !strings.Contains(text, prefix) {
		return text
	}
	return looksLikeToken.ReplaceAllString(text, prefix+"${1}_(redacted)")
}

// Also one that was cut off, or something else in its alphabet.
var looksLikeToken = regexp.MustCompile(prefix + `([a-z2-7]{10})[_%][0-9A-Za-z_%-]*`)

// Spec is what a new token is to be.
type Spec struct {
	// Name is what the token is called: a-z, 0-9, and "_", "-", "." inside, 64 characters at most. It is the Source of
	// what is done with it, as "api:<name>".
	Name string
	// Scopes is what may be done with it, at least one thing.
	Scopes Scope
	// Entities are patterns of the ids of the entities it is for, in which "*" stands for any number of characters; none
	// means everything. Admin cannot be restricted.
	Entities []string
	// ExpiresAt is from when on it is no token any more; the zero time means never.
	ExpiresAt time.Time
}

var (
	nameForm    = regexp.MustCompile(`^[a-z0-9]([a-z0-9_.-]{0,62}[a-z0-9])?$`)
	patternForm = regexp.MustCompile(`^[a-z0-9_.*]+$`)
)

// check says what is wrong with it.
func (s Spec) check(now time.Time) error {
	switch {
	case !nameForm.MatchString(s.Name):
		return fmt.Errorf("%w: name %.80q: write a-z, 0-9 and, inside, \"_\", \"-\" and \".\", 64 characters at most, as in grafana", ErrInvalid, s.Name)
	case s.Name == Owner().name:
		return fmt.Errorf("%w: the name %q is the owner's, who comes through the unix socket; choose another", ErrInvalid, s.Name)
	case s.Scopes == 0:
		return fmt.Errorf("%w: it needs a scope: read, write, command or admin", ErrInvalid)
	case s.Scopes&Admin != 0 && len(s.Entities) > 0:
		return fmt.Errorf("%w: an admin may do everything, and cannot be restricted to entities; give it other scopes", ErrInvalid)
	case len(s.Entities) > MaxPatterns:
		return fmt.Errorf("%w: %d patterns of entities; at most %d are possible", ErrInvalid, len(s.Entities), MaxPatterns)
	case !s.ExpiresAt.IsZero() && !s.ExpiresAt.After(now):
		return fmt.Errorf("%w: it would have expired at %s already", ErrInvalid, s.ExpiresAt.UTC().Format(time.RFC3339))
	}
	for _, p := range s.Entities {
		if len(p) > MaxPattern || !patternForm.MatchString(p) {
			return fmt.Errorf("%w: entities %.80q: write an entity's id, with * for any characters, as in light.* or sensor.attic_*", ErrInvalid, p)
		}
	}
	return nil
}

// Token is what is known of a token; the secret is not.
type Token struct {
	// ID is the public part of it, which is in the token itself.
	ID string
	Spec
	// CreatedAt is when it was made, RotatedAt when its secret was last replaced, the zero time for never.
	CreatedAt, RotatedAt time.Time
}

// Expired reports whether it is no token any more.
func (t Token) Expired(now time.Time) bool { return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt) }

// String names a token and says what it may do, for events and logs.
func (t Token) String() string {
	text := t.Name
	if t.ID != "" {
		text += " (" + t.ID + ")"
	}
	text += ": " + t.Scopes.String()
	if len(t.Entities) > 0 {
		text += " of " + strings.Join(t.Entities, ", ")
	}
	if !t.ExpiresAt.IsZero() {
		text += " until " + t.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return text
}
