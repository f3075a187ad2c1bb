package state

import (
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
)

var _ eventstore.SnapshotSource = (*Cache)(nil)

// SnapshotRecords implements eventstore.SnapshotSource.
func (c *Cache) SnapshotRecords() (eventstore.SnapshotHeader, iter.Seq[proto.Message]) {
	r := c.Revision()
	return eventstore.SnapshotHeader{Owner: c.Name(), FoldVersion: FoldVersion, Position: r.Position}, stateRecords(r)
}
