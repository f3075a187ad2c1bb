package registry

import (
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse/eventstore"
)

var _ eventstore.SnapshotSource = (*Registry)(nil)

// SnapshotRecords implements eventstore.SnapshotSource.
func (r *Registry) SnapshotRecords() (eventstore.SnapshotHeader, iter.Seq[proto.Message]) {
	rev := r.Revision()
	return eventstore.SnapshotHeader{Owner: r.Name(), FoldVersion: FoldVersion, Position: rev.Position}, registryRecords(rev)
}
