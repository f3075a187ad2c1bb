package discovery

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// item is a known entity. It keeps no more than what is its own, and that is shared with the registry where it can be: a house of
// 40,000 entities is to fit in little memory.
type item struct {
	unique string
	key    string // what announced it
	device *known
	shape  *shape
	// topics are those that the entity listens to, each once, in the order of its shape. Entities of one device share them.
	topics []string
	// entry is the registry's entry as it was seen last: with the definition, what the entity's source says of it, and the id by which
	// it is found. It is replaced by one that says the same, or else with the item.
	entry atomic.Pointer[entityv1.Entity]
	// heard are the topics on which something fresh was taken in since the item was put, stored those of which it has what was stored
	// last. A definition that stays as it is leaves both as they are.
	heard, stored places
}

// places are some of an item's topics, by their places among them. No component has 64 of its own; those of availability come
// behind, which these are not needed for.
type places struct{ bits atomic.Uint64 }

func (p *places) has(at int) bool { return p.bits.Load()&(1<<at) != 0 }
func (p *places) add(at int)      { p.bits.Or(1 << at) }
func (p *places) remove(at int)   { p.bits.And(^uint64(1 << at)) }

// newItem is the item of an entity with that registry entry. It is not part of the catalog.
func (c *catalog) newItem(unique, device string, entry *entityv1.Entity) (*item, error) {
	text := definitionOf(entry)
	if same := c.get(unique); same != nil && same.text() == text { // as most announcements say again what is known
		it := &item{unique: unique, key: same.key, shape: same.shape, device: &known{id: device}, topics: slices.Clone(same.topics)}
		it.entry.Store(entry)
		return it, nil
	}
	o, err := outlineOf(text)
	if err != nil {
		return nil, err
	}
	it := &item{unique: unique, key: o.key, shape: c.shapeOf(o.text), device: &known{id: device}}
	it.entry.Store(entry)
	made, err := c.madeOf(it.shape, o.text)
	if err != nil {
		return nil, err
	}
	it.topics = make([]string, 0, len(made.topics))
	for _, mark := range made.topics {
		it.topics = append(it.topics, o.topics[mark])
	}
	return it, nil
}

// text is that of the definition.
func (it *item) text() string { return definitionOf(it.entry.Load()) }

// isAs says that another item says the same.
func (it *item) isAs(other *item) bool {
	return other != nil && dialect.SameEntity(it.entry.Load(), other.entry.Load())
}

// topicsOf are all topics of items.
func topicsOf(items []*item) []string {
	var topics []string
	for _, it := range items {
		topics = append(topics, it.topics...)
	}
	return topics
}

// catalog is what is known of the entities of an ecosystem: by unique id, by what they listen to and by what announced them.
type catalog struct {
	maxTopics int
	seed      maphash.Seed // of hashes that are compared within this process

	mu     sync.RWMutex // guards what follows
	items  map[string]*item
	topics map[string]*topic
	byKey  map[string][]*item
	// gone is told a topic that nobody listens to any more.
	gone func(topic string)
	// devices are what is known of each that has items, by id.
	devices map[string]*known
	// shapes are those of the items. Of the ones in made, maxMade at most, the definition is kept as values.
	shapes map[shapeSum]*shape
	made   map[*shape]struct{}
}

// topic is one that entities listen to.
type topic struct {
	name string
	// uses are the entities. Readers hold the slice: it grows, and what has been in it stays.
	uses []*item
	// stored is a hash of what a broker had stored on it when it last said so, 0 where it did not. The items know whether they have it.
	stored uint64
}

// known is what was announced of a device, and how many items it has.
type known struct {
	id    string
	facts uint64 // a hash, 0 for nothing
	items int
}

func (c *catalog) init(maxTopics int, gone func(topic string)) {
	c.gone, c.maxTopics, c.seed = gone, maxTopics, maphash.MakeSeed()
	c.items, c.topics, c.byKey = map[string]*item{}, map[string]*topic{}, map[string][]*item{}
	c.devices, c.shapes, c.made = map[string]*known{}, map[shapeSum]*shape{}, map[*shape]struct{}{}
}

// put adds an item, in place of the one of its unique id. Nobody else may know it yet. What both listen to is not forgotten.
func (c *catalog) put(it *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.items[it.unique]; before != nil {
		heard := before.heard.bits.Swap(0) // from here on what it hears is this one's
		if before.text() == it.text() {
			it.heard.bits.Store(heard)
			it.stored.bits.Store(before.stored.bits.Load())
		}
		defer c.leaveLocked(before)
	}
	c.items[it.unique] = it
	if have := c.devices[it.device.id]; have != nil {
		it.device = have
	} else {
		c.devices[it.device.id] = it.device
	}
	it.device.items++
	c.useLocked(it)
	shared := c.shareLocked(it)
	for i, name := range it.topics {
		t := c.topics[name]
		if t == nil {
			t = &topic{name: strings.Clone(name)} // of a long text that may go
			c.topics[t.name] = t
		}
		if !shared {
			it.topics[i] = t.name
		}
		t.uses = append(t.uses, it)
	}
	c.byKey[it.key] = append(c.byKey[it.key], it)
}

