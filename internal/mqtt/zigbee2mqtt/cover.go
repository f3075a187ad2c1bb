package zigbee2mqtt

import (
	"slices"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Features of a cover and of a lock beyond those of other domains.
const (
	featureTilt     = "tilt_position"
	featureMovement = "movement"
)

// Words of cover's state.
const (
	coverOpen  = "OPEN"
	coverClose = "CLOSE"
)

// Words with which motors say what they are doing.
var (
	openingWords = []string{"opening", "open", "forward", "up", "rising"}
	closingWords = []string{"closing", "close", "backward", "back", "reverse", "down", "declining"}
	stoppedWords = []string{"stopped", "stop", "pause", "paused"}
)

func coverEntities(e expose, all []expose) []dialect.Spec {
	state, ok := e.feature("state")
	if !ok {
		return nil
	}
	s := e.composite(domainCover, state.property, state.describe(featureState))
	for _, f := range e.features() {
		switch f.name {
		case "state":
		case "position":
			s.AddFeature(f.describe(featurePosition))
		case "tilt":
			s.AddFeature(f.describe(featureTilt))
		default:
			s.AddFeature(f.describe(f.name)) // kept as extra
		}
	}
	motor, ok := find(all, func(o expose) bool {
		return o.kind == "enum" && (o.name == "motor_state" || o.name == "moving") && o.reported() && o.endpoint == e.endpoint
	})
	if ok && says(motor, openingWords) && says(motor, closingWords) && says(motor, stoppedWords) {
		d := motor.describe(featureMovement)
		d.Writable = false
		s.AddFeature(d)
	}
	return []dialect.Spec{s}
}

func says(e expose, words []string) bool {
	return slices.ContainsFunc(e.Words("values"), func(w string) bool { return slices.Contains(words, strings.ToLower(w)) })
}

func cover(a *entityv1.Attributes) *entityv1.Cover {
	if a.GetCover() == nil {
		a.Domain = &entityv1.Attributes_Cover{Cover: &entityv1.Cover{}}
	}
	return a.GetCover()
}

// coverSetters are the setters of a cover's features. State is what state, position and movement together say, and
// they may come in different messages; so whatever of it does not follow from the typed fields is kept as extra, and
// [coverState] works it out from the whole.
func coverSetter(f *entityv1.Feature, moves bool) setter {
	switch f.GetName() {
	case featureState:
		return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
			s, _ := dialect.TextOf(v)
			fits := v == nil
			cover(a).State = entityv1.CoverState_COVER_STATE_UNSPECIFIED
			if !moves && (s == coverOpen || s == coverClose) {
				cover(a).State, fits = coverWords[s], true
			}
			return rest(v, fits)
		}
	case featurePosition:
		return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
			cover(a).Position = nil
			n, ok := dialect.WholeOf(v, 100)
			if ok {
				cover(a).Position = &n
			}
			return rest(v, ok || v == nil)
		}
	case featureTilt:
		return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
			cover(a).TiltPosition = nil
			n, ok := dialect.WholeOf(v, 100)
			if ok {
				cover(a).TiltPosition = &n
			}
			return rest(v, ok || v == nil)
		}
	default:
		return keep
	}
}

var coverWords = map[string]entityv1.CoverState{
	coverOpen:  entityv1.CoverState_COVER_STATE_OPEN,
	coverClose: entityv1.CoverState_COVER_STATE_CLOSED,
}

// coverState finishes a cover's attributes: it says what follows from the raw words in the extra.
func coverState(stateProperty, movementProperty string) func(a *entityv1.Attributes) {
	return func(a *entityv1.Attributes) {
		raw, known := dialect.TextOf(dialect.ExtraOf(a, stateProperty))
		if movementProperty == "" {
			if known { // neither OPEN nor CLOSE: it was stopped, somewhere
				cover(a).State = byPosition(a.GetCover())
			}
			return
		}
		c := cover(a)
		movement, _ := dialect.TextOf(dialect.ExtraOf(a, movementProperty))
		movement = strings.ToLower(movement)
		switch {
		case raw == coverClose && c.Position != nil && c.GetPosition() == 0,
			raw == coverOpen && c.Position != nil && c.GetPosition() == 100:
			c.State = coverWords[raw] // it arrived; the movement may be stale
		case slices.Contains(openingWords, movement):
			c.State = entityv1.CoverState_COVER_STATE_OPENING
		case slices.Contains(closingWords, movement):
			c.State = entityv1.CoverState_COVER_STATE_CLOSING
		case slices.Contains(stoppedWords, movement) && c.Position != nil, known && coverWords[raw] == 0:
			c.State = byPosition(c)
		default:
			c.State = coverWords[raw]
		}
	}
}

func byPosition(c *entityv1.Cover) entityv1.CoverState {
	switch {
	case c.Position == nil:
		return entityv1.CoverState_COVER_STATE_UNSPECIFIED
	case c.GetPosition() == 0:
		return entityv1.CoverState_COVER_STATE_CLOSED
	default:
		return entityv1.CoverState_COVER_STATE_OPEN
	}
}

func lockEntities(e expose) []dialect.Spec {
	state, ok := e.feature("state")
	if !ok {
		return nil
	}
	s := e.composite(domainLock, state.property, state.describe(featureState))
	for _, f := range e.features() {
		if f.name != "state" {
			s.AddFeature(f.describe(f.name)) // kept as extra
		}
	}
	return []dialect.Spec{s}
}

func lockSetter(f *entityv1.Feature) setter {
	if f.GetName() != featureState {
		return keep
	}
	return func(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
		if a.GetLock() == nil {
			a.Domain = &entityv1.Attributes_Lock{Lock: &entityv1.Lock{}}
		}
		locked, fits := isOn(v, f)
		switch {
		case locked == nil:
			a.GetLock().State = entityv1.LockState_LOCK_STATE_UNSPECIFIED
		case *locked:
			a.GetLock().State = entityv1.LockState_LOCK_STATE_LOCKED
		default:
			a.GetLock().State = entityv1.LockState_LOCK_STATE_UNLOCKED
		}
		return rest(v, fits)
	}
}
