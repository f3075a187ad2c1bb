package discovery

import (
	"crypto/sha256"
	"slices"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse/internal/template"
)

// shape is what entities of the same kind have in common: all that follows from the outline of their definitions.
type shape struct {
	sum   shapeSum
	items int // in the catalog, whose lock guards it
	made  atomic.Pointer[compiled]
}

// shapeSum names a shape. Only entities whose outlines are the same may share one, whoever announces them: a hash that somebody
// can find another text for would not do.
type shapeSum [sha256.Size]byte

// compiled is an outline, read. Its topics are marks.
type compiled struct {
	definition
	inputs []Input
	// topics are the marks that the entity listens to, each once. What follows speaks of them by their places here.
	topics []int
	feeds  [][]feed // what comes on each topic goes into
	// reaches are the topics of availability; mode says how they go together.
	reaches []reach
	mode    string

	expireAfter, offDelay time.Duration
	always                bool // every report is an event
	raw                   bool // templates of values see bytes
}

// feed is an input that a topic goes into, and what makes of a message what it says.
type feed struct {
	input    *Input
	template *template.Template
}

// maxMade is of how many shapes the definitions are kept as values, at some 5 kB each.
const maxMade = 4096

// compile reads an outline.
func compile(outline string) (*compiled, error) {
	d, err := parseDefinition(outline)
	if err != nil {
		return nil, err
	}
	c := &compiled{
		definition: d, inputs: d.inputs(), mode: d.config.Str(keyAvailabilityMode),
		expireAfter: d.config.seconds(keyExpireAfter), offDelay: d.config.seconds(keyOffDelay), always: d.config.Flag(keyForceUpdate, false),
		raw: d.config.Has(keyEncoding) && d.config.Str(keyEncoding) == "",
	}
	for i := range c.inputs {
		for _, s := range c.inputs[i].Sources {
			if at := c.listen(s.Topic); at >= 0 {
				c.feeds[at] = append(c.feeds[at], feed{&c.inputs[i], s.Template})
			}
		}
	}
	for _, n := range d.config.List(keyAvailability) {
		if at := c.listen(n.Str("topic")); at >= 0 {
			c.reaches = append(c.reaches, reachOf(Config{n}, at))
		}
	}
	return c, nil
}

// listen is the place of the topic with a mark, -1 for no topic.
func (c *compiled) listen(mark string) int {
	n, ok := markedTopic(mark)
	if !ok {
		return -1
	}
	at := slices.Index(c.topics, n)
	if at < 0 {
		at = len(c.topics)
		c.topics, c.feeds = append(c.topics, n), append(c.feeds, nil)
	}
	return at
}

// reachesOn says that what comes on a topic is about availability.
func (c *compiled) reachesOn(topic int) bool {
	return slices.ContainsFunc(c.reaches, func(r reach) bool { return r.topic == topic })
}

// tells says that the entity's configuration says how it is known whether it can be reached.
func (c *compiled) tells() bool { return c.expireAfter > 0 || len(c.reaches) > 0 }

// shapeOf is the shape of an outline, one that no item has yet where there is none.
func (c *catalog) shapeOf(outline []byte) *shape {
	sum := sha256.Sum256(outline)
	c.mu.RLock()
	defer c.mu.RUnlock()
	if s := c.shapes[sum]; s != nil {
		return s
	}
	return &shape{sum: sum}
}

// useLocked makes the shape of an item one of the catalog's.
func (c *catalog) useLocked(it *item) {
	s := c.shapes[it.shape.sum]
	if s == nil {
		s = it.shape
		c.shapes[s.sum] = s
		c.keepLocked(s)
	}
	it.shape = s
	s.items++
}

// disuseLocked takes a shape out with its last item.
func (c *catalog) disuseLocked(it *item) {
	if it.shape.items--; it.shape.items == 0 {
		delete(c.shapes, it.shape.sum)
		delete(c.made, it.shape)
	}
}

// keepLocked keeps what was made of a shape, and makes room for it.
func (c *catalog) keepLocked(s *shape) {
	for other := range c.made {
		if len(c.made) < maxMade {
			break
		}
		other.made.Store(nil)
		delete(c.made, other)
	}
	c.made[s] = struct{}{}
}

// compile is an item's definition, read.
func (c *catalog) compile(it *item) (*compiled, error) {
	if made := it.shape.made.Load(); made != nil {
		return made, nil
	}
	o, err := outlineOf(it.text())
	if err != nil {
		return nil, err
	}
	return c.madeOf(it.shape, o.text)
}

// madeOf is the outline of a shape, read.
func (c *catalog) madeOf(s *shape, outline []byte) (*compiled, error) {
	if made := s.made.Load(); made != nil {
		return made, nil
	}
	made, err := compile(string(outline))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.made.Store(made)
	if c.shapes[s.sum] == s {
		c.keepLocked(s)
	}
	return made, nil
}
