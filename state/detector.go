package state

import (
	"crypto/sha256"
	"fmt"
	"os"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// detectMutations is the environment variable that switches the mutation detector on.
const detectMutations = "STATEHOUSE_DETECT_MUTATIONS"

// detector finds out who modified attributes that are shared. It hashes them when they come in and again later. It
// costs a hash for each event and holds on to every message that it watches, so it is for tests and for the search of
// a fault. A nil detector does nothing.
type detector struct {
	mu   sync.Mutex // guards seen
	seen map[*entityv1.Attributes]witness
}

// witness is what a message was like when it came in.
type witness struct {
	hash     [sha256.Size]byte
	entity   EntityID
	position eventstore.Position
	source   string
}

func newDetector() *detector {
	if v := os.Getenv(detectMutations); v == "" || v == "0" {
		return nil
	}
	return &detector{seen: make(map[*entityv1.Attributes]witness)}
}

// DetectMutations switches the mutation detector on for this cache, as the environment variable does for all. It must
// be called before the first event.
func (c *Cache) DetectMutations() {
	c.detector = &detector{seen: make(map[*entityv1.Attributes]witness)}
}

// CheckMutations re-hashes every message that the detector has seen and returns an error that names what was
// modified. It returns nil when nothing was, or when the detector is off.
func (c *Cache) CheckMutations() error {
	d := c.detector
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for a := range d.seen {
		if err := d.checkLocked(a); err != nil {
			return err
		}
	}
	return nil
}

func (d *detector) watch(s State) {
	if d == nil {
		return
	}
	w := witness{hash: hashAttributes(s.Attributes), entity: s.EntityID, position: s.Position, source: s.UpdatedBy}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[s.Attributes] = w
}

// samples is how many of the messages each promotion re-hashes.
const samples = 64

// sample re-hashes a few messages at random and panics when somebody modified one: a program that runs with the
// detector on wants to stop where the damage is, and the stack may still show who did it.
func (d *detector) sample() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for a := range d.seen {
		if err := d.checkLocked(a); err != nil {
			panic(err)
		}
		if n++; n == samples {
			return
		}
	}
}

func (d *detector) checkLocked(a *entityv1.Attributes) error {
	w, ok := d.seen[a]
	if !ok || hashAttributes(a) == w.hash {
		return nil
	}
	return fmt.Errorf("the attributes of %s that %q set at position %d were modified after that; they are shared and must not be",
		w.entity, w.source, w.position)
}

func hashAttributes(a *entityv1.Attributes) [sha256.Size]byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	if err != nil {
		b = []byte(err.Error())
	}
	return sha256.Sum256(b)
}
