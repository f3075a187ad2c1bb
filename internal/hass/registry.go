package hass

import (
	"cmp"
	"slices"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/registry"
)

// visible is what of a registry somebody may see: entities, and the devices and areas of those.
type visible struct {
	r   registry.Revision
	who *access.Identity
	// devices and areas are nil for who may see all.
	devices, areas map[string]bool
}

func newVisible(r registry.Revision, who *access.Identity) visible {
	v := visible{r: r, who: who}
	if who.Everywhere(access.Read) {
		return v
	}
	v.devices, v.areas = map[string]bool{}, map[string]bool{}
	for id, e := range r.Entities.All() {
		if who.May(access.Read, id) {
			v.devices[e.GetDeviceId()] = true
			v.areas[r.AreaOf(id).GetId()] = true
		}
	}
	return v
}

func (v visible) device(id string) bool { return id != "" && (v.devices == nil || v.devices[id]) }
func (v visible) area(id string) bool   { return id != "" && (v.areas == nil || v.areas[id]) }

// seesDevice is visible.device for one device alone.
func seesDevice(r registry.Revision, who *access.Identity, id string) bool {
	return who.Everywhere(access.Read) || slices.ContainsFunc(r.DeviceEntities(id), func(e *entityv1.Entity) bool {
		return who.May(access.Read, e.GetId())
	})
}

// entries are the entities that somebody may see, sorted by id.
func (v visible) entries() []*entityv1.Entity {
	var all []*entityv1.Entity
	for id, e := range v.r.Entities.All() {
		if v.who.May(access.Read, id) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *entityv1.Entity) int { return cmp.Compare(a.GetId(), b.GetId()) })
	return all
}

// areaEntry is an area as config/area_registry/list has it.
type areaEntry struct {
	ID         string   `json:"area_id"`
	Name       string   `json:"name"`
	Aliases    []string `json:"aliases"`
	Labels     []string `json:"labels"`
	Floor      *string  `json:"floor_id"`
	Icon       *string  `json:"icon"`
	Picture    *string  `json:"picture"`
	CreatedAt  float64  `json:"created_at"`
	ModifiedAt float64  `json:"modified_at"`
}

