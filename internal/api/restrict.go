package api

import (
	"encoding/json"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// May says of an entity's id whether somebody may see the entity; of the empty id, whether he may see what is about none.
type May func(entity string) bool

// Event reports whether somebody may see an event: its entity, and in a change of the id the other one, too.
func (may May) Event(e eventstore.Event) bool {
	if p, ok := e.Payload.GetKind().(*eventv1.Payload_EntityRenamed); ok && !may(p.EntityRenamed.GetNewId()) {
		return false
	}
	return may(e.Entity)
}

// wire is [May.Event] of an event as it goes over the wire.
func (may May) wire(e Event) bool {
	if e.Kind == eventstore.KindEntityRenamed {
		var renamed struct {
			NewID string `json:"new_id"`
		}
		if json.Unmarshal(e.Data, &renamed) != nil || !may(renamed.NewID) {
			return false
		}
	}
	return may(e.EntityID)
}

// Redacted is an event of which nothing may be seen but when it was, and what sort of event.
func (e Event) Redacted() Event {
	return Event{Position: e.Position, RecordedAt: e.RecordedAt, Timestamp: e.Timestamp, Kind: e.Kind}
}

// Restrict is what somebody may see of a difference. An entity that has come from where he does not look has appeared for
// him, and one that goes there is gone.
func (d Diff) Restrict(may May) Diff {
	d.Changes = restrictChanges(d.Changes, may)
	return d
}

func restrictChanges(all []EntityChange, may May) []EntityChange {
	seen := []EntityChange{}
	for _, c := range all {
		was, is := c.Before != nil && may(c.Before.EntityID), c.After != nil && may(c.After.EntityID)
		switch {
		case is && c.Before != nil && !was:
			c.Before, c.What = nil, []Changed{ChangedAppeared}
		case was && c.After != nil && !is:
			c.EntityID, c.After, c.What = c.Before.EntityID, nil, []Changed{ChangedGone}
		case !was && !is:
			continue
		}
		seen = append(seen, c)
	}
	sortChanges(seen) // by the ids that are left
	return seen
}

// Restrict is what somebody may see of an entity's history. What a change of the id says names another one.
func (h History) Restrict(may May) History {
	steps := make([]Step, 0, len(h.Steps))
	for _, s := range h.Steps {
		if !may.wire(s.Event) {
			s.Event = s.Redacted()
		}
		steps = append(steps, s)
	}
	h.Steps = steps
	return h
}

// Restrict is what somebody may see of a registry: his entities, their devices, and the areas of both.
func (r Registry) Restrict(may May) Registry {
	devices, areas := map[string]bool{}, map[string]bool{}
	seen := Registry{AsOf: r.AsOf, Areas: []Area{}, Devices: []Device{}, Entities: []Entity{}}
	for _, e := range r.Entities {
		if may(e.ID) {
			seen.Entities = append(seen.Entities, e)
			devices[e.Device], areas[e.Area] = true, true
		}
	}
	for _, d := range r.Devices {
		if devices[d.ID] {
			if !devices[d.ViaDevice] {
				d.ViaDevice = ""
			}
			seen.Devices = append(seen.Devices, d)
			areas[d.Area] = true
		}
	}
	for _, a := range r.Areas {
		if areas[a.ID] {
			seen.Areas = append(seen.Areas, a)
		}
	}
	return seen
}
