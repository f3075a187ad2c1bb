package state

import (
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/defect"
)

var _ eventstore.SnapshotSource = (*Cache)(nil)

// SnapshotRecords implements eventstore.SnapshotSource.
func (c *Cache) SnapshotRecords() (eventstore.SnapshotHeader, iter.Seq[proto.Message]) {
	r := c.Revision()
	records := stateRecords(r)
	if defect.Is(defect.SnapshotPositionApart) {
		records = func(yield func(proto.Message) bool) { stateRecords(c.Revision())(yield) }
	}
	return eventstore.SnapshotHeader{Owner: c.Name(), FoldVersion: FoldVersion, Position: r.Position}, records
}
