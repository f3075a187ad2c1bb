package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// maxDeviceEntities is five times what the richest real device has.
const maxDeviceEntities = 1000

// announce takes in what a message announces. What cannot be used of it is complained about, and the rest taken in.
func (e *Engine) announce(ctx context.Context, m mqtt.Message) error {
	announcements, err := e.translator.Translate(m.Topic, m.Payload)
	switch {
	case errors.Is(err, ErrCovered): // nothing is wrong, and a large house has thousands of them
		e.Counters.Ignore(dialect.ReasonCopy)
	case err != nil:
		e.Complain(m, dialect.ReasonMalformed, err)
	}
	for _, a := range announcements {
		if err := e.apply(ctx, m, a); err != nil {
			return err
		}
	}
	return nil
}

// apply takes an announcement in.
func (e *Engine) apply(ctx context.Context, m mqtt.Message, a Announcement) error {
	e.announcing.Lock()
	defer e.announcing.Unlock()
	switch {
	case a.Migrates:
		if e.catalog.announced(a.Key) {
			e.migrating[a.Key] = true
		}
		return nil
	case a.Complete && len(a.Entities) == 0 && e.migrating[a.Key]:
		delete(e.migrating, a.Key) // what it announced is another's by now, or will be
		return nil
	}
	delete(e.migrating, a.Key) // it goes on by itself
	items, want, err := e.describe(a)
	if err != nil {
		e.Complain(m, dialect.ReasonMalformed, err)
	}
	var gone map[string]*item
	if a.Complete && err == nil {
		gone = e.catalog.announcedBy(a.Key, items)
	}
	if len(gone) == 0 && e.knows(items) && (want.Device == nil || e.catalog.hasDevice(want.Device)) {
		e.wanted.add(topicsOf(items)...)
		return nil // most of what is retained, and most messages of devices that are known by their reports
	}
	env := bounded()
	for _, it := range items {
		if made, err := e.catalog.compile(it); err == nil {
			e.prepare(it, made, env)
		}
	}
	registered := map[string]*entityv1.Entity{} // by unique id
	taken, err := e.Take(ctx, m, func(p statehouse.Pending) (*dialect.Batch, error) {
		clear(registered)
		b := e.NewBatch(p, m.ReceivedAt)
		want := want
		want.Device = fillDevice(want.Device, p)
		e.withdraw(b, gone, want.Device.GetId())
		if want.Device != nil {
			for _, entry := range b.Extend(want) {
				registered[entry.GetUniqueId()] = entry
			}
		}
		for _, it := range items {
			e.renew(b, it, registered[it.unique])
		}
		return b, nil
	})
	if !taken {
		e.forget(a.Key)
		return err
	}
	if len(registered) < len(items) {
		e.forget(a.Key) // there was no room; there may be later
	}
	for unique := range gone {
		e.catalog.remove(unique)
		e.deadlines.drop(unique)
	}
	for _, it := range items {
		entry := registered[it.unique]
		if entry == nil {
			continue // there was no room for it
		}
		if !it.isAs(e.catalog.get(it.unique)) {
			it.unique, it.key = entry.GetUniqueId(), strings.Clone(it.key) // of a text that may go
			it.entry.Store(entry)
			e.catalog.put(it)
		}
		e.wanted.add(it.topics...)
	}
	if want.Device != nil {
		e.catalog.setDevice(want.Device)
	}
	return nil
}

