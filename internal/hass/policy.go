package hass

import (
	"net/http"

	"github.com/statehouse/statehouse/internal/access"
)

// policy is what a command or a route needs. The zero policy lets nobody in.
type policy struct {
	// scope is what whoever asks must have, perhaps for some entities only: what it is about is looked at where it is done.
	scope access.Scope
	// anybody says that no scope is needed, and an identity is.
	anybody bool
	// everywhere says that the scope must be for everything.
	everywhere bool
}

var (
	anybody = policy{anybody: true}
	reading = policy{scope: access.Read}
	// firing is about no entity.
	firing     = policy{scope: access.Write, everywhere: true}
	writing    = policy{scope: access.Write}
	commanding = policy{scope: access.Command}
)

// check fails where an identity may not.
func (p policy) check(who *access.Identity) error {
	switch {
	case !who.Anybody():
		return &failure{http.StatusUnauthorized, codeUnauthorized, "401: Unauthorized"}
	case p.anybody, !p.everywhere && who.Has(p.scope), p.everywhere && who.Everywhere(p.scope):
		return nil
	case who.Has(p.scope):
		return &failure{http.StatusForbidden, codeUnauthorized, "Unauthorized: the token is restricted to some entities, and this is about everything"}
	default:
		return &failure{http.StatusForbidden, codeUnauthorized, "Unauthorized: this needs a token with the scope " + p.scope.String()}
	}
}
