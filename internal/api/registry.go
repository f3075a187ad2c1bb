package api

import (
	"cmp"
	"slices"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/registry"
)

// Registry is what there is, each list sorted by id, in one moment.
type Registry struct {
	AsOf
	Areas    []Area   `json:"areas"`
	Devices  []Device `json:"devices"`
	Entities []Entity `json:"entities"`
}

// Area is a place that the user named.
type Area struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Device is a thing that entities belong to.
type Device struct {
	ID string `json:"id"`
	// Name is the user's name for it, or else the source's.
	Name            string `json:"name"`
	Area            string `json:"area,omitempty"`
	Kind            string `json:"kind,omitempty"`
	Manufacturer    string `json:"manufacturer,omitempty"`
	Model           string `json:"model,omitempty"`
	ModelID         string `json:"model_id,omitempty"`
	SoftwareVersion string `json:"software_version,omitempty"`
	HardwareVersion string `json:"hardware_version,omitempty"`
	SerialNumber    string `json:"serial_number,omitempty"`
	ViaDevice       string `json:"via_device,omitempty"`
	Source          string `json:"source,omitempty"`
	Address         string `json:"address,omitempty"`
	Topic           string `json:"topic,omitempty"`
}

// Entity is what is known of an entity besides its state.
type Entity struct {
	ID       string `json:"id"`
	UniqueID string `json:"unique_id,omitempty"`
	// Name is what a person calls it, with its device's name.
	Name   string `json:"name"`
	Device string `json:"device,omitempty"`
	// Area is the area that the entity is in, its own or its device's.
	Area        string   `json:"area,omitempty"`
	DeviceClass string   `json:"device_class,omitempty"`
	Unit        string   `json:"unit,omitempty"`
	StateClass  string   `json:"state_class,omitempty"`
	Category    string   `json:"category,omitempty"`
	Disabled    bool     `json:"disabled,omitempty"`
	Property    string   `json:"property,omitempty"`
	Source      string   `json:"source,omitempty"`
	Readable    bool     `json:"readable"`
	Writable    bool     `json:"writable"`
	Features    []string `json:"features,omitempty"`
}

// NewRegistry is a revision of the registry as it goes over the wire.
func NewRegistry(r registry.Revision, as AsOf) Registry {
	w := Registry{
		AsOf:     as,
		Areas:    make([]Area, 0, r.Areas.Len()),
		Devices:  make([]Device, 0, r.Devices.Len()),
		Entities: make([]Entity, 0, r.Entities.Len()),
	}
	for _, a := range r.Areas.All() {
		w.Areas = append(w.Areas, Area{ID: a.GetId(), Name: a.GetName()})
	}
	for _, d := range r.Devices.All() {
		w.Devices = append(w.Devices, newDevice(d))
	}
	for _, e := range r.Entities.All() {
		w.Entities = append(w.Entities, newEntity(r, e))
	}
	slices.SortFunc(w.Areas, func(a, b Area) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(w.Devices, func(a, b Device) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(w.Entities, func(a, b Entity) int { return cmp.Compare(a.ID, b.ID) })
	return w
}

func newDevice(d *entityv1.Device) Device {
	return Device{
		ID: d.GetId(), Name: deviceName(d), Area: d.GetAreaId(),
		Kind:         word(d.GetKind() != 0, d.GetKind().String(), "DEVICE_KIND_"),
		Manufacturer: d.GetManufacturer(), Model: d.GetModel(), ModelID: d.GetModelId(),
		SoftwareVersion: d.GetSoftwareVersion(), HardwareVersion: d.GetHardwareVersion(),
		SerialNumber: d.GetSerialNumber(), ViaDevice: d.GetViaDevice(), Source: d.GetSource(),
		Address: d.GetAddress(), Topic: d.GetTopic(),
	}
}

func newEntity(r registry.Revision, e *entityv1.Entity) Entity {
	disabled := e.GetDisabled()
	if e.UserDisabled != nil {
		disabled = e.GetUserDisabled()
	}
	return Entity{
		ID: e.GetId(), UniqueID: e.GetUniqueId(), Name: r.DisplayName(e.GetId()), Device: e.GetDeviceId(),
		Area: r.AreaOf(e.GetId()).GetId(), DeviceClass: e.GetDeviceClass(), Unit: e.GetUnit(),
		StateClass: word(e.GetStateClass() != 0, e.GetStateClass().String(), "STATE_CLASS_"),
		Category:   word(e.GetCategory() != 0, e.GetCategory().String(), "ENTITY_CATEGORY_"),
		Disabled:   disabled, Property: e.GetProperty(), Source: e.GetSource(),
		Readable: e.GetCapabilities().GetReadable(), Writable: e.GetCapabilities().GetWritable(),
		Features: e.GetCapabilities().GetFeatures(),
	}
}

// word is the name of an enum's value in lower case without the enum's prefix, empty where the value is not known.
func word(known bool, name, prefix string) string {
	if !known {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(name, prefix))
}
