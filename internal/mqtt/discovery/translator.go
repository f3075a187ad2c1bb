package discovery

import (
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// Translator makes announcements of what an ecosystem says of its devices. Home Assistant's discovery is one, Tasmota's
// another. Its methods are called by several goroutines at once.
type Translator interface {
	// Name is the ecosystem's, "homeassistant": the beginning of its source.
	Name() string
	// Filters are the topics on which devices make themselves known.
	Filters() []string
	// Translate is what a message on one of these topics announces, nothing where that is nothing. It is a function of the
	// message and of what came before; the payload must not be modified or kept. An error says what is wrong with the message.
	Translate(topic string, payload []byte) ([]Announcement, error)
}

// Forgetter is a translator that announces what it remembers to have announced only once. Forget says that an announcement came
// to nothing, so that it has to be made again.
type Forgetter interface {
	Forget(key string)
}

// Announcement is what is said of the entities of one device.
type Announcement struct {
	// Key names what announces: the discovery topic. Entities that the same key announced before and does not now are gone
	// where Complete is set, and stay otherwise.
	Key      string
	Complete bool
	// Migrates says that other announcements are going to take over what the key announced: it is gone no more when the key is
	// withdrawn.
	Migrates bool
	// Device is the device, without what is not its own (source, what the user decided): Id is what names it within the source,
	// as the ecosystem writes it, at most 128 bytes. ViaDevice is such an id, too.
	Device *entityv1.Device
	// Entities are what the device has. Where it is empty and Complete is set, everything that the key announced is gone.
	Entities []Announced
}

// Announced is one entity of an announcement.
type Announced struct {
	// Component is the name of a [Component].
	Component string
	// Key names the entity within the source and component for good, whatever it is called: a unique id.
	Key string
	// Entity is what all components share: Name (empty for the device's main entity), DeviceClass, Unit, StateClass, Category,
	// Disabled.
	Entity *entityv1.Entity
	// Object is what follows the device's name in the entity's id, empty for the main entity. Wish, where it is not empty, is
	// what follows the domain instead of all that.
	Object, Wish string
	// Config is the configuration with the keys that the component and the engine need at run time. Class and unit are among
	// them, since what a message means depends on them; names are not.
	Config Config
}
