//go:build acceptance

package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/client"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/check"
)

// onceEach says what is not as it ought to be of the devices: each that Zigbee2MQTT lists is there once, by its name, and no
// other one, though each of them is announced to Home Assistant, too.
func (r *rig) onceEach(t *testing.T, want int) error {
	t.Helper()
	listed, err := r.observer.devices()
	if err != nil {
		return err
	}
	announced := r.observer.announced()
	devices, entities := r.home.registered(t)
	if len(listed) != want || len(devices) != want+1 { // and the bridge
		return fmt.Errorf("Zigbee2MQTT lists %d devices, the daemon %d and a bridge; want %d", len(listed), len(devices)-1, want)
	}
	for address, d := range listed {
		device := devices[address]
		if device.GetName() != d.Name || device.GetTopic() != "zigbee2mqtt/"+d.Name {
			return fmt.Errorf("%s, %s: the daemon has %v", address, d.Name, device)
		}
		if len(announced[address]) == 0 {
			return fmt.Errorf("%s is not announced to Home Assistant", d.Name)
		}
		if len(entities[address]) == 0 {
			return fmt.Errorf("%s has no entities", d.Name)
		}
	}
	for address, all := range entities {
		for _, e := range all {
			if !strings.HasPrefix(e.GetSource(), "zigbee2mqtt/") {
				return fmt.Errorf("%s of %q comes from %s", e.GetId(), address, e.GetSource())
			}
		}
	}
	return nil
}

// claim is something that is said of a device in two places.
type claim struct {
	what          string
	device, house any
}

// claims are what can be compared of an entity: what the device reports, and what the daemon says.
func claims(e *entityv1.Entity, a *entityv1.Attributes, d listed, report map[string]any) []claim {
	domain, _, _ := strings.Cut(e.GetId(), ".")
	said := report[e.GetProperty()]
	one := func(device, house any) []claim { return []claim{{domain, device, house}} }
	switch domain {
	case "sensor":
		return one(said, sensorValue(a.GetSensor()))
	case "number":
		var number any
		if v, ok := a.GetNumber().GetValue().(*entityv1.Number_Number); ok {
			number = v.Number
		}
		return one(said, number)
	case "select":
		return one(said, value(a.GetSelect().GetOption, a.GetSelect() != nil && a.GetSelect().Option != nil))
	case "text":
		return one(said, value(a.GetText().GetValue, a.GetText() != nil && a.GetText().Value != nil))
	case "binary_sensor":
		return one(d.find(e.GetProperty()).on(said), value(a.GetBinarySensor().GetOn, a.GetBinarySensor() != nil && a.GetBinarySensor().On != nil))
	case "switch":
		return one(d.find(e.GetProperty()).on(said), value(a.GetSwitch().GetOn, a.GetSwitch() != nil && a.GetSwitch().On != nil))
	case "fan":
		return one(d.find(e.GetProperty()).on(said), value(a.GetFan().GetOn, a.GetFan() != nil && a.GetFan().On != nil))
	case "light":
		var brightness any
		if v, ok := report["brightness"].(float64); ok {
			brightness = uint32(math.Round(v * 255 / 254))
		}
		light := a.GetLight()
		return []claim{
			{"light", d.find(e.GetProperty()).on(said), value(light.GetOn, light != nil && light.On != nil)},
			{"brightness", brightness, value(light.GetBrightness, light != nil && light.Brightness != nil)},
		}
	case "cover":
		cover := a.GetCover()
		position := value(func() float64 { return float64(cover.GetPosition()) }, cover != nil && cover.Position != nil)
		return one(report["position"], position)
	case "climate":
		climate := a.GetClimate()
		return []claim{{
			"climate", report[property(e, "current_temperature")], value(climate.GetCurrentTemperature, climate != nil && climate.CurrentTemperature != nil),
		}, {
			"climate", report[property(e, "target_temperature")], value(climate.GetTargetTemperature, climate != nil && climate.TargetTemperature != nil),
		}}
	}
	return nil
}

// value is what get returns, or nil where that is not known.
func value[T any](get func() T, known bool) any {
	if !known {
		return nil
	}
	return get()
}

func sensorValue(s *entityv1.Sensor) any {
	switch v := s.GetValue().(type) {
	case *entityv1.Sensor_Number:
		return v.Number
	case *entityv1.Sensor_Text:
		return v.Text
	default:
		return nil
	}
}

