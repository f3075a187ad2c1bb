package dialect

import (
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// DeviceSpec is a device as the source describes it.
type DeviceSpec struct {
	Device   *entityv1.Device // without what the user decides
	Entities []Spec
	// Keep says that the source does not know now which entities the device has, so that those it had stay.
	Keep bool
}

// Spec is an entity as its source describes it: everything but what depends on its device and on the registry.
type Spec struct {
	// Domain and Key are the entity's identity within its device; Key is what the source calls it, such as the property.
	Domain, Key string
	// Object is what follows the device's name in the entity's id, empty for the main entity.
	Object string
	// Wish, where it is not empty, is what follows the domain in the entity's id instead, if no other entity has that.
	Wish string
	// Entity is the registry entry without id, unique id, device and source.
	Entity *entityv1.Entity
}

// AddFeature adds a feature to the entity's capabilities.
func (s Spec) AddFeature(f *entityv1.Feature) {
	c := s.Entity.GetCapabilities()
	c.Features = append(c.Features, f.GetName())
	c.FeatureDetails = append(c.FeatureDetails, f)
	c.Readable = c.GetReadable() || f.GetReadable()
	c.Writable = c.GetWritable() || f.GetWritable()
}

// Enabled says that the entity's state is to be recorded.
func Enabled(e *entityv1.Entity) bool {
	if e.UserDisabled != nil {
		return !e.GetUserDisabled()
	}
	return !e.GetDisabled()
}

// DomainOf is the domain as the source knows it: the unique id ends in it and the key. The id is the user's to change.
func DomainOf(e *entityv1.Entity) string {
	own := strings.TrimPrefix(e.GetUniqueId(), e.GetDeviceId()+"/")
	domain, _, _ := strings.Cut(own, "/")
	return domain
}
