package eventstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// refold is a projector that folds the log once more, to be compared with what the first fold left behind.
type refold struct {
	projector Projector
	from      Position // of the snapshot that it began with
	at        Position
	lost      bool // events are missing that it would need
	// full is what the fold was at the last full snapshot, which deltas may start from.
	full Capture
}

// fold takes the events of a run up to a position, but for those that it has.
func (f *refold) fold(ctx context.Context, r *run, until Position) error {
	events := r.between(f.at, until)
	if fast, ok := f.projector.(Folder); ok {
		if err := fast.Fold(ctx, nil, &events); err != nil {
			return err
		}
		f.at = until
		return nil
	}
	for i := range events.Len() {
		e, err := events.Event(i)
		if err == nil {
			err = f.projector.Apply(ctx, nil, e)
		}
		if err != nil {
			return fmt.Errorf("at position %d: %w", f.at+1, err)
		}
		f.at++
	}
	return nil
}

// settle promotes what was folded.
func (f *refold) settle() error {
	if err := (projectors{f.projector}).folded(); err != nil {
		return fmt.Errorf("the fold up to it fails: %w", err)
	}
	projectors{f.projector}.promote()
	return nil
}

// compareRecords says how stored records differ from those that the fold makes, and which entity is the first that does.
func compareRecords(stored iter.Seq2[[]byte, error], folded Records) (entity string, err error) {
	n := 0
	var want []byte
	for got, err := range stored {
		if err != nil {
			return "", err
		}
		if n == folded.Count {
			return "", fmt.Errorf("it has more records than the fold of the log, which has %d", n)
		}
		if want, err = folded.appendRecord(want[:0], n); err != nil {
			return "", err
		}
		if !bytes.Equal(got, want) {
			record := folded.Message(n)
			return entityOf(record), fmt.Errorf("record %d is not what the log makes of it: it is %s, and should be %s",
				n+1, textOfStored(got, record), textOf(record))
		}
		n++
	}
	if n < folded.Count {
		record := folded.Message(n)
		return entityOf(record), fmt.Errorf("it ends after %d records, and the fold of the log has another one: %s", n, textOf(record))
	}
	return "", nil
}

// entityOf is the entity that a record of a snapshot is about, empty where it is about none.
func entityOf(record proto.Message) string {
	switch r := record.(type) {
	case interface{ GetEntityId() string }:
		return r.GetEntityId()
	case interface{ GetEntity() *entityv1.Entity }:
		return r.GetEntity().GetId()
	}
	return ""
}

// maxRecordText bounds the text of a record in a finding.
const maxRecordText = 200

// textOf is a record for people.
func textOf(record proto.Message) string {
	text := prototext.MarshalOptions{}.Format(record)
	if len(text) > maxRecordText {
		text = text[:maxRecordText] + "…"
	}
	return "{" + text + "}"
}

// textOfStored is [textOf] for the bytes of a record like another one.
func textOfStored(stored []byte, like proto.Message) string {
	record := like.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(stored, record); err != nil {
		return "none of its kind"
	}
	return textOf(record)
}
