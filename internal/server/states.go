package server

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/timeline"
)

// getStates answers GET /v1/states?domain=&area=&q=&where=&at=.
func (s *Server) getStates(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	p := newParams(r, "domain", "area", "q", "where", "at")
	domains, where, at := p.domains("domain"), p.where("where"), p.at("at")
	area, q := p.one("area"), strings.ToLower(p.one("q"))
	if p.err != nil {
		return p.err
	}
	m, as, err := at.Moment(r.Context(), h)
	if err != nil {
		return err
	}
	if as.Final || where.All() { // ages go on where nothing happens
		if notModified(w, r, h, at, as) {
			return nil
		}
	} else {
		setPosition(w, as.Position)
	}
	ids, err := chosenIDs(r.Context(), m, filter{domains: domains, may: seenBy(r)}, where, at.Time(as, time.Now()))
	if err != nil {
		return err // before the answer begins
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodHead {
		return nil
	}
	// One state after another: the whole would be in memory twice.
	var buf bytes.Buffer
	if err := appendJSON(&buf, as); err != nil {
		return err
	}
	buf.Truncate(buf.Len() - len("}\n"))
	buf.WriteString(`,"states":[`)
	first := true
	for _, id := range ids {
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

// chosenIDs are the ids of sortedIDs whose states an expression chooses.
func chosenIDs(ctx context.Context, m timeline.Moment, f filter, where api.Where, now time.Time) ([]string, error) {
	ids := sortedIDs(m, f)
	if where.All() {
		return ids, nil
	}
	chosen := ids[:0]
	for _, id := range ids {
		s, _ := m.State.Get(id)
		ok, err := where.Match(ctx, m, s, now)
		if err != nil {
			return nil, err
		}
		if ok {
			chosen = append(chosen, id)
		}
	}
	return chosen, nil
}

// getState answers GET /v1/states/{entity_id}?at=.
func (s *Server) getState(h *statehouse.House, w http.ResponseWriter, r *http.Request) error {
	p := newParams(r, "at")
	at := p.at("at")
	if p.err != nil {
		return p.err
	}
	id := r.PathValue("entity_id")
	if err := readable(r, id); err != nil {
		return err
	}
	m, as, err := at.Moment(r.Context(), h)
	if err != nil {
		return err
	}
	if _, ok := m.State.Get(id); !ok {
		return noState(m, at, id)
	}
	if notModified(w, r, h, at, as) {
		return nil
	}
	st, err := stateOf(m, id)
	if err != nil {
		return err
	}
	if at != (api.At{}) {
		st.AsOf = &as
	}
	return writeJSON(w, http.StatusOK, st)
}

// noState is the error for an entity that has no state in a moment.
func noState(m timeline.Moment, at api.At, id string) error {
	_, known := m.Registry.Entity(id)
	switch {
	case at != (api.At{}):
		return fmt.Errorf("%w; /v1/states?at=@%d lists what there is", api.NoState(m, id), m.Position())
	case known:
		return notFound("%s has no state: it is disabled", id)
	default:
		return notFound("there is no %s; /v1/states lists what there is", id)
	}
}

// stateOf is the state of an entity that the moment has.
func stateOf(m timeline.Moment, id string) (api.State, error) {
	st, _ := m.State.Get(id)
	return api.NewState(m, st)
}

// filter chooses entities; the zero filter chooses all.
type filter struct {
	entities, domains []string
	// may restricts them to what somebody may see; nil does not.
	may api.May
}

func (f filter) all() bool { return len(f.entities) == 0 && len(f.domains) == 0 && f.may == nil }

func (f filter) match(id string) bool {
	if f.may != nil && !f.may(id) {
		return false
	}
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
