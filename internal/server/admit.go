package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// anyScope is the scope of routes for whoever may do anything at all.
const anyScope access.Scope = 1 << 7

// admit finds out who asks, and whether he may do what a route does; nil stands for a method that a pattern has not. The
// request that comes back knows who asks, and ends with him. end must be called at last.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, to *route) (_ *http.Request, end func(), err error) {
	end = func() {}
	who, err := s.identify(r)
	if to != nil && to.public {
		// Who he is matters to what he is told, and a wrong token not at all.
		return r.WithContext(access.With(r.Context(), who)), end, nil
	}
	if err != nil {
		return r, end, err
	}
	r = r.WithContext(access.With(r.Context(), who))
	if !who.Anybody() {
		return r, end, unauthenticated("this needs a token, in the header Authorization: Bearer <token>; " +
			"the first one is in the file beside the database that ends in .admin-token")
	}
	if to == nil || to.scope == anyScope {
		return r, end, nil
	}
	if !who.Has(to.scope) {
		return r, end, forbidden("the token %s has not the scope %s", who.Name(), to.scope)
	}
	if !to.partial && !who.Everywhere(to.scope) {
		return r, end, forbidden("the token %s is for some entities only, and this is about the whole house", who.Name())
	}
	r, end = bound(w, r, who)
	return r, end, nil
}

// bound is a request that ends with who asks: its context does, and its client has a second for what is on its way, however
// slowly it reads. end must be called before the handler returns.
func bound(w http.ResponseWriter, r *http.Request, who *access.Identity) (_ *http.Request, end func()) {
	if who.Done() == nil {
		return r, func() {}
	}
	ctx, cancel := who.Bind(r.Context())
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		if errors.Is(context.Cause(ctx), access.ErrEnded) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(lastWords))
		}
	})
	return r.WithContext(ctx), func() {
		if !stop() {
			<-ended // it uses the answer, which ends here
		}
		cancel()
	}
}

// identify is who asks: nobody where there is no token.
func (s *Server) identify(r *http.Request) (*access.Identity, error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		if doorOf(r.Context()) == doorSocket {
			return access.Owner(), nil
		}
		return &access.Identity{}, nil
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if len(header) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return nil, unauthenticated("the header Authorization must be given once, as in Authorization: Bearer <token>")
	}
	who, err := s.authenticate(r.RemoteAddr, strings.TrimSpace(token))
	if err != nil && !errors.Is(err, errNotReady) {
		s.metrics.refusedLogins.Inc()
	}
	var tooMany *access.TooManyError
	switch {
	case errors.As(err, &tooMany):
		return nil, &failure{
			status: http.StatusTooManyRequests, code: api.CodeTooManyLogins, message: tooMany.Error(),
			retryAfter: strconv.Itoa(int(tooMany.RetryAfter.Seconds()) + 1),
		}
	case errors.Is(err, errNotReady):
		return nil, err
	case err != nil:
		return nil, unauthenticated("this is no valid token; it may have been revoked, rotated, or have expired")
	}
	return who, nil
}

// authenticate is who has a token.
func (s *Server) authenticate(remoteAddr, token string) (*access.Identity, error) {
	if s.opts.Auth != nil {
		return s.opts.Auth.Authenticate(remoteAddr, token)
	}
	if tokens := s.tokens.Load(); tokens != nil {
		return tokens.Authenticate(remoteAddr, token)
	}
	if s.house.Load() == nil {
		return nil, errNotReady
	}
	return nil, access.ErrDenied
}

// errNotReady is the answer until there is a house.
var errNotReady error = &failure{
	status: http.StatusServiceUnavailable, code: api.CodeNotReady, retryAfter: "1",
	message: "the log is being read; /readyz tells when that is done",
}

// gone reports whether the client of a request does not want its answer any more, rather than that it must not have it.
func gone(r *http.Request) bool {
	return r.Context().Err() != nil && !errors.Is(context.Cause(r.Context()), access.ErrEnded)
}

// endOf is why a request ends: its error, unless it is that the token ended.
func endOf(r *http.Request, err error) error {
	if cause := context.Cause(r.Context()); errors.Is(cause, access.ErrEnded) {
		return cause
	}
	return err
}

// seenBy is what whoever asks may see, nil for everything.
func seenBy(r *http.Request) api.May {
	who := access.From(r.Context())
	if who.Everywhere(access.Read) {
		return nil
	}
	return func(entity string) bool { return who.May(access.Read, entity) }
}

// readable says why an entity's id is none, or none for whoever asks.
func readable(r *http.Request, id string) error {
	if err := eventstore.CheckEntityID(id); err != nil {
		return err
	}
	if who := access.From(r.Context()); !who.May(access.Read, id) {
		return forbidden("the token %s is not for %s", who.Name(), id)
	}
	return nil
}

type doorKey struct{}

// doorOf is the door that a request came through.
func doorOf(ctx context.Context) string {
	door, _ := ctx.Value(doorKey{}).(string)
	return door
}
