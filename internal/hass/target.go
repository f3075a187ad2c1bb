package hass

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/timeline"
)

// target says for what a service is called.
type target struct {
	entities, devices, areas words
	// all means every entity of the domain.
	all bool
}

// aimed is an entity that a target means; named says that it was named itself.
type aimed struct {
	id    string
	named bool
}

// maxTargets is the most names that a target has.
const maxTargets = 1000

// takeTarget takes what a service is called for out of its data.
func takeTarget(fields map[string]json.RawMessage) (t target, err error) {
	var floors, labels words
	given := false
	for name, into := range map[string]*words{
		"entity_id": &t.entities, "device_id": &t.devices, "area_id": &t.areas, "floor_id": &floors, "label_id": &labels,
	} {
		text, ok := fields[name]
		if !ok {
			continue
		}
		delete(fields, name)
		if err := json.Unmarshal(text, into); err != nil {
			return t, invalid("%s cannot be read: %s", name, err)
		}
		if len(*into) > maxTargets {
			return t, invalid("%s has %d names; it may have %d", name, len(*into), maxTargets)
		}
		given = true
	}
	switch {
	case !given:
		return t, invalid("must contain at least one of entity_id, device_id, area_id.")
	case len(floors)+len(labels) > 0:
		return t, &failure{http.StatusBadRequest, codeNotSupported, "there are no floors and no labels here; name areas, devices or entities"}
	}
	switch {
	case slices.Equal(t.entities, words{"all"}):
		t.all, t.entities = true, nil
	case slices.Equal(t.entities, words{"none"}):
		t.entities = nil
	}
	return t, nil
}

// configures says that an entity is about its device, and is not meant with it or with an area.
func configures(e *entityv1.Entity) bool { return e.GetCategory() != 0 }

// resolve are the entities that a target means in a moment, sorted by id, as far as somebody may command them. That a service
// of one domain is called for an entity of another one comes to nothing. An entity that is named and that he may not command
// is an error, whether it is there or not.
func (t target) resolve(m timeline.Moment, who *access.Identity, domain string) ([]aimed, error) {
	found := map[string]bool{}
	fits := func(id string) bool { return domain == generic || domainOf(id) == domain }
	for _, name := range t.entities {
		id := strings.ToLower(name)
		if eventstore.CheckEntityID(id) != nil {
			e, ok := m.Registry.EntityByUniqueID(name) // what the registry calls its id here
			if !ok || !who.May(access.Read, e.GetId()) {
				return nil, invalid("%.64q is no id of an entity", name)
			}
			id = e.GetId()
		}
		if !who.May(access.Command, id) {
			return nil, &failure{http.StatusForbidden, codeUnauthorized, "Unauthorized: the token " + who.Name() + " may not command " + id}
		}
		if _, ok := m.Registry.Entity(id); ok && fits(id) {
			found[id] = true
		}
	}
	also := func(e *entityv1.Entity) {
		if id := e.GetId(); !found[id] && fits(id) && who.May(access.Command, id) {
			found[id] = false
		}
	}
	for _, device := range t.devices {
		for _, e := range m.Registry.DeviceEntities(device) {
			if !configures(e) {
				also(e)
			}
		}
	}
	if t.all || len(t.areas) > 0 {
		for id, e := range m.Registry.Entities.All() {
			if t.all || slices.Contains(t.areas, m.Registry.AreaOf(id).GetId()) && !configures(e) {
				also(e)
			}
		}
	}
	all := make([]aimed, 0, len(found))
	for id, named := range found {
		all = append(all, aimed{id, named})
	}
	slices.SortFunc(all, func(a, b aimed) int { return strings.Compare(a.id, b.id) })
	return all, nil
}
