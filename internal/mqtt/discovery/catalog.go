package discovery

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// item is a known entity. Of its configuration it keeps no more than the text, and what was made of that as long as it is
// used: a house of 40,000 entities is to fit in little memory.
type item struct {
	unique, device string
	text           string // the definition's
	key            string // what announced it
	facts          uint64 // of what its source says of it in the registry
	topics         []string
	made           atomic.Pointer[compiled]
}

// compiled is an item's definition, read.
type compiled struct {
	definition
	inputs  []Input
	reaches []reach
}

// listensForAvailability says that a topic is one of an entity's availability.
func (d *compiled) listensForAvailability(topic string) bool {
	return slices.ContainsFunc(d.reaches, func(r reach) bool { return r.topic == topic })
}

// newItem is the item of an entity with that registry entry.
func newItem(unique, device, text string, entry *entityv1.Entity) (*item, error) {
	d, err := parseDefinition(text)
	if err != nil {
		return nil, err
	}
	return &item{unique: unique, device: device, text: text, key: d.key, facts: entityFacts(entry), topics: d.topics()}, nil
}

// entityFacts is a hash of what its source says of an entity in the registry.
func entityFacts(e *entityv1.Entity) uint64 {
	said := &entityv1.Entity{
		Name: e.GetName(), DeviceClass: e.GetDeviceClass(), Unit: e.GetUnit(), StateClass: e.GetStateClass(), Category: e.GetCategory(),
		Disabled: e.GetDisabled(), Property: e.GetProperty(), Capabilities: e.GetCapabilities(),
	}
	facts, err := proto.MarshalOptions{Deterministic: true}.Marshal(said)
	if err != nil {
		return 0 // an entity that cannot be written is not in the registry
	}
	h := fnv.New64a()
	_, _ = h.Write(facts) // it never fails
	return h.Sum64()
}

// topicsOf are all topics of items.
func topicsOf(items []*item) []string {
	var topics []string
	for _, it := range items {
		topics = append(topics, it.topics...)
	}
	return topics
}

// catalog finds the known entities, by what they listen to and by what announced them.
type catalog struct {
	maxTopics int

	mu      sync.RWMutex // guards what follows
	items   map[string]*item
	byTopic map[string][]*item
	byKey   map[string]map[string]*item // by key, by unique id
	// stored is what a broker had stored on each topic when it last said so.
	stored map[string][sha256.Size]byte
	// gone is told a topic that nobody listens to any more.
	gone func(topic string)
	// devices are what is known of each that has items, by id.
	devices map[string]*known
	// in use are the items whose definition is made, in no order: maxMade at most.
	made map[*item]struct{}
}

// known is what was announced of a device, and how many items it has.
type known struct {
	facts string
	items int
}

// maxMade is how many definitions are kept as values, at some 5 kB each.
const maxMade = 4096

func (c *catalog) init(maxTopics int, gone func(topic string)) {
	c.gone = gone
	c.maxTopics = maxTopics
	c.items, c.byTopic = map[string]*item{}, map[string][]*item{}
	c.devices = map[string]*known{}
	c.byKey, c.stored, c.made = map[string]map[string]*item{}, map[string][sha256.Size]byte{}, map[*item]struct{}{}
}

// put adds an item, in place of the one of its unique id.
func (c *catalog) put(it *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeLocked(it.unique)
	c.items[it.unique] = it
	if c.devices[it.device] == nil {
		c.devices[it.device] = &known{}
	}
	c.devices[it.device].items++
	for _, topic := range it.topics {
		c.byTopic[topic] = append(slices.Clip(c.byTopic[topic]), it) // readers hold the old slice
		delete(c.stored, topic)                                      // it is news to this one
	}
	if c.byKey[it.key] == nil {
		c.byKey[it.key] = map[string]*item{}
	}
	c.byKey[it.key][it.unique] = it
}

// remove takes an item out.
func (c *catalog) remove(unique string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeLocked(unique)
}

func (c *catalog) removeLocked(unique string) {
	it, ok := c.items[unique]
	if !ok {
		return
	}
	delete(c.items, unique)
	delete(c.made, it)
	if d := c.devices[it.device]; d.items > 1 {
		d.items--
	} else {
		delete(c.devices, it.device)
	}
	for _, topic := range it.topics {
		left := slices.DeleteFunc(slices.Clone(c.byTopic[topic]), func(o *item) bool { return o == it })
		if len(left) == 0 {
			delete(c.byTopic, topic)
			delete(c.stored, topic)
			c.gone(topic)
		} else {
			c.byTopic[topic] = left
		}
	}
	delete(c.byKey[it.key], unique)
	if len(c.byKey[it.key]) == 0 {
		delete(c.byKey, it.key)
	}
}

// uses are the entities that listen to a topic. They must not be modified.
func (c *catalog) uses(topic string) []*item {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byTopic[topic]
}

// get is the item of a unique id, nil where there is none.
func (c *catalog) get(unique string) *item {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.items[unique]
}

// setDevice remembers what was announced of a device that has items.
func (c *catalog) setDevice(d *entityv1.Device) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.devices[d.GetId()]; have != nil {
		have.facts = deviceFacts(d)
	}
}

// hasDevice says that a device was announced like that.
func (c *catalog) hasDevice(d *entityv1.Device) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	have := c.devices[d.GetId()]
	return have != nil && have.facts == deviceFacts(d)
}

// deviceFacts are what its source says of a device, as bytes that are compared.
func deviceFacts(d *entityv1.Device) string {
	d = proto.CloneOf(d)
	d.UserName, d.AreaId = "", ""
	facts, err := proto.MarshalOptions{Deterministic: true}.Marshal(d)
	if err != nil {
		return "" // it is compared to nothing
	}
	return string(facts)
}

// announcedBy are the items that a key announced, by unique id.
func (c *catalog) announcedBy(key string) map[string]*item {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return maps.Clone(c.byKey[key])
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
	return slices.Sorted(maps.Keys(c.byTopic))
}

var errTooManyTopics = errors.New("too many topics")

// room says whether there is room for the topics of an item, beside others that are about to be listened to; those are added.
func (c *catalog) room(it *item, more map[string]bool) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, topic := range it.topics {
		if len(c.byTopic[topic]) == 0 {
			more[topic] = true
		}
	}
	if len(c.byTopic)+len(more) > c.maxTopics {
		return fmt.Errorf("%w: the devices listen to %d, and may to %d", errTooManyTopics, len(c.byTopic), c.maxTopics)
	}
	return nil
}

// sameStored says that a broker had stored the same on a topic when it last said what it has, and remembers it.
func (c *catalog) sameStored(topic string, payload [sha256.Size]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, ok := c.stored[topic]
	if len(c.byTopic[topic]) > 0 {
		c.stored[topic] = payload
	}
	return ok && before == payload
}

// compile is an item's definition, read.
func (c *catalog) compile(it *item) (*compiled, error) {
	if made := it.made.Load(); made != nil {
		return made, nil
	}
	d, err := parseDefinition(it.text)
	if err != nil {
		return nil, err
	}
	made := &compiled{definition: d, inputs: d.inputs(), reaches: reachesOf(d.config)}
	c.mu.Lock()
	defer c.mu.Unlock()
	for other := range c.made {
		if len(c.made) < maxMade {
			break
		}
		other.made.Store(nil)
		delete(c.made, other)
	}
	if c.items[it.unique] == it {
		c.made[it] = struct{}{}
		it.made.Store(made)
	}
	return made, nil
}
