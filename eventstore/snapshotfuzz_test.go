package eventstore

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// FuzzSnapshotRecords: whatever a body is, it yields at most as many records as its header says, or an error.
func FuzzSnapshotRecords(f *testing.F) {
	seed := func(ids ...string) {
		body, count, err := encodeSnapshot(func(yield func(proto.Message) bool) {
			for _, id := range ids {
				if !yield(&entityv1.StateRecord{EntityId: id, Position: 1}) {
					return
				}
			}
		})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, count)
		f.Add(body, count+1)
		f.Add(body[:len(body)/2], count)
	}
	seed()
	seed("light.a")
	seed("light.a", "light.b", "sensor.c")
	f.Add([]byte("\x28\xb5\x2f\xfd\x00\x58\x41\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f"), int64(1))
	f.Fuzz(func(t *testing.T, body []byte, count int64) {
		count = min(count, 1000)
		var records [][]byte
		for r, err := range decodeSnapshot(body, count) {
			if err != nil {
				return
			}
			if records = append(records, bytes.Clone(r)); len(records) > int(count) {
				t.Fatalf("%d records, and the header says %d", len(records), count)
			}
		}
		if len(records) != int(max(count, 0)) {
			t.Fatalf("%d records without an error, and the header says %d", len(records), count)
		}
	})
}