// shareLocked gives an item the topics of another one, of its device more often than not, where they are the same.
func (c *catalog) shareLocked(it *item) bool {
	if len(it.topics) == 0 {
		return false
	}
	first := c.topics[it.topics[0]]
	if first == nil {
		return false
	}
	other := first.uses[len(first.uses)-1].topics
	if !slices.Equal(other, it.topics) {
		return false
	}
	it.topics = other
	return true
}

// remove takes an item out.
func (c *catalog) remove(unique string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if it := c.items[unique]; it != nil {
		delete(c.items, unique)
		c.leaveLocked(it)
	}
}

// leaveLocked takes an item out of all but the items.
func (c *catalog) leaveLocked(it *item) {
	if it.device.items--; it.device.items == 0 {
		delete(c.devices, it.device.id)
	}
	c.disuseLocked(it)
	for _, name := range it.topics {
		t := c.topics[name]
		if t.uses = without(t.uses, it); len(t.uses) == 0 {
			delete(c.topics, name)
			c.gone(name)
		}
	}
	if left := without(c.byKey[it.key], it); len(left) > 0 {
		c.byKey[it.key] = left
	} else {
		delete(c.byKey, it.key)
	}
}

// without are items but one, in a slice of its own.
func without(items []*item, one *item) []*item {
	return slices.DeleteFunc(slices.Clone(items), func(o *item) bool { return o == one })
}

// uses are the entities that listen to a topic. They must not be modified.
func (c *catalog) uses(topic string) []*item {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if t := c.topics[topic]; t != nil {
		return t.uses
	}
	return nil
}

// get is the item of a unique id, nil where there is none.
func (c *catalog) get(unique string) *item {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.items[unique]
}

// setDevice remembers what was announced of a device that has items.
func (c *catalog) setDevice(d *entityv1.Device) {
	facts := c.deviceFacts(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.devices[d.GetId()]; have != nil {
		have.facts = facts
	}
}

// hasDevice says that a device was announced like that.
func (c *catalog) hasDevice(d *entityv1.Device) bool {
	facts := c.deviceFacts(d)
	c.mu.RLock()
	defer c.mu.RUnlock()
	have := c.devices[d.GetId()]
	return have != nil && have.facts == facts
}

// deviceFacts is a hash of what its source says of a device.
func (c *catalog) deviceFacts(d *entityv1.Device) uint64 {
	return maphash.Comparable(c.seed, deviceFacts{
		d.GetId(), d.GetName(), d.GetManufacturer(), d.GetModel(), d.GetModelId(), d.GetSoftwareVersion(), d.GetHardwareVersion(),
		d.GetSerialNumber(), d.GetViaDevice(), d.GetSource(), d.GetAddress(), d.GetTopic(), d.GetKind(),
	})
}

// deviceFacts are what a source says of a device.
type deviceFacts struct {
	id, name, manufacturer, model, modelID, software, hardware, serial, via, source, address, topic string
	kind                                                                                            entityv1.DeviceKind
}

// announced says that what is known was announced by a key.
func (c *catalog) announced(key string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.byKey[key]) > 0
}

// announcedBy are the items that a key announced, by unique id, but those that it still does.
func (c *catalog) announcedBy(key string, still []*item) map[string]*item {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := c.byKey[key]
	if len(all) == 0 || len(all) == 1 && len(still) == 1 && all[0].unique == still[0].unique {
		return nil
	}
	gone := make(map[string]*item, len(all))
	for _, it := range all {
		gone[it.unique] = it
	}
	for _, it := range still {
		delete(gone, it.unique)
	}
	return gone
}

// keys are all that announced what is known, sorted.
func (c *catalog) keys() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return sortedKeys(c.byKey)
}

func (c *catalog) topicNames() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Sorted(maps.Keys(c.topics))
}

var errTooManyTopics = errors.New("too many topics")

// room says whether there is room for the topics of an item, beside others that are about to be listened to; those are added.
func (c *catalog) room(it *item, more map[string]bool) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, topic := range it.topics {
		if c.topics[topic] == nil {
			more[topic] = true
		}
	}
	if len(c.topics)+len(more) > c.maxTopics {
		return fmt.Errorf("%w: the devices listen to %d, and may to %d", errTooManyTopics, len(c.topics), c.maxTopics)
	}
	return nil
}
