package zigbee2mqtt

import (
	"bytes"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
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
			v = dialect.Node{Value: v}.Get("state").Value
		}
		s, _ := dialect.TextOf(v)
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

// reach is what is known of whether the bridge runs.
type reach int

const (
	bridgeUnheard reach = iota // counts as online
	bridgeOnline
	bridgeOffline
)

// bridge is what is known of the bridge, as the batch left it.
func (b *batch) bridge() reach {
	said, _ := b.bridgeSays()
	return said
}

// bridgeSays is what is known of the bridge, as the batch left it, and the position of the event that last said so, 0 where
// that is in the batch. The bridge's connection state tells, and where a user disabled that, the availability of its other
// entities.
func (b *batch) bridgeSays() (said reach, at eventstore.Position) {
	for _, e := range b.Pending.DeviceEntities(b.bridgeID) {
		st, a := b.StateOf(e.GetId())
		if b.Has(e.GetId()) {
			st.Position = 0
		}
		if b.saysBridge(e) && a.GetBinarySensor() != nil && a.GetBinarySensor().On != nil {
			return reachOf(a.GetBinarySensor().GetOn()), st.Position
		}
		if a.GetAvailability() != entityv1.Availability_AVAILABILITY_UNSPECIFIED {
			said, at = reachOf(a.GetAvailability() == entityv1.Availability_AVAILABILITY_ONLINE), st.Position
		}
	}
	return said, at
}

func reachOf(isOnline bool) reach {
	if isOnline {
		return bridgeOnline
	}
	return bridgeOffline
}

// saysBridge says that an entity is the one that says whether the bridge runs, and is therefore always available.
func (b *batch) saysBridge(e *entityv1.Entity) bool {
	return e.GetUniqueId() == dialect.UniqueID(b.bridgeID, connectionState)
}

// deviceAvailability is what is known of a device itself, whatever the bridge is. All its entities say the same, but
// one that a user enabled while the bridge was offline has no memory of it. The bridge's own entities are as available
// as it is.
func (b *batch) deviceAvailability(entries []*entityv1.Entity, bridge reach) entityv1.Availability {
	said := entityv1.Availability_AVAILABILITY_UNSPECIFIED
	for _, e := range entries {
		if e.GetDeviceId() == b.bridgeID {
			if bridge == bridgeUnheard {
				return said
			}
			return entityv1.Availability_AVAILABILITY_ONLINE
		}
		_, a := b.StateOf(e.GetId())
		if remembered, ok := dialect.TextOf(dialect.ExtraOf(a, extraAvailability)); ok {
			return wordAvailability(remembered)
		}
		if bridge != bridgeOffline && said == entityv1.Availability_AVAILABILITY_UNSPECIFIED {
			said = a.GetAvailability()
		}
	}
	return said
}

func wordAvailability(s string) entityv1.Availability {
	for a, word := range availabilityWords {
		if word == s {
			return a
		}
	}
	return entityv1.Availability_AVAILABILITY_UNSPECIFIED
}

// available appends what the device's own availability and the bridge's make of an entity.
func (b *batch) available(id string, own entityv1.Availability, bridge bool) {
	_, old := b.StateOf(id)
	a := proto.CloneOf(old)
	if bridge {
		a.Availability = own
		dialect.SetExtra(a, extraAvailability, nil)
	} else {
		a.Availability = entityv1.Availability_AVAILABILITY_OFFLINE
		dialect.SetExtra(a, extraAvailability, dialect.StringValue(availabilityWords[own]))
	}
	if state.Equal(old, a) {
		return
	}
	b.Changed(id, a, b.At)
	if offline := entityv1.Availability_AVAILABILITY_OFFLINE; !bridge && own != offline && old.GetAvailability() != offline {
		_, b.Events[len(b.Events)-1].CausePosition = b.bridgeSays() // it alone makes the entity unavailable
	}
}

// deviceAvailable is the decision about the availability of one device.
func (d *Dialect) deviceAvailable(b *batch, r route, isOnline bool) error {
	if err := r.check(b.Pending); err != nil {
		return err
	}
	bridge := b.bridge()
	for _, e := range b.Pending.DeviceEntities(r.device) {
		if dialect.Enabled(e) {
			b.available(e.GetId(), availabilityOf(isOnline), bridge != bridgeOffline)
		}
	}
	return nil
}

// allAvailable takes everything behind the bridge with it; before is what was known of the bridge.
func (d *Dialect) allAvailable(b *batch, isOnline bool, before reach) {
	for _, device := range b.Pending.Devices(d.Source()) {
		if device.GetId() == d.bridgeID {
			continue
		}
		entries := b.Pending.DeviceEntities(device.GetId())
		own := b.deviceAvailability(entries, before)
		for _, e := range entries {
			if dialect.Enabled(e) {
				b.available(e.GetId(), own, isOnline)
			}
		}
	}
}
