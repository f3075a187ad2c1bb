package zigbee2mqtt

import (
	"context"
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// bridgeAddress stands for the bridge in its device id. Its coordinator's address would not do: the bridge says that it
// is online before it says what its coordinator is, and a coordinator can be replaced.
const bridgeAddress = "bridge"

// The bridge's entities. The one that says whether it is connected is the memory of that, too.
var (
	connectionState = bridgeEntity(domainBinarySensor, "connection_state", "Connection state", "connectivity", diagnostic,
		onOff(dialect.StringValue(wordOnline), dialect.StringValue(wordOffline)))
	bridgeEntities = []dialect.Spec{
		connectionState,
		disabled(bridgeEntity(domainBinarySensor, "restart_required", "Restart required", "problem", diagnostic,
			onOff(dialect.BoolValue(true), dialect.BoolValue(false)))),
		bridgeEntity(domainButton, "restart", "Restart", "restart", 0, &entityv1.Capabilities{Writable: true}),
		bridgeEntity(domainSelect, "log_level", "Log level", "", config, &entityv1.Capabilities{
			Readable: true, Writable: true, Options: []string{"error", "warning", "info", "debug"},
		}),
		bridgeEntity(domainSensor, "version", "Version", "", diagnostic, &entityv1.Capabilities{Readable: true}),
		disabled(bridgeEntity(domainSensor, "coordinator_version", "Coordinator version", "", diagnostic,
			&entityv1.Capabilities{Readable: true})),
		bridgeEntity(domainSwitch, "permit_join", "Permit join", "", 0,
			writable(onOff(dialect.BoolValue(true), dialect.BoolValue(false)))),
	}
)

func bridgeEntity(domain, key, name, class string, category entityv1.EntityCategory, c *entityv1.Capabilities) dialect.Spec {
	for _, f := range c.GetFeatureDetails() {
		f.Property = key
	}
	return dialect.Spec{Domain: domain, Key: key, Object: key, Entity: &entityv1.Entity{
		Name: name, DeviceClass: class, Category: category, Property: key, Capabilities: c,
	}}
}

func onOff(on, off *entityv1.Value) *entityv1.Capabilities {
	return &entityv1.Capabilities{Readable: true, FeatureDetails: []*entityv1.Feature{
		{Name: featureOn, Readable: true, ValueOn: on, ValueOff: off},
	}}
}

func writable(c *entityv1.Capabilities) *entityv1.Capabilities {
	c.Writable = true
	for _, f := range c.GetFeatureDetails() {
		f.Writable = true
	}
	return c
}

func disabled(s dialect.Spec) dialect.Spec {
	s.Entity.Disabled = true
	return s
}

// registerBridge appends what makes the registry know the bridge, with what change says of the device beyond what is
// known of it, and returns its entities.
func (d *Dialect) registerBridge(b *batch, change func(*entityv1.Device)) []*entityv1.Entity {
	device := &entityv1.Device{}
	if have, ok := b.Pending.Device(d.bridgeID); ok {
		device = proto.CloneOf(have)
	}
	device.Id, device.Source, device.Kind = d.bridgeID, d.Source(), entityv1.DeviceKind_DEVICE_KIND_BRIDGE
	device.Name, device.Manufacturer, device.Model = "Zigbee2MQTT Bridge", "Zigbee2MQTT", "Bridge"
	device.Topic = d.opts.BaseTopic + "/" + bridgeAddress
	if change != nil {
		change(device)
	}
	return b.Register(dialect.DeviceSpec{Device: device, Entities: bridgeEntities})
}

// handleBridgeState takes in whether Zigbee2MQTT itself runs: everything behind it is available only then.
func (d *Dialect) handleBridgeState(ctx context.Context, m mqtt.Message) error {
	isOnline, err := parseAvailability(m.Payload)
	if err != nil {
		d.Complain(m, dialect.ReasonMalformed, err)
		return nil
	}
	word := wordOffline
	if isOnline {
		word = wordOnline
	}
	said := report{at: m.ReceivedAt, fields: []*entityv1.Field{{Name: connectionState.Key, Value: dialect.StringValue(word)}}}
	return d.Decide(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
		b := d.newBatch(p, m.ReceivedAt)
		before := b.bridge()
		entries := d.registerBridge(b, nil)
		if err := b.merge(compile(entries), said); err != nil {
			return nil, err
		}
		for _, e := range entries {
			switch {
			case !dialect.Enabled(e):
			case b.saysBridge(e):
				b.available(e.GetId(), entityv1.Availability_AVAILABILITY_UNSPECIFIED, true)
			default:
				b.available(e.GetId(), entityv1.Availability_AVAILABILITY_ONLINE, isOnline)
			}
		}
		d.allAvailable(b, isOnline, before)
		return b.Batch, nil
	})
}

// bridgeInfo is what is of use in bridge/info, which also has the whole configuration.
type bridgeInfo struct {
	Version         json.RawMessage `json:"version"`
	LogLevel        json.RawMessage `json:"log_level"`
	PermitJoin      json.RawMessage `json:"permit_join"`
	RestartRequired json.RawMessage `json:"restart_required"`
	Coordinator     struct {
		Address lenient `json:"ieee_address"`
		Type    lenient `json:"type"`
		Meta    struct {
			Revision json.RawMessage `json:"revision"`
		} `json:"meta"`
	} `json:"coordinator"`
}

func (d *Dialect) handleBridgeInfo(ctx context.Context, m mqtt.Message) error {
	var info bridgeInfo
	if err := json.Unmarshal(m.Payload, &info); err != nil {
		d.Complain(m, dialect.ReasonMalformed, err)
		return nil
	}
	said := report{at: m.ReceivedAt, retained: false} // the retained one holds whenever it arrives
	values := make(map[string]*entityv1.Value)
	for _, f := range []struct {
		name string
		raw  json.RawMessage
	}{
		{"coordinator_version", info.Coordinator.Meta.Revision}, {"log_level", info.LogLevel},
		{"permit_join", info.PermitJoin}, {"restart_required", info.RestartRequired}, {"version", info.Version},
	} {
		v, err := state.ValueFromJSON(f.raw)
		if err != nil {
			continue // it is not there
		}
		values[f.name] = v
		said.fields = append(said.fields, &entityv1.Field{Name: f.name, Value: v})
	}
	version, _ := dialect.WordOf(values["version"])
	revision, _ := dialect.WordOf(values["coordinator_version"])
	return d.Decide(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
		b := d.newBatch(p, m.ReceivedAt)
		entries := d.registerBridge(b, func(device *entityv1.Device) {
			device.SoftwareVersion = version
			device.HardwareVersion = strings.TrimSpace(string(info.Coordinator.Type) + " " + revision)
			if info.Coordinator.Address != "" {
				device.Address = string(info.Coordinator.Address)
			}
		})
		return b.Batch, b.merge(compile(entries), said)
	})
}

// lenient is a string where the source says one, and empty where it says anything else.
type lenient string

// UnmarshalJSON implements [json.Unmarshaler].
func (l *lenient) UnmarshalJSON(data []byte) error {
	*l = ""
	if len(data) == 0 || data[0] != '"' {
		return nil
	}
	var s string
	err := json.Unmarshal(data, &s)
	*l = lenient(s)
	return err
}
