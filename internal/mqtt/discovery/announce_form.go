package discovery

import (
	"errors"
	"fmt"
	"slices"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Keys at the root of a device form that its components have where they do not say otherwise.
var (
	haShared             = [...]string{"command_topic", keyEncoding, "qos", "state_topic"}
	haSharedAvailability = [...]string{
		keyAvailability, keyAvailabilityMode, "availability_template", "availability_topic", "payload_available", "payload_not_available",
	}
)

// haPart is a component of a device form.
type haPart struct {
	at haPlace
	o  haObject
}

// translateForm is the message of a device with all its entities.
func (h *HomeAssistant) translateForm(a Announcement, at haPlace, o haObject) ([]Announcement, error) {
	parts, bad := haParts(at, o)
	for _, p := range parts {
		if err := h.covers(p.o); err != nil {
			return nil, err
		}
	}
	if errors.Is(bad, errForm) {
		return nil, bad
	}
	device, err := haDeviceOf(o["device"])
	switch {
	case err != nil:
		return nil, err
	case device == nil:
		return nil, errors.New("device is missing: a device form is of one device")
	}
	a.Device = device
	seen := make(map[[2]string]bool)
	for _, p := range parts {
		one, err := h.entity(p.at, p.o, device)
		name := [2]string{one.Component, one.Key}
		switch {
		case err != nil:
		case seen[name]:
			err = fmt.Errorf("unique_id %q is another component's, too", one.Key)
		default:
			seen[name] = true
			a.Entities = append(a.Entities, one)
			continue
		}
		bad = errors.Join(bad, haOfPart(p.at.object, err))
	}
	if bad == nil {
		return []Announcement{a}, nil
	}
	if len(a.Entities) == 0 {
		return nil, bad
	}
	a.Complete = false // what is wrong now may have been announced rightly before
	return []Announcement{a}, bad
}

// errForm is what errors wrap for which nothing of a device form can be used.
var errForm = errors.New("a device form")

func haOfPart(id string, err error) error { return fmt.Errorf("component %.80q: %w", id, err) }

// haParts are the components of a device form, sorted by their ids, without those that are said to be gone. Each has what it
// shares with the others, and its topics are written out.
func haParts(at haPlace, o haObject) (parts []haPart, bad error) {
	all, ok := haObjectOf(o["components"])
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %w", errForm, haWrong("components", o["components"], "an object with a configuration for each component"))
	case len(all) > maxFormComponents:
		return nil, fmt.Errorf("%w: %w: %d components, at most %d are taken", errForm, ErrAnnouncementTooLarge, len(all), maxFormComponents)
	}
	shared := make(haObject)
	for _, key := range slices.Concat(haShared[:], haSharedAvailability[:]) {
		if v, ok := o[key]; ok {
			shared[key] = v
		}
	}
	if size := jsonSize(shared.value()); size > maxConfig { // it is copied into every component
		return nil, fmt.Errorf("%w: %w: its components share %d bytes, at most %d are taken", errForm, ErrAnnouncementTooLarge, size, maxConfig)
	}
	for _, id := range sortedKeys(all) {
		p, gone, err := haPartOf(at, id, all[id], shared, o["~"])
		switch {
		case err != nil:
			bad = errors.Join(bad, haOfPart(id, err))
		case !gone:
			parts = append(parts, p)
		}
	}
	return parts, bad
}

// haPartOf is one component of a device form. It is gone where it is nothing but a platform.
func haPartOf(at haPlace, id string, v *entityv1.Value, shared haObject, base *entityv1.Value) (p haPart, gone bool, err error) {
	o, ok := haObjectOf(v)
	if !ok {
		return p, false, haWrong("the configuration", v, "an object")
	}
	if len(id) > maxAnnouncedText {
		return p, false, fmt.Errorf("%w: an id of %d bytes, at most %d are taken", ErrAnnouncementTooLarge, len(id), maxAnnouncedText)
	}
	o.expand(coreAbbreviations)
	platform, ok := dialect.TextOf(o["platform"])
	if !ok {
		return p, false, haWrong("platform", o["platform"], "the name of a component")
	}
	if delete(o, "platform"); len(o) == 0 {
		return p, true, nil
	}
	inherit := haShared[:]
	if dialect.IsNull(o[keyAvailability]) && dialect.IsNull(o["availability_topic"]) {
		inherit = slices.Concat(inherit, haSharedAvailability[:])
	}
	for _, key := range inherit {
		if v, ok := shared[key]; ok && o[key] == nil {
			o[key] = v
		}
	}
	if at.node != "" {
		id = at.node + "/" + id
	}
	return haPart{haPlace{component: platform, node: at.object, object: id}, o}, false, o.base(base)
}
