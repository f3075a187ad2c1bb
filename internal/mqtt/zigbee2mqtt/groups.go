package zigbee2mqtt

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// listedGroup is what is of use in an entry of bridge/groups.
type listedGroup struct {
	ID      *uint32 `json:"id"`
	Name    lenient `json:"friendly_name"`
	Members []struct {
		Address lenient `json:"ieee_address"`
	} `json:"members"`
}

// groupFields are the fields of listedGroup.
var groupFields = []string{"id", "friendly_name", "members"}

// handleGroups takes in the list of all groups.
func (d *Dialect) handleGroups(ctx context.Context, m mqtt.Message) error {
	groups, bad, err := d.parseGroups(m.Payload)
	if err != nil {
		d.Complain(m, dialect.ReasonMalformed, err)
		return nil
	}
	if bad != nil {
		d.Complain(m, dialect.ReasonMalformed, bad)
	}
	if err := d.changeRegistry(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
		return d.decideGroups(d.newBatch(p, m.ReceivedAt), groups, bad == nil), nil
	}); err != nil {
		return err
	}
	d.groups = groups
	d.mu.Lock()
	d.groupsSeen = true
	d.mu.Unlock()
	return d.release(ctx)
}

// parseGroups reads bridge/groups. Bad is what was wrong with the entries that are not in groups, nil for nothing.
func (d *Dialect) parseGroups(payload []byte) (groups []listedGroup, bad, err error) {
	groups = []listedGroup{}
	seen := make(map[uint32]bool)
	err = eachElement(payload, func(raw json.RawMessage) {
		var g listedGroup
		if len(raw) > maxEntry {
			bad = fmt.Errorf("a group of %d bytes, at most %d are taken", len(raw), maxEntry)
			return
		}
		if err := json.Unmarshal(pick(raw, groupFields), &g); err != nil {
			bad = err
			return
		}
		if g.ID == nil || seen[*g.ID] {
			bad = errors.New("a group without an id, or with one twice")
			return
		}
		if err := mqtt.ValidTopic(d.groupTopic(g)); err != nil {
			bad = fmt.Errorf("group %d: no message can come under its name: %w", *g.ID, err)
			return
		}
		seen[*g.ID] = true
		groups = append(groups, g)
	})
	return groups, bad, err
}

// decideGroups is the decision about a list of groups. Complete says that a group that is not in it is gone.
func (d *Dialect) decideGroups(b *batch, groups []listedGroup, complete bool) *dialect.Batch {
	listed := make(map[string]bool, len(groups))
	for _, g := range groups {
		listed[d.deviceID(groupAddress(*g.ID))] = true
	}
	for _, device := range b.Pending.Devices(d.Source()) {
		if device.GetKind() == entityv1.DeviceKind_DEVICE_KIND_GROUP && !listed[device.GetId()] && complete {
			b.Unregister(device.GetId())
		}
	}
	specs := make([]dialect.DeviceSpec, len(groups))
	for i, g := range groups {
		specs[i] = d.describeGroup(b.Pending, g)
	}
	b.RegisterAll(specs)
	return b.Batch
}

func (g listedGroup) name() string {
	return cmp.Or(string(g.Name), strconv.FormatUint(uint64(*g.ID), 10))
}

func (d *Dialect) groupTopic(g listedGroup) string { return d.opts.BaseTopic + "/" + g.name() }

func groupAddress(id uint32) string { return "group/" + strconv.FormatUint(uint64(id), 10) }

func (d *Dialect) describeGroup(p statehouse.Pending, g listedGroup) dialect.DeviceSpec {
	address := groupAddress(*g.ID)
	s := dialect.DeviceSpec{Device: &entityv1.Device{
		Id: d.deviceID(address), Address: address, Name: g.name(), Topic: d.groupTopic(g),
		Kind: entityv1.DeviceKind_DEVICE_KIND_GROUP, Source: d.Source(), ViaDevice: d.bridgeID,
		Manufacturer: "Zigbee2MQTT", Model: "Group",
	}}
	var members []*entityv1.Entity
	seen := make(map[string]bool, len(g.Members))
	for _, m := range g.Members {
		id := d.deviceID(string(m.Address))
		if seen[id] {
			continue // with several of its endpoints
		}
		seen[id] = true
		if _, ok := p.Device(id); !ok {
			s.Keep = true // the devices have not come yet: what it had stays until they have
		}
		members = append(members, slices.SortedFunc(slices.Values(p.DeviceEntities(id)), func(a, b *entityv1.Entity) int {
			return cmp.Compare(a.GetUniqueId(), b.GetUniqueId())
		})...)
	}
	s.Entities = groupEntities(members)
	return s
}

// groupFeatures are the features that a group can have, by domain, and the properties of its reports. A group has what
// any of its members has: Zigbee2MQTT lets each member do what it can.
var groupFeatures = map[string]map[string]string{
	domainLight: {
		featureOn: "state", featureBrightness: "brightness", featureColorTemp: "color_temp", featureXy: "color",
		featureHs: "color", featureColorMode: "color_mode", featureEffect: "effect",
	},
	domainSwitch: {featureOn: "state"},
	domainLock:   {featureState: "state"},
	domainCover:  {featureState: "state", featurePosition: "position", featureTilt: "tilt"},
}

func groupEntities(members []*entityv1.Entity) []dialect.Spec {
	var specs []dialect.Spec
	for _, domain := range []string{domainLight, domainSwitch, domainLock, domainCover} {
		var features []*entityv1.Feature
		for _, e := range members {
			if dialect.DomainOf(e) != domain || e.GetCategory() != entityv1.EntityCategory_ENTITY_CATEGORY_UNSPECIFIED || isSetting(e) {
				continue
			}
			for _, f := range e.GetCapabilities().GetFeatureDetails() {
				if property, ok := groupFeatures[domain][f.GetName()]; ok {
					features = join(features, f, property)
				}
			}
		}
		if len(features) > 0 {
			group := expose{property: "state"}
			specs = append(specs, group.composite(domain, "state", features...))
		}
	}
	return specs
}

// isSetting says that a switch is one of a device's settings, which came as a plain binary value.
func isSetting(e *entityv1.Entity) bool {
	return dialect.DomainOf(e) == domainSwitch && len(e.GetCapabilities().GetFeatures()) == 0
}

// join adds a member's feature to those of its group, within limits that hold for all.
func join(features []*entityv1.Feature, f *entityv1.Feature, property string) []*entityv1.Feature {
	i := slices.IndexFunc(features, func(have *entityv1.Feature) bool { return have.GetName() == f.GetName() })
	if i < 0 {
		f = proto.CloneOf(f)
		f.Property = property
		return append(features, f)
	}
	have := features[i]
	if f.Minimum != nil && (have.Minimum == nil || f.GetMinimum() > have.GetMinimum()) {
		have.Minimum = proto.Float64(f.GetMinimum())
	}
	if f.Maximum != nil && (have.Maximum == nil || f.GetMaximum() < have.GetMaximum()) {
		have.Maximum = proto.Float64(f.GetMaximum())
	}
	for _, option := range f.GetOptions() {
		if !slices.Contains(have.Options, option) {
			have.Options = append(have.Options, option)
		}
	}
	have.Readable = have.GetReadable() || f.GetReadable()
	have.Writable = have.GetWritable() || f.GetWritable()
	return features
}
