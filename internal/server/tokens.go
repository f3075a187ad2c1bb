package server

import (
	"net/http"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// withTokens is a handler that needs the house and its tokens.
func (s *Server) withTokens(f func(t *access.Tokens, h *statehouse.House, w http.ResponseWriter, r *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return s.withHouse(func(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
		tokens := s.tokens.Load()
		if tokens == nil {
			return notFound("this server has no tokens of its own")
		}
		return f(tokens, h, w, r)
	})
}

// getTokens answers GET /v1/tokens.
func (s *Server) getTokens(t *access.Tokens, _ *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if p := newParams(r); p.err != nil {
		return p.err
	}
	return writeJSON(w, http.StatusOK, api.ListTokens(t))
}

// postToken answers POST /v1/tokens: it makes one, and says what somebody has to know for it, once.
func (s *Server) postToken(t *access.Tokens, h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	var spec api.TokenSpec
	if err := readJSON(r, &spec); err != nil {
		return err
	}
	made, err := api.CreateToken(r.Context(), h, t, sourceOf(r), spec)
	if err != nil {
		return err
	}
	s.opts.Logger.Info("a token was made", "name", made.Name, "id", made.ID, "scopes", made.Scopes, "by", sourceOf(r))
	return writeJSON(w, http.StatusOK, made)
}

// rotateToken answers POST /v1/tokens/{name}/rotate.
func (s *Server) rotateToken(t *access.Tokens, h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	var rotation api.TokenRotation
	if err := readJSON(r, &rotation); err != nil {
		return err
	}
	made, err := api.RotateToken(r.Context(), h, t, sourceOf(r), r.PathValue("name"), rotation)
	if err != nil {
		return err
	}
	s.opts.Logger.Info("a token has another secret", "name", made.Name, "id", made.ID, "by", sourceOf(r))
	return writeJSON(w, http.StatusOK, made)
}

// deleteToken answers DELETE /v1/tokens/{name}.
func (s *Server) deleteToken(t *access.Tokens, h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if p := newParams(r); p.err != nil {
		return p.err
	}
	if r.ContentLength != 0 {
		return invalid("a DELETE request takes no body")
	}
	revoked, err := api.RevokeToken(r.Context(), h, t, sourceOf(r), r.PathValue("name"))
	if revoked.ID != "" {
		s.opts.Logger.Info("a token was revoked", "name", revoked.Name, "id", revoked.ID, "by", sourceOf(r))
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, revoked)
}
