package zigbee2mqtt

import (
	"bytes"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/state"
)

// An entity is available when its device is and the bridge is. While the bridge is offline all its entities are, and
// what is known of the device itself stands in this extra, so that it is back when the bridge is: devices are not
// announced again where Zigbee2MQTT's availability is switched off. Since it is part of the state it survives a restart.
const extraAvailability = "device_availability"

// Words of availability, at the source and in the extra.
const (
	wordOnline  = "online"
	wordOffline = "offline"
)

var errNotAvailability = errors.New(`neither {"state":"online"} nor {"state":"offline"}`)

// parseAvailability reads both forms that Zigbee2MQTT has had: {"state":"online"} and online.
func parseAvailability(payload []byte) (online bool, err error) {
	payload = bytes.TrimSpace(payload)
	if len(payload) > 0 && (payload[0] == '{' || payload[0] == '"') {
		v, err := state.ValueFromJSON(payload)
		if err != nil {
			return false, err
		}
		if v.GetStructValue() != nil {
			v = node{v}.get("state").v
		}
		s, _ := text(v)
		payload = []byte(s)
	}
	switch string(payload) {
	case wordOnline:
		return true, nil
	case wordOffline:
		return false, nil
	default:
		return false, errNotAvailability
	}
}

func availabilityOf(online bool) entityv1.Availability {
	if online {
		return entityv1.Availability_AVAILABILITY_ONLINE
	}
	return entityv1.Availability_AVAILABILITY_OFFLINE
}

var availabilityWords = map[entityv1.Availability]string{
	entityv1.Availability_AVAILABILITY_UNSPECIFIED: "unknown",
	entityv1.Availability_AVAILABILITY_ONLINE:      wordOnline,
	entityv1.Availability_AVAILABILITY_OFFLINE:     wordOffline,
}

// ownAvailability is the device's, whatever the bridge's is.
func ownAvailability(a *entityv1.Attributes) entityv1.Availability {
	s, ok := text(extra(a, extraAvailability))
	if !ok {
		return a.GetAvailability()
	}
	for own, word := range availabilityWords {
		if word == s {
			return own
		}
	}
	return entityv1.Availability_AVAILABILITY_UNSPECIFIED
}

// available appends what the device's own availability and the bridge's make of an entity.
func (b *batch) available(id string, own func(*entityv1.Attributes) entityv1.Availability, bridge bool) {
	_, old := b.stateOf(id)
	a := proto.CloneOf(old)
	device := own(old)
	if bridge {
		a.Availability = device
		setExtra(a, extraAvailability, nil)
	} else {
		a.Availability = entityv1.Availability_AVAILABILITY_OFFLINE
		setExtra(a, extraAvailability, stringValue(availabilityWords[device]))
	}
	if !state.Equal(old, a) {
		b.changed(id, a, b.at)
	}
}

// deviceAvailable is the decision about the availability of one device.
func (d *Dialect) deviceAvailable(b *batch, r route, online bool) error {
	if err := r.check(b.pending); err != nil {
		return err
	}
	bridge := d.bridgeOnline(b.pending)
	own := func(*entityv1.Attributes) entityv1.Availability { return availabilityOf(online) }
	for _, e := range b.pending.DeviceEntities(r.device) {
		if enabled(e) {
			b.available(e.GetId(), own, bridge)
		}
	}
	return nil
}

// allAvailable takes everything behind the bridge with it.
func (d *Dialect) allAvailable(b *batch, online bool) {
	for _, device := range b.pending.Devices(d.source) {
		if device.GetId() == d.bridgeID {
			continue
		}
		for _, e := range b.pending.DeviceEntities(device.GetId()) {
			if enabled(e) {
				b.available(e.GetId(), ownAvailability, online)
			}
		}
	}
}

// bridgeOnline says what is known of the bridge; nothing known counts as online.
func (d *Dialect) bridgeOnline(p statehouse.Pending) bool {
	e, ok := p.EntityByUniqueID(uniqueID(d.bridgeID, connectionState))
	if !ok {
		return true
	}
	st, ok := p.State(e.GetId())
	if !ok || st.Attributes.GetBinarySensor() == nil || st.Attributes.GetBinarySensor().On == nil {
		return true
	}
	return st.Attributes.GetBinarySensor().GetOn()
}
