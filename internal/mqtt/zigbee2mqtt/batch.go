package zigbee2mqtt

import (
	"time"

	"github.com/statehouse/statehouse"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// batch collects the events of one decision. It belongs to one run of it.
type batch struct {
	*dialect.Batch
	bridgeID string
}

func (d *Dialect) newBatch(p statehouse.Pending, at time.Time) *batch {
	b := &batch{Batch: d.NewBatch(p, at), bridgeID: d.bridgeID}
	b.Inherit = b.inheritance
	return b
}

// inheritance is what the entities take over that a device with these entries gets: what is known of its availability and
// of the bridge's.
func (b *batch) inheritance(before []*entityv1.Entity) func(*entityv1.Entity) {
	bridge := b.bridge()
	own := b.deviceAvailability(before, bridge)
	return func(e *entityv1.Entity) {
		if !b.saysBridge(e) {
			b.available(e.GetId(), own, bridge != bridgeOffline)
		}
	}
}
