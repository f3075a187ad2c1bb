package discovery

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// maxEntityKey leaves room in a unique id for the device.
const maxEntityKey = 128

// haKey is what names an entity for good: its unique id, or else its place.
func haKey(at haPlace, o haObject) (string, error) {
	unique, err := o.text("unique_id")
	return haShort(cmp.Or(unique, haPrintable(at.key())), maxEntityKey), err
}

var haStateClasses = map[string]entityv1.StateClass{
	"": 0, "measurement": entityv1.StateClass_STATE_CLASS_MEASUREMENT, "total": entityv1.StateClass_STATE_CLASS_TOTAL,
	"total_increasing": entityv1.StateClass_STATE_CLASS_TOTAL_INCREASING,
	// The mean of angles is none of numbers: there is no class for it here, and the wrong one would do harm.
	"measurement_angle": 0,
}

var haCategories = map[string]entityv1.EntityCategory{
	"": 0, "config": entityv1.EntityCategory_ENTITY_CATEGORY_CONFIG, "diagnostic": entityv1.EntityCategory_ENTITY_CATEGORY_DIAGNOSTIC,
}

// haEntity is what all components share, without the name. Class and unit are in o afterwards as they are here: what a
// message means depends on them.
func haEntity(o haObject) (*entityv1.Entity, error) {
	e := &entityv1.Entity{}
	class, err := o.text("device_class")
	if err != nil {
		return nil, err
	}
	e.DeviceClass = strings.ToLower(class)
	unit, err := o.text("unit_of_measurement")
	if err != nil {
		return nil, err
	}
	e.Unit = dialect.NormalizeUnit(unit, e.DeviceClass)
	o.setText("device_class", e.GetDeviceClass())
	o.setText("unit_of_measurement", e.GetUnit())
	var ok bool
	word, err := o.text("state_class")
	if err != nil {
		return nil, err
	}
	if e.StateClass, ok = haStateClasses[word]; !ok {
		return nil, haWrong("state_class", o["state_class"], "measurement, measurement_angle, total or total_increasing")
	}
	if word, err = o.text("entity_category"); err != nil {
		return nil, err
	}
	if e.Category, ok = haCategories[word]; !ok {
		return nil, haWrong("entity_category", o["entity_category"], "config or diagnostic")
	}
	if v := o["enabled_by_default"]; !dialect.IsNull(v) {
		enabled, ok := haBool(v)
		if !ok {
			return nil, haWrong("enabled_by_default", v, "true or false")
		}
		e.Disabled = !enabled
	}
	return e, nil
}

// setText makes a key say a text, and takes it away where that is empty.
func (o haObject) setText(key, text string) {
	if now, ok := dialect.TextOf(o[key]); ok && now == text && text != "" {
		return
	}
	if delete(o, key); text != "" {
		o[key] = dialect.StringValue(text)
	}
}

// haName is an entity's name within its device, empty for the main entity, which a null is, an empty name, and the device's
// own. The device's name is taken off the front, as Home Assistant shows it.
func haName(component string, o haObject, device string) (string, error) {
	if _, has := o["name"]; !has {
		return haNameless(component, o)
	}
	name, err := o.text("name")
	if err != nil || device == "" {
		return cmp.Or(name, haTitle(component)), err
	}
	if strings.EqualFold(name, device) {
		return "", nil
	}
	for _, gap := range [...]string{" ", ": ", " - "} {
		if rest, ok := haCutFold(name, device+gap); ok && rest != "" {
			first, _, words := strings.Cut(rest, " ")
			if words && strings.ToLower(first) != first {
				return rest, nil // a brand's name, or an abbreviation
			}
			return haUpper(rest), nil
		}
	}
	return name, nil
}

// haNameless is the name of an entity that is given none: its class, or what it is. A trigger has a name in two parts.
func haNameless(component string, o haObject) (string, error) {
	class, err := o.text("device_class")
	if err != nil {
		return "", err
	}
	trigger := ""
	if component == "device_automation" {
		kind, err := o.text("type")
		if err != nil {
			return "", err
		}
		subtype, err := o.text("subtype")
		if err != nil {
			return "", err
		}
		trigger = strings.TrimSpace(kind + " " + subtype)
	}
	return cmp.Or(haTitle(trigger), haClassNames[class], haTitle(class), haTitle(component)), nil
}

// haClassNames are those that are not their classes' words.
var haClassNames = map[string]string{
	"aqi": "Air quality index", "ph": "pH", "pm1": "PM1", "pm25": "PM2.5", "pm4": "PM4", "pm10": "PM10",
}

// haTitle makes words of a name like "binary_sensor".
func haTitle(name string) string { return haUpper(strings.ReplaceAll(name, "_", " ")) }

// haUpper is s with a capital at its beginning.
func haUpper(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[size:]
}

// haCutFold takes a beginning off, in whatever case.
func haCutFold(s, prefix string) (rest string, ok bool) {
	for end := range s { // letters in another case may have another length
		if strings.EqualFold(s[:end], prefix) {
			return s[end:], true
		}
		if end > 2*len(prefix) {
			break
		}
	}
	return "", false
}

// haWish is what the device wants to follow the domain in the entity's id.
func haWish(o haObject) (string, error) {
	wish, err := o.text("default_entity_id")
	if err != nil {
		return "", err
	}
	if _, object, ok := strings.Cut(wish, "."); ok {
		wish = object
	}
	if wish == "" {
		if wish, err = o.text("object_id"); err != nil {
			return "", err
		}
	}
	return dialect.Slug(wish), nil
}
