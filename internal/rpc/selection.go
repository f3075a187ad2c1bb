package rpc

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

const (
	// maxNames is the most entities, and other names, that a request may list.
	maxNames = 1000
	// maxDomains is the most domains.
	maxDomains = 100
)

// selection chooses entities that whoever asks may see.
type selection struct {
	may      api.May
	entities map[string]bool // empty chooses all
	domains  []string
	where    api.Where
}

func parseSelection(ctx context.Context, w *statehousev1.Selection) (s selection, err error) {
	s = selection{may: seenBy(ctx), entities: map[string]bool{}, domains: w.GetDomains()}
	if len(w.GetEntityIds()) > maxNames || len(w.GetDomains()) > maxDomains {
		return s, invalid("%d entities and %d domains are too many; %d and %d are possible", len(w.GetEntityIds()), len(w.GetDomains()), maxNames, maxDomains)
	}
	for _, id := range w.GetEntityIds() {
		if err := eventstore.CheckEntityID(id); err != nil {
			return s, err
		}
		s.entities[id] = true
	}
	for _, d := range s.domains {
		if eventstore.CheckEntityID(d+".x") != nil {
			return s, invalid("%.60q is not a domain, as light or binary_sensor is", d)
		}
	}
	s.where, err = api.ParseWhere(w.GetWhere())
	return s, err
}

// names reports whether an entity of an id may be chosen, whatever its state.
func (s *selection) names(id string) bool {
	if !s.may(id) || len(s.entities) > 0 && !s.entities[id] {
		return false
	}
	domain, _, _ := strings.Cut(id, ".")
	return len(s.domains) == 0 || slices.Contains(s.domains, domain)
}

// ids are the ids of the entities that have a state and may be chosen, sorted.
func (s *selection) ids(m timeline.Moment) []state.EntityID {
	var ids []state.EntityID
	if len(s.entities) > 0 {
		for id := range s.entities {
			if _, ok := m.State.Get(id); ok && s.names(id) {
				ids = append(ids, id)
			}
		}
	} else {
		for id := range m.State.Entities.All() {
			if s.names(id) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// get is the state of an entity, if it has one and that is chosen. Ages are counted to now.
func (s *selection) get(ctx context.Context, m timeline.Moment, id state.EntityID, now time.Time) (*statehousev1.State, error) {
	st, ok := m.State.Get(id)
	if !ok || !s.names(id) {
		return nil, nil
	}
	if ok, err := s.where.Match(ctx, m, st, now); !ok {
		return nil, err
	}
	return newState(m, st), nil
}