// describe makes of an announcement what is to be registered, and the items that are then known. What is wrong with single
// entities is in the error; the others are there.
func (e *Engine) describe(a Announcement) (items []*item, want dialect.DeviceSpec, bad error) {
	if a.Device == nil || len(a.Entities) == 0 {
		return nil, want, nil
	}
	entities := a.Entities
	if len(entities) > maxDeviceEntities {
		bad = fmt.Errorf("a device with %d entities, at most %d are taken", len(entities), maxDeviceEntities)
		entities = entities[:maxDeviceEntities]
	}
	device := proto.CloneOf(a.Device)
	device.Id, device.Source, device.Address = e.Source()+"/"+a.Device.GetId(), e.Source(), a.Device.GetId()
	if device.GetKind() == entityv1.DeviceKind_DEVICE_KIND_UNSPECIFIED {
		device.Kind = entityv1.DeviceKind_DEVICE_KIND_DEVICE
	}
	if device.GetViaDevice() != "" {
		device.ViaDevice = e.Source() + "/" + device.GetViaDevice()
	}
	want.Device = device
	topics, uniques := map[string]bool{}, make(map[string]bool, len(entities))
	for _, one := range entities {
		spec, err := specOf(a.Key, one)
		if err != nil {
			bad = err
			continue
		}
		unique := dialect.UniqueID(device.GetId(), spec)
		if uniques[unique] { // an event called "tag:x", and a tag called "x"
			bad = fmt.Errorf("%s %.80q is another component's, too: give one of them another unique_id", one.Component, one.Key)
			continue
		}
		it, err := e.catalog.newItem(unique, device.GetId(), spec.Entity)
		if err != nil {
			bad = err
			continue
		}
		if err := e.catalog.room(it, topics); err != nil {
			bad = err
			break
		}
		if other := e.catalog.get(it.unique); a.Complete && other != nil && other.key != a.Key && !e.migrating[other.key] {
			bad = fmt.Errorf("%s %.80q is announced on %.80q already: give one of them another unique_id", one.Component, one.Key, other.key)
			continue
		}
		uniques[unique] = true
		items, want.Entities = append(items, it), append(want.Entities, spec)
	}
	if len(items) == 0 {
		want.Device = nil
	}
	return items, want, bad
}

// specOf is what is to be registered of an entity that a key announces.
func specOf(key string, one Announced) (dialect.Spec, error) {
	component, ok := components[one.Component]
	if !ok {
		return dialect.Spec{}, fmt.Errorf("%.40q is no component", one.Component)
	}
	text, err := define(one.Component, key, one.Config)
	if err != nil {
		return dialect.Spec{}, fmt.Errorf("%s %q: %w", one.Component, one.Key, err)
	}
	spec := dialect.Spec{Domain: component.Domain, Key: one.domainKey(), Object: one.Object, Wish: one.Wish, Entity: proto.CloneOf(one.Entity)}
	if spec.Entity.Capabilities == nil {
		spec.Entity.Capabilities = &entityv1.Capabilities{}
	}
	component.Describe(one.Config, spec.Entity)
	spec.Entity.Capabilities.Definition = dialect.StringValue(text)
	return spec, nil
}

// knows says that the catalog has all of these as they are.
func (e *Engine) knows(items []*item) bool {
	return !slices.ContainsFunc(items, func(it *item) bool {
		return !it.isAs(e.catalog.get(it.unique))
	})
}

// withdraw appends that entities are gone, and the devices that have none left, but the one that is announced.
func (e *Engine) withdraw(b *dialect.Batch, gone map[string]*item, announced string) {
	leaving := map[string]int{}
	for _, it := range gone {
		leaving[it.device.id]++
	}
	for _, unique := range sortedKeys(gone) {
		it := gone[unique]
		entry, ok := b.Pending.EntityByUniqueID(unique)
		switch {
		case !ok:
		case it.device.id != announced && leaving[it.device.id] == len(b.Pending.DeviceEntities(it.device.id)):
			// With the device, below.
		default:
			b.UnregisterEntity(entry.GetId())
		}
	}
	for _, device := range sortedKeys(leaving) {
		if device != announced && leaving[device] == len(b.Pending.DeviceEntities(device)) {
			b.Unregister(device)
		}
	}
}

// forget tells the translator that an announcement came to nothing.
func (e *Engine) forget(key string) {
	if f, ok := e.translator.(Forgetter); ok {
		f.Forget(key)
	}
}

// fillDevice is a device with what its announcement leaves out as it is known, or named after its id: of several entities
// only one may say what the device is.
func fillDevice(d *entityv1.Device, p statehouse.Pending) *entityv1.Device {
	if d == nil {
		return nil
	}
	have, _ := p.Device(d.GetId())
	d = proto.CloneOf(d)
	if haID(d.GetName()) == d.GetAddress() {
		d.Name = have.GetName() // the announcement has none
	}
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&d.Name, cmp.Or(have.GetName(), d.GetAddress())}, {&d.Manufacturer, have.GetManufacturer()}, {&d.Model, have.GetModel()},
		{&d.ModelId, have.GetModelId()}, {&d.SoftwareVersion, have.GetSoftwareVersion()}, {&d.HardwareVersion, have.GetHardwareVersion()},
		{&d.SerialNumber, have.GetSerialNumber()}, {&d.ViaDevice, have.GetViaDevice()},
	} {
		if *f.to == "" {
			*f.to = f.from
		}
	}
	return d
}
