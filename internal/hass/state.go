package hass

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/registry"
	"github.com/statehouse/statehouse/state"
	"github.com/statehouse/statehouse/timeline"
)

// entityState is a state as Home Assistant has it. LastChanged and LastUpdated are both when the state or an attribute
// last became different; Home Assistant's LastChanged is about the state alone, which is not kept here.
type entityState struct {
	EntityID     string       `json:"entity_id"`
	State        string       `json:"state"`
	Attributes   attributes   `json:"attributes"`
	LastChanged  stamp        `json:"last_changed"`
	LastReported stamp        `json:"last_reported"`
	LastUpdated  stamp        `json:"last_updated"`
	Context      eventContext `json:"context"`
}

func newEntityState(r registry.Revision, s state.State, c *contexts) *entityState {
	return &entityState{
		EntityID: s.EntityID, State: state.Text(s.Attributes), Attributes: attributesOf(r, s.EntityID, s.Attributes),
		LastChanged: stamp(s.ChangedAt), LastUpdated: stamp(s.ChangedAt), LastReported: stamp(s.UpdatedAt),
		Context: c.ofState(s),
	}
}

// statesOf are the states of a moment that somebody may see and wants, sorted by id.
func statesOf(ctx context.Context, o *origins, m timeline.Moment, who *access.Identity, wanted func(id string) bool) ([]*entityState, error) {
	var chosen []state.State
	var positions []eventstore.Position
	for id, s := range m.State.Entities.All() {
		if wanted(id) && who.May(access.Read, id) {
			chosen = append(chosen, s)
			positions = append(positions, s.Position)
		}
	}
	slices.SortFunc(chosen, func(a, b state.State) int { return bytes.Compare([]byte(a.EntityID), []byte(b.EntityID)) })
	c, err := o.contextsOf(ctx, who, positions)
	if err != nil {
		return nil, err
	}
	states := make([]*entityState, len(chosen))
	for i, s := range chosen {
		states[i] = newEntityState(m.Registry, s, c)
	}
	return states, nil
}

func every(string) bool { return true }

// same reports whether Home Assistant would see a change from one state to the other; nil is none.
func same(a, b *entityState) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.State == b.State && maps.EqualFunc(a.Attributes, b.Attributes, equalJSON)
}

func equalJSON[T ~[]byte](a, b T) bool { return bytes.Equal(a, b) }

// stamp is a time as Home Assistant writes it: in UTC with microseconds, or none where they are zero.
type stamp time.Time

// MarshalJSON implements json.Marshaler.
func (t stamp) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

func (t stamp) String() string {
	at := time.Time(t).UTC().Truncate(time.Microsecond)
	if at.Nanosecond() == 0 {
		return at.Format("2006-01-02T15:04:05-07:00")
	}
	return at.Format("2006-01-02T15:04:05.000000-07:00")
}

// seconds is a time as the compressed forms have it: in seconds since 1970, with microseconds.
type seconds time.Time

// MarshalJSON implements json.Marshaler.
func (t seconds) MarshalJSON() ([]byte, error) {
	micros := time.Time(t).UnixMicro()
	return strconv.AppendFloat(nil, float64(micros)/1e6, 'f', -1, 64), nil
}

// compressed is a state in subscribe_entities and in histories.
type compressed struct {
	State      string     `json:"s"`
	Attributes attributes `json:"a"`
	// Context is an id alone where there is nothing else to say.
	Context     any     `json:"c,omitempty"`
	LastChanged seconds `json:"lc"`
}

func compress(s *entityState) compressed {
	w := compressed{State: s.State, Attributes: s.Attributes, LastChanged: seconds(s.LastChanged), Context: s.Context}
	if s.Context.ParentID == nil && s.Context.UserID == nil {
		w.Context = s.Context.ID
	}
	return w
}

// difference is what a client that has one state adds ("+", a [plus]) and removes ("-", a [minus]) to have another one.
type difference map[string]any

type plus struct {
	State       *string    `json:"s,omitempty"`
	Attributes  attributes `json:"a,omitempty"`
	Context     any        `json:"c,omitempty"`
	LastChanged *seconds   `json:"lc,omitempty"`
}

type minus struct {
	Attributes []string `json:"a"`
}

// differ is the difference between two states; ok is false where a client would not see any.
func differ(before, after *entityState) (d difference, ok bool) {
	d = difference{}
	var add plus
	if before.State != after.State {
		add.State, ok = &after.State, true
	}
	if !time.Time(before.LastChanged).Equal(time.Time(after.LastChanged)) {
		changed := seconds(after.LastChanged)
		add.LastChanged, ok = &changed, true
	}
	if c := contextDifference(before.Context, after.Context); c != nil {
		add.Context, ok = c, true
	}
	for name, v := range after.Attributes {
		if old, had := before.Attributes[name]; !had || !bytes.Equal(old, v) {
			if add.Attributes == nil {
				add.Attributes = attributes{}
			}
			add.Attributes[name], ok = v, true
		}
	}
	if ok {
		d["+"] = add
	}
	var gone []string
	for name := range before.Attributes {
		if _, has := after.Attributes[name]; !has {
			gone = append(gone, name)
		}
	}
	if len(gone) > 0 {
		slices.Sort(gone)
		d["-"], ok = minus{gone}, true
	}
	return d, ok
}

// contextDifference is what of a context is different, nil for nothing: the id alone where that is all.
func contextDifference(before, after eventContext) any {
	parent, user := !equalText(before.ParentID, after.ParentID), !equalText(before.UserID, after.UserID)
	if !parent && !user {
		if before.ID == after.ID {
			return nil
		}
		return after.ID
	}
	w := map[string]any{"id": after.ID}
	if parent {
		w["parent_id"] = after.ParentID
	}
	if user {
		w["user_id"] = after.UserID
	}
	return w
}

func equalText(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }
