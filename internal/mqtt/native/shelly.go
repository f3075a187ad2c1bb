package native

import (
	"regexp"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/mqtt/discovery"
)

// shellyModel is what is known of a model by the beginning of its devices' ids.
type shellyModel struct {
	name string
	// single are the kinds of components of which it has one, with blanks between them: they go without a number.
	single string
	// sleeps says that it is offline but for when it has something to say.
	sleeps bool
}

// modelOf is the model of a device by its id, shelly<model>-<address>. It is empty for an id of the user's own.
func modelOf(id string, models map[string]shellyModel) shellyModel {
	i := strings.LastIndexByte(id, '-')
	if i < 0 {
		return shellyModel{}
	}
	return models[strings.ToLower(id[:i])]
}

// channel is what a component is called: by its kind and number, by its kind where there is no other and it is not what the
// device is for, and not at all where it is.
func (m shellyModel) channel(kind, shown, number string) string {
	for one := range strings.FieldsSeq(m.single) {
		if one != kind {
			continue
		}
		if kind == "input" {
			return shown
		}
		return ""
	}
	return shown + " " + number
}

// shellyFacts are what a device said of itself when it was announced.
type shellyFacts struct{ name, model, software string }

// device is the device, with what is known of it.
func (f shellyFacts) device(id string, m shellyModel, topic string) *entityv1.Device {
	return &entityv1.Device{
		Id: id, Name: firstText(f.name, id), Manufacturer: "Shelly", Model: firstText(m.name, f.model), ModelId: f.model,
		SoftwareVersion: f.software, Topic: topic,
	}
}

// readShelly reads what an announcement says of a device.
func readShelly(n dialect.Node, software ...string) shellyFacts {
	f := shellyFacts{name: firstText(n.Str("name")), model: firstText(n.Str("model"))}
	for _, key := range software {
		f.software = firstText(f.software, n.Str(key))
	}
	return f
}

// fingerprint is a key of a configuration that no component reads. What the registry knows of a device is renewed only
// when one of its entities is configured anew, which this makes the entity that has it.
func (f shellyFacts) fingerprint() fields {
	return fields{"device": fields{"name": f.name, "model": f.model, "sw_version": f.software}}
}

// announce is an announcement of parts of a device, none where there are none.
func announce(key string, device *entityv1.Device, entities []entity) []discovery.Announcement {
	if len(entities) == 0 {
		return nil
	}
	a := discovery.Announcement{Key: key, Device: device}
	for _, e := range entities {
		a.Entities = append(a.Entities, e.announced())
	}
	return []discovery.Announcement{a}
}

// shelly2ID is the form of a later generation's id, which its topics begin with.
var shelly2ID = regexp.MustCompile(`^(?i:shelly[a-z0-9]{1,32}-[0-9a-f]{12})$`)
