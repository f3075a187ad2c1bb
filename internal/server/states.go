package server

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/timeline"
)

// getStates answers GET /v1/states?domain=&area=&q=.
func (s *Server) getStates(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	p := newParams(r, "domain", "area", "q")
	domains := p.domains("domain")
	area, q := p.one("area"), strings.ToLower(p.one("q"))
	if p.err != nil {
		return p.err
	}
	m := h.Now()
	if notModified(w, r, h, m) {
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodHead {
		return nil
	}
	// One state after another: the whole would be in memory twice.
	var buf bytes.Buffer
	fmt.Fprintf(&buf, `{"position":%d,"states":[`, m.Position())
	first := true
	for _, id := range sortedIDs(m, filter{domains: domains}) {
		st, err := stateOf(m, id)
		if err != nil {
			return err
		}
		if area != "" && !strings.EqualFold(st.Area, area) && !strings.EqualFold(st.AreaName, area) {
			continue
		}
		if !strings.Contains(id, q) && !strings.Contains(strings.ToLower(st.Name), q) {
			continue
		}
		if !first {
			buf.WriteByte(',')
		}
		first = false
		if err := appendJSON(&buf, st); err != nil {
			return err
		}
		buf.Truncate(buf.Len() - 1) // the newline
		if buf.Len() > 32<<10 {
			if _, err := buf.WriteTo(w); err != nil {
				return nil // the client is gone
			}
		}
	}
	buf.WriteString("]}\n")
	_, _ = buf.WriteTo(w)
	return nil
}

// getState answers GET /v1/states/{entity_id}.
func (s *Server) getState(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	if p := newParams(r); p.err != nil {
		return p.err
	}
	id := r.PathValue("entity_id")
	if err := eventstore.CheckEntityID(id); err != nil {
		return err
	}
	m := h.Now()
	if _, ok := m.State.Get(id); !ok {
		if _, known := m.Registry.Entity(id); known {
			return notFound("%s has no state: it is disabled", id)
		}
		return notFound("there is no %s; /v1/states lists what there is", id)
	}
	if notModified(w, r, h, m) {
		return nil
	}
	st, err := stateOf(m, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, st)
}

// stateOf is the state of an entity that the moment has.
func stateOf(m timeline.Moment, id string) (api.State, error) {
	st, _ := m.State.Get(id)
	return api.NewState(m, st)
}

// filter chooses entities; the zero filter chooses all.
type filter struct{ entities, domains []string }

func (f filter) all() bool { return len(f.entities) == 0 && len(f.domains) == 0 }

func (f filter) match(id string) bool {
	if len(f.entities) > 0 && !slices.Contains(f.entities, id) {
		return false
	}
	domain, _, _ := strings.Cut(id, ".")
	return len(f.domains) == 0 || slices.Contains(f.domains, domain)
}

// sortedIDs are the ids of the entities that have a state and that a filter chooses.
func sortedIDs(m timeline.Moment, f filter) []string {
	var ids []string
	for id := range m.State.Entities.All() {
		if f.match(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// notModified sets the ETag of a moment, and answers 304 if the client has it.
func notModified(w http.ResponseWriter, r *http.Request, h *statehouse.House, m timeline.Moment) bool {
	tag := `"` + newCursor(h, m.Position()).String() + `"`
	w.Header().Set("ETag", tag)
	for _, header := range r.Header.Values("If-None-Match") {
		for have := range strings.SplitSeq(header, ",") {
			have = strings.TrimPrefix(strings.TrimSpace(have), "W/")
			if have == tag || have == "*" {
				w.WriteHeader(http.StatusNotModified)
				return true
			}
		}
	}
	return false
}
