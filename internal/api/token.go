package api

import (
	"context"
	"fmt"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/access"
)

// Token is what is known of a token; its secret is not.
type Token struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Scopes are of read, write, command and admin.
	Scopes []string `json:"scopes"`
	// Entities are patterns of the ids that it is for; left out where that is every entity.
	Entities  []string  `json:"entities,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	RotatedAt time.Time `json:"rotated_at,omitzero"`
	// ExpiresAt is left out where it never does.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Expired says that it has.
	Expired bool `json:"expired,omitempty"`
}

// Tokens are all tokens, by name.
type Tokens struct {
	Tokens []Token `json:"tokens"`
}

// TokenSpec is what a new token is to be; see [access.Spec].
type TokenSpec struct {
	Name     string   `json:"name"`
	Scopes   []string `json:"scopes"`
	Entities []string `json:"entities,omitempty"`
	// ExpiresAt is nil where it never does.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// TokenRotation says how a token gets another secret.
type TokenRotation struct {
	// GraceSeconds is how long the secret that it had still goes; 0 means not at all.
	GraceSeconds uint32 `json:"grace_seconds,omitempty"`
}

// IssuedToken is a token with the one copy of its secret.
type IssuedToken struct {
	Token
	Secret string `json:"token"`
}

// NewToken is a token as it goes over the wire.
func NewToken(t access.Token) Token {
	return Token{
		ID: t.ID, Name: t.Name, Scopes: t.Scopes.Names(), Entities: t.Entities, CreatedAt: t.CreatedAt, RotatedAt: t.RotatedAt,
		ExpiresAt: t.ExpiresAt, Expired: t.Expired(time.Now()),
	}
}

// ListTokens are all tokens.
func ListTokens(tokens *access.Tokens) Tokens {
	list := Tokens{Tokens: []Token{}}
	for _, t := range tokens.List() {
		list.Tokens = append(list.Tokens, NewToken(t))
	}
	return list
}

// CreateToken makes a token, and records that source did. It is recorded first: what exists is in the log.
func CreateToken(ctx context.Context, h *statehouse.House, tokens *access.Tokens, source string, spec TokenSpec) (IssuedToken, error) {
	return CreateTokenIn(ctx, h, tokens, eventstore.Event{Source: source}, spec, "")
}

// CreateTokenIn is [CreateToken] that also writes the secret to a file, of mode 0600, before the token is one: whatever
// happens in between, there is no token that nobody has. by has the source, the correlation and the cause of the event.
func CreateTokenIn(ctx context.Context, h *statehouse.House, tokens *access.Tokens, by eventstore.Event, spec TokenSpec, file string) (IssuedToken, error) {
	scopes, err := access.ParseScopes(spec.Scopes...)
	if err != nil {
		return IssuedToken{}, err
	}
	s := access.Spec{Name: spec.Name, Scopes: scopes, Entities: spec.Entities}
	if at := spec.ExpiresAt; at != nil {
		if s.ExpiresAt = *at; at.IsZero() { // which is no word for never
			s.ExpiresAt = at.Add(1)
		}
	}
	draft, err := tokens.Draft(s)
	if err != nil {
		return IssuedToken{}, err
	}
	if err := recordToken(ctx, h, by, "token_created", draft.Token()); err != nil {
		return IssuedToken{}, err
	}
	if file != "" {
		if err := access.WriteFile(file, []byte(draft.Text()+"\n")); err != nil {
			return IssuedToken{}, err
		}
	}
	made, err := tokens.Add(draft)
	if err != nil {
		return IssuedToken{}, err
	}
	return IssuedToken{Token: NewToken(made), Secret: draft.Text()}, nil
}

// RotateToken gives a token another secret, and records that source did. One that has expired gets none, which is
// [access.ErrInvalid]: it would be no token either.
func RotateToken(ctx context.Context, h *statehouse.House, tokens *access.Tokens, source, name string, r TokenRotation) (IssuedToken, error) {
	t, err := tokens.Get(name)
	if err != nil {
		return IssuedToken{}, err
	}
	if t.Expired(time.Now()) {
		return IssuedToken{}, fmt.Errorf("%w: the token %s has expired at %s; revoke it, and make another one", access.ErrInvalid, t.Name,
			t.ExpiresAt.UTC().Format(time.RFC3339))
	}
	if err := recordToken(ctx, h, eventstore.Event{Source: source}, "token_rotated", t); err != nil {
		return IssuedToken{}, err
	}
	made, text, err := tokens.Rotate(t.ID, time.Duration(r.GraceSeconds)*time.Second)
	if err != nil {
		return IssuedToken{}, err
	}
	return IssuedToken{Token: NewToken(made), Secret: text}, nil
}

// RevokeToken makes a token none, and records that source did. It is revoked first, and is so also where that cannot be
// recorded, which is an error then.
func RevokeToken(ctx context.Context, h *statehouse.House, tokens *access.Tokens, source, name string) (Token, error) {
	t, err := tokens.Revoke(name)
	if err != nil {
		return Token{}, err
	}
	if err := recordToken(context.WithoutCancel(ctx), h, eventstore.Event{Source: source}, "token_revoked", t); err != nil {
		return NewToken(t), fmt.Errorf("the token is revoked, and the log does not say so: %w", err)
	}
	return NewToken(t), nil
}

// recordToken records what happened to a token: its name and what it may do, never its secret or the hash.
func recordToken(ctx context.Context, h *statehouse.House, by eventstore.Event, what string, t access.Token) error {
	by.Payload = &eventv1.Payload{Kind: &eventv1.Payload_System{System: &eventv1.System{What: what, Subject: t.Name, Detail: t.String()}}}
	if _, err := h.Append(ctx, by); err != nil {
		return fmt.Errorf("record what happens to the token: %w", err)
	}
	return nil
}
