package server

import (
	"net/http"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// getInfo answers GET /v1/info.
func (s *Server) getInfo(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if p := newParams(r); p.err != nil {
		return p.err
	}
	m := h.Now()
	if !access.From(r.Context()).Everywhere(access.Read) { // of the rest he sees some entities only
		return writeJSON(w, http.StatusOK, api.Info{
			Health: api.Health{Status: s.health().Status, Position: m.Position()}, Version: s.opts.Version, Database: h.Store().UUID(),
		})
	}
	info := api.Info{
		Health: s.health(), Version: s.opts.Version, Database: h.Store().UUID(),
		Entities: m.State.Entities.Len(), Devices: m.Registry.Devices.Len(), Areas: m.Registry.Areas.Len(),
		Recovered: api.NewRecovered(h.Recovered()), Verified: s.opts.Verifier.Verified(),
	}
	info.Position = m.Position()
	if at := h.Store().Stats().HeadRecorded; !at.IsZero() {
		info.RecordedAt = &at
	}
	if base, recorded := h.Base(); base > 0 {
		info.Oldest = &api.Oldest{Position: base, RecordedAt: recorded}
	}
	return writeJSON(w, http.StatusOK, info)
}

// getRegistry answers GET /v1/registry?at=.
func (s *Server) getRegistry(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	p := newParams(r, "at")
	at := p.at("at")
	if p.err != nil {
		return p.err
	}
	m, as, err := at.Moment(r.Context(), h)
	if err != nil {
		return err
	}
	if notModified(w, r, h, at, as) {
		return nil
	}
	registry := api.NewRegistry(m.Registry, as)
	if may := seenBy(r); may != nil {
		registry = registry.Restrict(may)
	}
	return writeJSON(w, http.StatusOK, registry)
}
