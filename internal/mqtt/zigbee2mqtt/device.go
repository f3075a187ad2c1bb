package zigbee2mqtt

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// listedDevice is what is of use in an entry of bridge/devices.
type listedDevice struct {
	Address      lenient `json:"ieee_address"`
	Name         lenient `json:"friendly_name"`
	Type         lenient `json:"type"`
	Manufacturer lenient `json:"manufacturer"`
	ModelID      lenient `json:"model_id"`
	Software     lenient `json:"software_build_id"`
	Definition   *struct {
		Model       lenient           `json:"model"`
		Vendor      lenient           `json:"vendor"`
		Description lenient           `json:"description"`
		OTA         any               `json:"supports_ota"`
		Exposes     []json.RawMessage `json:"exposes"`
	} `json:"definition"`
}

// deviceFields are the fields of listedDevice.
var deviceFields = []string{
	"ieee_address", "friendly_name", "type", "manufacturer", "model_id", "software_build_id", "definition",
}

// errEmptyList: whatever made it, it does not say that all devices are gone. Where they are, the coordinator is left.
var errEmptyList = errors.New("an empty list, where the coordinator's entry is the least there can be")

// deviceList is bridge/devices, read.
type deviceList struct {
	devices     []dialect.DeviceSpec
	coordinator string // address
	// bad is what was wrong with the entries that are not in devices, nil for nothing.
	bad error
	// unusable are the ids of devices whose entries are bad: they are there, and what they had stays.
	unusable []string
	// incomplete says that of a bad entry not even the device is known. Such a list removes no device: the missing one
	// may be the one that could not be read.
	incomplete bool
}

const typeCoordinator = "Coordinator"

// maxAddress is far beyond the 18 bytes of every real address.
const maxAddress = 64

// maxEntry is far beyond every real entry, and keeps the events that one makes below what the log takes.
const maxEntry = 1 << 20

// maxEntities is five times what the richest real device has.
const maxEntities = 1000

func (d *Dialect) parseDevices(payload []byte) (deviceList, error) {
	var list deviceList
	seen := make(map[string]bool)
	empty := true
	err := eachElement(payload, func(raw json.RawMessage) {
		empty = false
		entry, err := parseDevice(raw)
		address := string(entry.Address)
		switch {
		case err != nil:
		case address == "" || len(address) > maxAddress || strings.Contains(address, "/") || address == bridgeAddress:
			err = fmt.Errorf("a device without an address, or with a wrong one: %.80q", address)
		case seen[address]:
			err = fmt.Errorf("device %q is listed twice", address)
		}
		if err != nil {
			list.bad, list.incomplete = err, true
			return
		}
		seen[address] = true
		if entry.Type == typeCoordinator {
			list.coordinator = address
			return
		}
		s := d.describeDevice(address, entry)
		if err := checkDevice(s); err != nil {
			list.bad, list.unusable = fmt.Errorf("device %q: %w", address, err), append(list.unusable, s.Device.GetId())
			return
		}
		list.devices = append(list.devices, s)
	})
	if err == nil && empty {
		err = errEmptyList
	}
	return list, err
}

func parseDevice(raw json.RawMessage) (entry listedDevice, err error) {
	if len(raw) > maxEntry {
		return entry, fmt.Errorf("an entry of %d bytes, at most %d are taken", len(raw), maxEntry)
	}
	return entry, json.Unmarshal(pick(raw, deviceFields), &entry)
}

// checkDevice says what keeps a device from being taken in.
func checkDevice(s dialect.DeviceSpec) error {
	if err := mqtt.ValidTopic(s.Device.GetTopic()); err != nil {
		return fmt.Errorf("no message can come under its name: %w", err)
	}
	if len(s.Entities) > maxEntities {
		return fmt.Errorf("it has %d entities, at most %d are taken", len(s.Entities), maxEntities)
	}
	return nil
}

