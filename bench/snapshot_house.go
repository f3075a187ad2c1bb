package main

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

// houseRooms are where the devices of a large house are.
var houseRooms = [...]string{
	"kitchen", "living_room", "bedroom", "bathroom", "office", "hall", "garage", "attic", "cellar", "nursery", "terrace", "garden",
}

// houseDevices are the kinds of devices of a large house, and what each reports: as a Zigbee device does, a few values
// in one message, the last of which is how well it is heard.
var houseDevices = [...]struct {
	name    string
	reports []houseReport
}{
	{"climate", []houseReport{
		{"sensor", "_temperature", number(15, 28, 100)}, {"sensor", "_humidity", number(30, 70, 100)},
		{"sensor", "_battery", number(20, 100, 1)}, {"sensor", "_linkquality", number(20, 255, 1)},
	}},
	{"motion", []houseReport{
		{"binary_sensor", "", isOn}, {"sensor", "_illuminance", number(0, 20_000, 1)},
		{"sensor", "_battery", number(20, 100, 1)}, {"sensor", "_linkquality", number(20, 255, 1)},
	}},
	{"lamp", []houseReport{{"light", "", lamp}, {"sensor", "_linkquality", number(20, 255, 1)}}},
	{"plug", []houseReport{
		{"switch", "", isSwitched}, {"sensor", "_power", number(0, 300, 10)}, {"sensor", "_energy", number(0, 5_000, 100)},
		{"sensor", "_linkquality", number(20, 255, 1)},
	}},
	{"window", []houseReport{
		{"binary_sensor", "", isOn}, {"binary_sensor", "_tamper", isOn},
		{"sensor", "_battery", number(20, 100, 1)}, {"sensor", "_linkquality", number(20, 255, 1)},
	}},
	{"radiator", []houseReport{
		{"climate", "", radiator}, {"binary_sensor", "_window", isOn},
		{"sensor", "_battery", number(20, 100, 1)}, {"sensor", "_linkquality", number(20, 255, 1)},
	}},
}

// houseReport is an entity of a device, and what may be said of it.
type houseReport struct {
	domain, property string
	draw             func(rng *rand.Rand) *entityv1.Attributes
}

// houseEntity is an entity of a house and what was said of it last.
type houseEntity struct {
	id         string
	draw       func(rng *rand.Rand) *entityv1.Attributes
	attributes *entityv1.Attributes
}

// bigHouse yields events after which a house has so many entities. Each device says twice how it is, in random order, at
// times in whole microseconds; half of what it says the second time is as it was.
func bigHouse(entities int) iter.Seq[[]eventstore.Event] {
	return func(yield func([]eventstore.Event) bool) {
		rng := rand.New(rand.NewPCG(21, 22))
		var devices [][]houseEntity
		for n, left := 0, entities; left > 0; n++ {
			kind, room := houseDevices[n%len(houseDevices)], houseRooms[rng.IntN(len(houseRooms))]
			var device []houseEntity
			for _, r := range kind.reports[:min(left, len(kind.reports))] {
				id := fmt.Sprintf("%s.%s_%s_%06d%s", r.domain, room, kind.name, n, r.property)
				device = append(device, houseEntity{id: id, draw: r.draw})
			}
			left -= len(device)
			devices = append(devices, device)
		}
		at := started
		for range 2 {
			rng.Shuffle(len(devices), func(i, j int) { devices[i], devices[j] = devices[j], devices[i] })
			for _, device := range devices {
				at = at.Add(time.Duration(rng.IntN(20_000)) * time.Microsecond)
				events := make([]eventstore.Event, len(device))
				for i := range device {
					events[i] = device[i].report(rng, at)
				}
				if !yield(events) {
					return
				}
			}
		}
	}
}

// report is what the entity's device says of it next.
func (e *houseEntity) report(rng *rand.Rand, at time.Time) eventstore.Event {
	if e.attributes == nil || rng.IntN(2) == 0 {
		e.attributes = e.draw(rng)
	}
	return eventstore.Event{
		Timestamp: at, Entity: e.id, Source: fleetSource,
		Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: e.attributes}}},
	}
}

// number draws a sensor's number between two, with so many steps in each one.
func number(least, most, steps int) func(rng *rand.Rand) *entityv1.Attributes {
	return func(rng *rand.Rand) *entityv1.Attributes {
		n := float64(least*steps+rng.IntN((most-least)*steps)) / float64(steps)
		return online(&entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{
			Sensor: &entityv1.Sensor{Value: &entityv1.Sensor_Number{Number: n}},
		}})
	}
}

func isOn(rng *rand.Rand) *entityv1.Attributes {
	on := rng.IntN(4) == 0
	return online(&entityv1.Attributes{Domain: &entityv1.Attributes_BinarySensor{BinarySensor: &entityv1.BinarySensor{On: &on}}})
}

func isSwitched(rng *rand.Rand) *entityv1.Attributes {
	on := rng.IntN(2) == 0
	return online(&entityv1.Attributes{Domain: &entityv1.Attributes_Switch{Switch: &entityv1.Switch{On: &on}}})
}

func lamp(rng *rand.Rand) *entityv1.Attributes {
	on, brightness, kelvin := rng.IntN(3) == 0, uint32(rng.IntN(255)), uint32(2200+rng.IntN(4300))
	return online(&entityv1.Attributes{Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{
		On: &on, Brightness: &brightness, ColorMode: entityv1.ColorMode_COLOR_MODE_COLOR_TEMP, ColorTempKelvin: &kelvin,
	}}})
}

func radiator(rng *rand.Rand) *entityv1.Attributes {
	is, target := float64(1500+rng.IntN(1000))/100, float64(32+rng.IntN(16))/2
	return online(&entityv1.Attributes{Domain: &entityv1.Attributes_Climate{Climate: &entityv1.Climate{
		HvacMode: entityv1.HvacMode_HVAC_MODE_HEAT, HvacAction: entityv1.HvacAction(2 + rng.IntN(2)),
		CurrentTemperature: &is, TargetTemperature: &target,
	}}})
}

func online(a *entityv1.Attributes) *entityv1.Attributes {
	a.Availability = entityv1.Availability_AVAILABILITY_ONLINE
	return a
}
