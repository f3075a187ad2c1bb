package eventstore

import (
	"fmt"
	"strings"
	"time"
)

// FindingKind says what a [Finding] is about.
type FindingKind string

// What a finding can be about.
const (
	// FindingGap: positions are missing, or are there twice.
	FindingGap FindingKind = "gap"
	// FindingSegment: a segment is not what was written, or cannot be read.
	FindingSegment FindingKind = "segment"
	// FindingChain: a segment is whole, and does not follow from what is before it.
	FindingChain FindingKind = "chain"
	// FindingEvent: an event's payload cannot be decoded, although it is what was written.
	FindingEvent FindingKind = "event"
	// FindingFilter: the filter of a sealed segment is missing or damaged, or there is one without a segment.
	FindingFilter FindingKind = "filter"
	// FindingSnapshot: a snapshot is not what was written, or not the fold of the log at its position.
	FindingSnapshot FindingKind = "snapshot"
	// FindingFile: the file, its WAL, or what it keeps beside the log is not what was written, or events are missing at its
	// end. It concerns no positions, unless those are missing.
	FindingFile FindingKind = "file"
	// FindingFold: a projector does not take the events that it is said to have taken.
	FindingFold FindingKind = "fold"
)

// Finding is one thing that [Store.Inspect] found to be wrong.
type Finding struct {
	Kind FindingKind
	// First and Last are the positions that it concerns, both included; they are equal for a snapshot. Last is MaxPosition
	// where the end of the log cannot be read.
	First, Last Position
	// RecordedFrom and RecordedTo are when those were recorded, as far as that can be said: for positions that are
	// missing, when what is beside them was. The zero time means that it is not known.
	RecordedFrom, RecordedTo time.Time
	// Entities are those that it is or may be about, sorted; empty where that is not known.
	Entities []string
	// Owner is whose snapshot or fold it is about.
	Owner string
	// Problem says what is wrong.
	Problem error
}

// findingEntities is the number of entities that the text of a finding names.
const findingEntities = 3

// String says where and what: "segment with positions 5 to 9, recorded …, about light.hall: its checksum does not fit".
func (f Finding) String() string {
	var b strings.Builder
	at := fmt.Sprintf("position %d", f.First)
	if f.Last == MaxPosition {
		at = fmt.Sprintf("positions from %d on", f.First)
	} else if f.First != f.Last {
		at = fmt.Sprintf("positions %d to %d", f.First, f.Last)
	}
	switch f.Kind {
	case FindingFile:
		b.WriteString("file")
	case FindingSnapshot:
		fmt.Fprintf(&b, "snapshot of %s at %s", f.Owner, at)
	case FindingFold:
		fmt.Fprintf(&b, "fold of %s at %s", f.Owner, at)
	case FindingEvent:
		fmt.Fprintf(&b, "event at %s", at)
	case FindingGap:
		b.WriteString(at)
	case FindingFilter:
		if f.Last == MaxPosition {
			b.WriteString("filters of ") // those of many segments
			b.WriteString(at)
			break
		}
		fmt.Fprintf(&b, "filter of the segment with %s", at)
	default:
		fmt.Fprintf(&b, "segment with %s", at)
	}
	const layout = time.RFC3339Nano
	switch from, to := f.RecordedFrom, f.RecordedTo; {
	case from.IsZero() && to.IsZero():
	case from.IsZero():
		fmt.Fprintf(&b, ", recorded before %s", to.Format(layout))
	case to.IsZero():
		fmt.Fprintf(&b, ", recorded after %s", from.Format(layout))
	case from.Equal(to):
		fmt.Fprintf(&b, ", recorded %s", from.Format(layout))
	default:
		fmt.Fprintf(&b, ", recorded %s to %s", from.Format(layout), to.Format(layout))
	}
	if n := len(f.Entities); n > 0 {
		fmt.Fprintf(&b, ", about %s", strings.Join(f.Entities[:min(n, findingEntities)], ", "))
		if n > findingEntities {
			fmt.Fprintf(&b, " and %d more", n-findingEntities)
		}
	}
	fmt.Fprintf(&b, ": %s", f.Problem)
	return b.String()
}

// Err is the finding as an error, which matches [ErrCorrupt].
func (f Finding) Err() error { return fmt.Errorf("%w: %s", ErrCorrupt, f) }
