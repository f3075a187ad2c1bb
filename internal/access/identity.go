package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Scope is a set of things that may be done.
type Scope uint8

// The scopes. Each stands for itself, but Admin, which has all of them.
const (
	// Read reads: states, registry, history, the log, the stream of changes, metrics.
	Read Scope = 1 << iota
	// Write appends events, and edits what entities, devices and areas are called.
	Write
	// Command has devices do something.
	Command
	// Admin looks after the store and the tokens: snapshots, verification, removal of history.
	Admin
)

// scopeNames are the scopes in the order in which they are written.
var scopeNames = []struct {
	scope Scope
	name  string
}{{Read, "read"}, {Write, "write"}, {Command, "command"}, {Admin, "admin"}}

// String is the names, separated by commas; empty for the empty set.
func (s Scope) String() string { return strings.Join(s.Names(), ",") }

// Names are the names of the scopes in the set.
func (s Scope) Names() []string {
	var names []string
	for _, n := range scopeNames {
		if s&n.scope != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

// ParseScopes makes a set of names.
func ParseScopes(names ...string) (Scope, error) {
	var s Scope
next:
	for _, name := range names {
		for _, n := range scopeNames {
			if n.name == name {
				s |= n.scope
				continue next
			}
		}
		return 0, fmt.Errorf("%w: scope %.40q: there are read, write, command and admin", ErrInvalid, name)
	}
	return s, nil
}

// has reports whether all scopes of want are in the set.
func (s Scope) has(want Scope) bool {
	if want == 0 {
		return false // what names no scope is nobody's
	}
	return s&Admin != 0 || s&want == want
}

// Identity is who asks. It does not change. The zero value, and nil, is nobody.
type Identity struct {
	name   string
	scopes Scope
	// entities are patterns; none means every entity.
	entities []string
	// done is closed when the identity is nobody's any more; nil means never.
	done <-chan struct{}
}

// Owner is the identity of the user that the database's files belong to: whoever can open the unix socket.
func Owner() *Identity { return &Identity{name: "local", scopes: Admin} }

// NewIdentity is an identity of any name, for tests and programs that have their own way to know who asks. done is closed
// when it ends; nil means never.
func NewIdentity(name string, scopes Scope, entities []string, done <-chan struct{}) *Identity {
	return &Identity{name: name, scopes: scopes, entities: slices.Clone(entities), done: done}
}

// Name is the token's name, "local" for the owner, and empty for nobody.
func (i *Identity) Name() string {
	if i == nil {
		return ""
	}
	return i.name
}

// Source is the Source of the events that come of what the identity asks: "api:" and its name.
func (i *Identity) Source() string { return "api:" + i.Name() }

// Anybody reports whether somebody asks at all.
func (i *Identity) Anybody() bool { return i.Name() != "" }

// Has reports whether the identity has all scopes of s, perhaps for some entities only. No scope at all is nobody's.
func (i *Identity) Has(s Scope) bool { return i != nil && i.name != "" && i.scopes.has(s) }

// Everywhere reports whether it has the scopes for everything: what is about no entity, or about all of them.
func (i *Identity) Everywhere(s Scope) bool { return i.Has(s) && len(i.entities) == 0 }

// May reports whether it has the scopes for an entity, by its id as it is stored: whoever takes an id from outside looks it
// up first. The empty id, of what is about no entity, is for those who may do everything.
func (i *Identity) May(s Scope, entity string) bool {
	if !i.Has(s) {
		return false
	}
	if len(i.entities) == 0 {
		return true
	}
	return entity != "" && slices.ContainsFunc(i.entities, func(p string) bool { return Match(p, entity) })
}

// Entities are the patterns that it is restricted to; nil means that it is not.
func (i *Identity) Entities() []string {
	if i == nil {
		return nil
	}
	return slices.Clone(i.entities)
}

// Done is closed when the identity ends: its token was revoked or rotated, or has expired. Streams end with it. It is nil
// for one that never does.
func (i *Identity) Done() <-chan struct{} {
	if i == nil {
		return nil
	}
	return i.done
}

// Ended is [ErrEnded] for an identity that has ended, nil for one that has not: what is about to be done is done only as long as
// it has not, however long it took until all of the request was there.
func (i *Identity) Ended() error {
	select {
	case <-i.Done(): // nil never is
		return ErrEnded
	default:
		return nil
	}
}

// Match reports whether an id matches a pattern, in which "*" stands for any number of characters. It takes time in
// proportion to the product of their lengths at worst.
func Match(pattern, id string) bool {
	// The usual greedy match: of several stars only the last one needs to be tried again.
	var p, i int
	star, mark := -1, 0
	for i < len(id) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == id[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

type contextKey struct{}

// With is a context of what an identity asks.
func With(ctx context.Context, i *Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, i)
}

// From is who asks; nobody where the context does not say. It is never nil.
func From(ctx context.Context) *Identity {
	if i, ok := ctx.Value(contextKey{}).(*Identity); ok && i != nil {
		return i
	}
	return &Identity{}
}

// Bind is a context that ends with the identity, for what goes on for long: its cause is [ErrEnded] then. cancel gives back
// what it takes.
func (i *Identity) Bind(ctx context.Context) (_ context.Context, cancel func()) {
	ctx, end := context.WithCancelCause(ctx)
	done := i.Done()
	if done == nil {
		return ctx, func() { end(context.Canceled) }
	}
	go func() {
		select {
		case <-done:
			end(ErrEnded)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { end(context.Canceled) }
}