func (v visible) areaList() []areaEntry {
	all := []areaEntry{}
	for id, a := range v.r.Areas.All() {
		if v.area(id) {
			all = append(all, areaEntry{ID: id, Name: a.GetName(), Aliases: []string{}, Labels: []string{}})
		}
	}
	slices.SortFunc(all, func(a, b areaEntry) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// deviceEntry is a device as config/device_registry/list has it.
type deviceEntry struct {
	ID               string      `json:"id"`
	Name             *string     `json:"name"`
	NameByUser       *string     `json:"name_by_user"`
	Area             *string     `json:"area_id"`
	Manufacturer     *string     `json:"manufacturer"`
	Model            *string     `json:"model"`
	ModelID          *string     `json:"model_id"`
	SWVersion        *string     `json:"sw_version"`
	HWVersion        *string     `json:"hw_version"`
	SerialNumber     *string     `json:"serial_number"`
	ViaDevice        *string     `json:"via_device_id"`
	Identifiers      [][2]string `json:"identifiers"`
	Connections      [][2]string `json:"connections"`
	ConfigEntries    []string    `json:"config_entries"`
	PrimaryEntry     *string     `json:"primary_config_entry"`
	Labels           []string    `json:"labels"`
	ConfigurationURL *string     `json:"configuration_url"`
	DisabledBy       *string     `json:"disabled_by"`
	EntryType        *string     `json:"entry_type"`
	CreatedAt        float64     `json:"created_at"`
	ModifiedAt       float64     `json:"modified_at"`
}

func (v visible) deviceList() []deviceEntry {
	all := []deviceEntry{}
	for id, d := range v.r.Devices.All() {
		if !v.device(id) {
			continue
		}
		w := deviceEntry{
			ID: id, Name: orNull(d.GetName()), NameByUser: orNull(d.GetUserName()),
			Manufacturer: orNull(d.GetManufacturer()), Model: orNull(d.GetModel()), ModelID: orNull(d.GetModelId()),
			SWVersion: orNull(d.GetSoftwareVersion()), HWVersion: orNull(d.GetHardwareVersion()),
			SerialNumber: orNull(d.GetSerialNumber()), Identifiers: [][2]string{{d.GetSource(), id}},
			Connections: [][2]string{}, ConfigEntries: []string{}, Labels: []string{},
		}
		if v.area(d.GetAreaId()) {
			w.Area = orNull(d.GetAreaId())
		}
		if v.device(d.GetViaDevice()) {
			w.ViaDevice = orNull(d.GetViaDevice())
		}
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b deviceEntry) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// entityEntry is an entity as config/entity_registry/list has it.
type entityEntry struct {
	EntityID       string         `json:"entity_id"`
	ID             string         `json:"id"`
	UniqueID       string         `json:"unique_id"`
	Name           *string        `json:"name"`
	OriginalName   *string        `json:"original_name"`
	HasEntityName  bool           `json:"has_entity_name"`
	Platform       string         `json:"platform"`
	Device         *string        `json:"device_id"`
	Area           *string        `json:"area_id"`
	Category       any            `json:"entity_category"`
	DisabledBy     *string        `json:"disabled_by"`
	HiddenBy       *string        `json:"hidden_by"`
	Icon           *string        `json:"icon"`
	Labels         []string       `json:"labels"`
	Categories     map[string]any `json:"categories"`
	Options        map[string]any `json:"options"`
	ConfigEntry    *string        `json:"config_entry_id"`
	TranslationKey *string        `json:"translation_key"`
	CreatedAt      float64        `json:"created_at"`
	ModifiedAt     float64        `json:"modified_at"`
}

func (v visible) entityEntry(e *entityv1.Entity) entityEntry {
	w := entityEntry{
		EntityID: e.GetId(), ID: cmp.Or(e.GetUniqueId(), e.GetId()), UniqueID: cmp.Or(e.GetUniqueId(), e.GetId()),
		Name: orNull(e.GetUserName()), OriginalName: orNull(e.GetName()), HasEntityName: true,
		Platform: cmp.Or(e.GetSource(), "statehouse"), Device: orNull(e.GetDeviceId()), Category: word(e.GetCategory()),
		Labels: []string{}, Categories: map[string]any{}, Options: map[string]any{},
	}
	if v.area(e.GetAreaId()) {
		w.Area = orNull(e.GetAreaId())
	}
	switch by := ""; {
	case e.GetUserDisabled():
		by = "user"
		w.DisabledBy = &by
	case e.UserDisabled == nil && e.GetDisabled():
		by = "integration"
		w.DisabledBy = &by
	}
	return w
}

func (v visible) entityList() []entityEntry {
	all := []entityEntry{}
	for _, e := range v.entries() {
		all = append(all, v.entityEntry(e))
	}
	return all
}

// extendedEntry is an entity as config/entity_registry/get has it.
type extendedEntry struct {
	entityEntry
	Aliases             []string   `json:"aliases"`
	Capabilities        attributes `json:"capabilities"`
	DeviceClass         *string    `json:"device_class"`
	OriginalDeviceClass *string    `json:"original_device_class"`
	OriginalIcon        *string    `json:"original_icon"`
}

// entity is the entry of an entity, or an error that does not say whether there is one that somebody may not see.
func (v visible) entity(id string) (extendedEntry, error) {
	e, ok := v.r.Entity(id)
	if !ok || !v.who.May(access.Read, id) {
		return extendedEntry{}, notFound("Entity not found")
	}
	w := extendedEntry{
		entityEntry: v.entityEntry(e), Aliases: []string{}, Capabilities: attributes{},
		OriginalDeviceClass: orNull(e.GetDeviceClass()),
	}
	domain, _, _ := strings.Cut(id, ".")
	fill(w.Capabilities, registered[1:], e) // the class of the state
	fill(w.Capabilities, capabilities[domain], e)
	return w, nil
}

// displayEntry is an entity as config/entity_registry/list_for_display has it, in as few bytes as possible.
type displayEntry struct {
	EntityID      string   `json:"ei"`
	Platform      string   `json:"pl"`
	Labels        []string `json:"lb"`
	Device        string   `json:"di,omitempty"`
	Area          string   `json:"ai,omitempty"`
	Category      *int     `json:"ec,omitempty"`
	Name          string   `json:"en,omitempty"`
	HasEntityName bool     `json:"hn"`
}

// displayList is the answer of config/entity_registry/list_for_display, which leaves out what is disabled.
func (v visible) displayList() map[string]any {
	names := map[entityv1.EntityCategory]int{
		entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG: 0, entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC: 1,
	}
	all := []displayEntry{}
	for _, e := range v.entries() {
		entry := v.entityEntry(e)
		if entry.DisabledBy != nil {
			continue
		}
		w := displayEntry{
			EntityID: entry.EntityID, Platform: entry.Platform, Labels: []string{}, Device: e.GetDeviceId(), HasEntityName: true,
			Name: cmp.Or(e.GetUserName(), e.GetName()),
		}
		if entry.Area != nil {
			w.Area = *entry.Area
		}
		if n, ok := names[e.GetCategory()]; ok {
			w.Category = &n
		}
		all = append(all, w)
	}
	return map[string]any{"entity_categories": map[string]string{"0": "config", "1": "diagnostic"}, "entities": all}
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
