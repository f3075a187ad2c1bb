package zigbee2mqtt

import (
	"slices"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Properties with a meaning of their own.
const (
	propertyAction   = "action"
	propertyLastSeen = "last_seen"
)

// plan says what the properties of one device's reports do to which entities. It is made of the registry alone, so that
// a restart needs no new list of devices, and it is never changed.
type plan struct {
	entries  []*entityv1.Entity // what it was made of, in the registry's order
	parts    []part
	bindings map[string][]binding
	main     int // index of the part that takes what nothing exposes, -1 for none
}

// part is one enabled entity.
type part struct {
	id, domain string
	composite  bool                       // several properties share the typed part
	finish     func(*entityv1.Attributes) // works out what follows from several properties; nil for nothing
}

// binding is what one property does to one part.
type binding struct {
	part int
	set  setter // nil for the action of an event entity
	// says tells that attributes without extra say v already: set would change nothing. It is nil where only set knows.
	says func(a *entityv1.Attributes, v *entityv1.Value) bool
}

// madeOf says that the plan is that of these entries. The registry's entries never change, so the pointers tell.
func (pl *plan) madeOf(entries []*entityv1.Entity) bool { return slices.Equal(pl.entries, entries) }

// compile makes the plan of a device's entities.
func compile(entries []*entityv1.Entity) *plan {
	pl := &plan{entries: entries, bindings: make(map[string][]binding), main: -1}
	main := ""
	for _, e := range entries {
		domain := dialect.DomainOf(e)
		if !dialect.Enabled(e) {
			pl.claim(e)
			continue
		}
		if rank := mainRank(e, domain); rank != "" && (main == "" || rank < main) {
			main, pl.main = rank, len(pl.parts)
		}
		pl.parts = append(pl.parts, part{
			id: e.GetId(), domain: domain, composite: isComposite(domain), finish: finisher(e, domain),
		})
		pl.bind(e, domain)
	}
	return pl
}

// mainRank orders a device's entities by how well they stand for the whole device; the least is its main entity. It is
// empty for those that never are. Names and ids that a user can change do not count.
func mainRank(e *entityv1.Entity, domain string) string {
	switch domain {
	case domainEvent, domainButton, domainUpdate:
		return ""
	}
	rank := "2"
	switch {
	case e.GetName() == "":
		rank = "0"
	case e.GetCategory() == entityv1.EntityCategory_ENTITY_CATEGORY_UNSPECIFIED:
		rank = "1"
	}
	return rank + e.GetUniqueId()
}

// claim says that an entity without state has these properties, so that no other takes them.
func (pl *plan) claim(e *entityv1.Entity) {
	for _, property := range properties(e) {
		pl.bindings[property] = append(pl.bindings[property], binding{part: -1})
	}
}

func properties(e *entityv1.Entity) []string {
	details := e.GetCapabilities().GetFeatureDetails()
	if len(details) == 0 {
		return []string{e.GetProperty()}
	}
	names := make([]string, len(details))
	for i, f := range details {
		names[i] = f.GetProperty()
	}
	return names
}

// bind adds what the properties of the newest part do.
func (pl *plan) bind(e *entityv1.Entity, domain string) {
	part := len(pl.parts) - 1
	addBinding := func(property string, bound binding) {
		taken := slices.ContainsFunc(pl.bindings[property], func(b binding) bool { return b.part == part })
		if property == "" || taken {
			return
		}
		pl.bindings[property] = append(pl.bindings[property], bound)
	}
	add := func(property string, set setter) { addBinding(property, binding{part: part, set: set}) }
	details := e.GetCapabilities().GetFeatureDetails()
	switch domain {
	case domainSensor:
		addBinding(e.GetProperty(), binding{part: part, set: setSensor(e), says: sensorSays(e)})
	case domainNumber:
		add(e.GetProperty(), setNumber)
	case domainSelect:
		add(e.GetProperty(), setSelect)
	case domainText:
		add(e.GetProperty(), setText)
	case domainButton:
		add(e.GetProperty(), setNothing)
	case domainSiren:
		add(e.GetProperty(), setSiren)
	case domainUpdate:
		add(e.GetProperty(), setUpdate)
	case domainEvent:
		add(e.GetProperty(), nil)
	default:
		moves := movement(details) != ""
		for _, f := range details {
			if set := featureSetter(domain, f, details, moves); set != nil {
				add(f.GetProperty(), set)
			}
		}
	}
}

func featureSetter(domain string, f *entityv1.Feature, all []*entityv1.Feature, moves bool) setter {
	switch domain {
	case domainBinarySensor:
		return setBinarySensor(f)
	case domainSwitch:
		return setSwitch(f)
	case domainLight:
		return lightSetter(f)
	case domainCover:
		return coverSetter(f, moves)
	case domainLock:
		return lockSetter(f)
	case domainFan:
		return fanSetter(f, all)
	case domainClimate:
		return climateSetter(f)
	default:
		return keep
	}
}

func movement(details []*entityv1.Feature) string {
	i := slices.IndexFunc(details, func(f *entityv1.Feature) bool { return f.GetName() == featureMovement })
	if i < 0 {
		return ""
	}
	return details[i].GetProperty()
}

func isComposite(domain string) bool {
	switch domain {
	case domainLight, domainCover, domainLock, domainFan, domainClimate:
		return true
	default:
		return false
	}
}

func finisher(e *entityv1.Entity, domain string) func(*entityv1.Attributes) {
	if domain != domainCover {
		return nil
	}
	return coverState(e.GetProperty(), movement(e.GetCapabilities().GetFeatureDetails()))
}