func (d *Dialect) describeDevice(address string, entry listedDevice) dialect.DeviceSpec {
	name := cmp.Or(string(entry.Name), address)
	s := dialect.DeviceSpec{Keep: true, Device: &entityv1.Device{
		Id: d.deviceID(address), Address: address, Name: name, Topic: d.opts.BaseTopic + "/" + name,
		Kind: entityv1.DeviceKind_DEVICE_KIND_DEVICE, Source: d.Source(), ViaDevice: d.bridgeID,
		Manufacturer: string(entry.Manufacturer), ModelId: string(entry.ModelID), SoftwareVersion: string(entry.Software),
	}}
	definition := entry.Definition
	if definition == nil || definition.Exposes == nil {
		return s // not interviewed yet, or not supported: what it had stays
	}
	s.Device.Manufacturer, s.Device.Model = string(definition.Vendor), string(definition.Description)
	s.Device.ModelId = string(definition.Model)
	exposes := make([]expose, 0, len(definition.Exposes))
	for _, raw := range definition.Exposes {
		v, err := state.ValueFromJSON(raw)
		if err != nil {
			return s
		}
		exposes = append(exposes, newExpose(v))
	}
	ota, _ := definition.OTA.(bool)
	s.Entities, s.Keep = entities(exposes, ota), false
	return s
}

// handleDevices takes in the list of all devices: whoever is not in it is gone.
func (d *Dialect) handleDevices(ctx context.Context, m mqtt.Message) error {
	list, err := d.parseDevices(m.Payload)
	if err != nil {
		d.Complain(m, dialect.ReasonMalformed, err)
		return nil
	}
	if list.bad != nil {
		d.Complain(m, dialect.ReasonMalformed, list.bad)
	}
	if err := d.changeRegistry(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
		return d.decideDevices(d.newBatch(p, m.ReceivedAt), list), nil
	}); err != nil {
		return err
	}
	d.mu.Lock()
	d.devicesSeen = true
	groups := d.groupsSeen
	d.mu.Unlock()
	if groups { // what a group can do depends on its members
		if err := d.changeRegistry(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
			return d.decideGroups(d.newBatch(p, m.ReceivedAt), d.groups, false), nil
		}); err != nil {
			return err
		}
	}
	return d.release(ctx)
}

// changeRegistry is decide for who holds bridge. Whatever comes of it, the index is read anew.
func (d *Dialect) changeRegistry(ctx context.Context, m mqtt.Message, decide func(statehouse.Pending) (*dialect.Batch, error)) error {
	defer func() {
		d.index.Store(nil)
		d.plans.Clear()
	}()
	return d.Decide(ctx, m, decide)
}

func (d *Dialect) decideDevices(b *batch, list deviceList) *dialect.Batch {
	d.registerBridge(b, func(device *entityv1.Device) {
		if list.coordinator != "" {
			device.Address = list.coordinator
		}
	})
	listed := make(map[string]bool, len(list.devices))
	for _, s := range list.devices {
		listed[s.Device.GetId()] = true
	}
	for _, id := range list.unusable {
		listed[id] = true
	}
	for _, device := range b.Pending.Devices(d.Source()) {
		if device.GetKind() == entityv1.DeviceKind_DEVICE_KIND_DEVICE && !listed[device.GetId()] && !list.incomplete {
			b.Unregister(device.GetId())
		}
	}
	b.RegisterAll(list.devices)
	return b.Batch
}

// release takes in what waited, as far as its device is known now, and drops the rest once both lists are there. Its
// caller holds bridge.
func (d *Dialect) release(ctx context.Context) error {
	ix, err := d.topicsLocked(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	messages := d.waiting.take()
	d.mu.Unlock()
	for i, m := range messages {
		r := ix.route(strings.TrimPrefix(m.Topic, d.opts.BaseTopic+"/"))
		if r.kind == routeUnknown {
			d.park(m)
			continue
		}
		if err := d.deviceMessage(ctx, r, m); err != nil && !errors.Is(err, errStale) {
			d.mu.Lock()
			defer d.mu.Unlock()
			for _, m := range messages[i:] {
				d.waiting.add(m) // for the list's next delivery
			}
			return err
		}
	}
	return nil
}