// on says what a value that a device reports means where it is on or off.
func (e expose) on(said any) any {
	switch {
	case said == nil:
		return nil
	case reflect.DeepEqual(said, e.ValueOn):
		return true
	case reflect.DeepEqual(said, e.ValueOff):
		return false
	default:
		return fmt.Sprintf("%v, which is neither %v nor %v", said, e.ValueOn, e.ValueOff)
	}
}

// property is that of a feature.
func property(e *entityv1.Entity, feature string) string {
	for _, f := range e.GetCapabilities().GetFeatureDetails() {
		if f.GetName() == feature {
			return f.GetProperty()
		}
	}
	return ""
}

// reported is what a device has said of itself, the newest value of each property.
func (o *observer) reported(device string) map[string]any {
	report := map[string]any{}
	for _, m := range o.since(0) {
		if m.topic == "zigbee2mqtt/"+device {
			_ = json.Unmarshal([]byte(m.payload), &report) // what is no object is no report
		}
	}
	return report
}

// unstated are properties of reports that are no part of a device's state.
var unstated = []string{"last_seen", "linkquality", "update"}

// agree says in what the states that Zigbee2MQTT stored, what it published, and the present of the daemon differ.
func (r *rig) agree(t *testing.T, stored map[string]map[string]any) error {
	t.Helper()
	listed, err := r.observer.devices()
	if err != nil {
		return err
	}
	_, entities := r.home.registered(t)
	states := r.home.states(t)
	var wrong []error
	known, unknown := map[string]int{}, 0
	for address, d := range listed {
		report := r.observer.reported(d.Name)
		for name, want := range stored[address] {
			if !slices.Contains(unstated, name) && !reflect.DeepEqual(report[name], want) {
				wrong = append(wrong, fmt.Errorf("%s: Zigbee2MQTT stored %s %v and published %v", d.Name, name, want, report[name]))
			}
		}
		for _, e := range entities[address] {
			st, enabled := states[e.GetId()]
			if !enabled {
				continue
			}
			if st.Attributes.GetAvailability() != entityv1.Availability_AVAILABILITY_ONLINE {
				wrong = append(wrong, fmt.Errorf("%s is %s", e.GetId(), st.Attributes.GetAvailability()))
			}
			for _, c := range claims(e, st.Attributes, d, report) {
				if !reflect.DeepEqual(c.device, c.house) {
					wrong = append(wrong, fmt.Errorf("%s: the device says %s %v, and the daemon %v", e.GetId(), c.what, c.device, c.house))
				}
				if c.device == nil {
					unknown++
				} else {
					known[c.what]++
				}
			}
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d differences: %w", len(wrong), errors.Join(wrong[:min(len(wrong), 10)]...))
	}
	for _, what := range []string{"sensor", "binary_sensor", "switch", "light", "brightness", "cover", "climate", "number", "select"} {
		if known[what] == 0 {
			return fmt.Errorf("no %s was compared: %v", what, known)
		}
	}
	t.Logf("   compared: %v, and %d that neither knows", known, unknown)
	return nil
}

// isFold says in what the present of the daemon differs from its log, read and folded from the first event on.
func (r *rig) isFold(t *testing.T) error {
	t.Helper()
	head := r.home.head(t)
	states := r.home.states(t)
	registry, err := r.home.Registry(t.Context(), client.At{})
	if err != nil {
		return err
	}
	if now := r.home.head(t); now != head {
		return fmt.Errorf("the log goes on, from %d to %d", head, now)
	}
	fold, err := check.FoldLog(r.home.Read(t.Context(), eventstore.Query{Until: head}))
	if err != nil {
		return err
	}
	if len(states) != len(fold.States) || len(registry.Entities) != len(fold.Entities) || len(registry.Devices) != len(fold.Devices) {
		return fmt.Errorf("%d states, %d entities and %d devices; the log makes %d, %d and %d", len(states), len(registry.Entities),
			len(registry.Devices), len(fold.States), len(fold.Entities), len(fold.Devices))
	}
	for id, st := range fold.States {
		if err := check.SameState(states[id].State, st); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	for _, e := range registry.Entities {
		if !proto.Equal(e, fold.Entities[e.GetId()]) {
			return fmt.Errorf("the entity %v is %v in the log", e, fold.Entities[e.GetId()])
		}
	}
	for _, d := range registry.Devices {
		if !proto.Equal(d, fold.Devices[d.GetId()]) {
			return fmt.Errorf("the device %v is %v in the log", d, fold.Devices[d.GetId()])
		}
	}
	t.Logf("   folded %d events to %d states of %d entities", head, len(states), len(registry.Entities))
	return nil
}
