package zigbee2mqtt

import (
	"slices"
	"strconv"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

const propertyUpdate = "update"

// update is the entity of a device whose firmware can be updated over the air.
func update() dialect.Spec {
	return dialect.Spec{Domain: domainUpdate, Key: propertyUpdate, Entity: &entityv1.Entity{
		Property: propertyUpdate, DeviceClass: "firmware", Category: config,
		Capabilities: &entityv1.Capabilities{Readable: true, Writable: true},
	}}
}

// setUpdate reads the object that says what is installed and what could be. It comes whole. -1 in it stands for an
// unknown version, and is kept as extra; so is what no field has.
func setUpdate(a *entityv1.Attributes, v *entityv1.Value) *entityv1.Value {
	u := &entityv1.Update{}
	a.Domain = &entityv1.Attributes_Update{Update: u}
	if v == nil {
		return nil
	}
	if v.GetStructValue() == nil {
		return v
	}
	var left []*entityv1.Field
	for _, f := range v.GetStructValue().GetFields() {
		if !dialect.IsNull(f.GetValue()) && !setUpdateField(u, f.GetName(), f.GetValue()) {
			left = append(left, f)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: &entityv1.StructValue{Fields: left}}}
}

func setUpdateField(u *entityv1.Update, name string, v *entityv1.Value) bool {
	switch name {
	case "installed_version":
		u.InstalledVersion = version(v)
		return u.InstalledVersion != nil
	case "latest_version":
		u.LatestVersion = version(v)
		return u.LatestVersion != nil
	case "state":
		s, ok := dialect.TextOf(v)
		updating := s == "updating"
		if ok {
			u.InProgress = &updating
		}
		return slices.Contains([]string{"idle", "available", "updating"}, s) // what idle and available say, the versions say
	case "progress":
		n, ok := dialect.DoubleOf(v)
		if ok {
			u.UpdatePercentage = &n
		}
		return ok
	case "latest_release_notes":
		s, ok := dialect.TextOf(v)
		if ok {
			u.ReleaseSummary = &s
		}
		return ok
	default:
		return false
	}
}

// version is a version in its digits, nil where v is none.
func version(v *entityv1.Value) *string {
	if s, ok := dialect.TextOf(v); ok {
		return &s
	}
	if n, ok := v.GetKind().(*entityv1.Value_IntValue); ok && n.IntValue >= 0 {
		s := strconv.FormatInt(n.IntValue, 10)
		return &s
	}
	return nil
}
