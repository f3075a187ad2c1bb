package api

import (
	"context"
	"errors"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
)

// Snapshot is the saved fold of an owner at a position.
type Snapshot struct {
	Owner    string              `json:"owner"`
	Position eventstore.Position `json:"position"`
	// RecordedAt is when the event at the position was recorded, left out at position 0 and where that is not known any more.
	RecordedAt *time.Time `json:"recorded_at,omitempty"`
	// Base is the position of the snapshot that this one starts from, if it is a delta: if it holds only what has changed
	// since. Left out of a full one.
	Base    *eventstore.Position `json:"base,omitempty"`
	Records int64                `json:"records"`
	Bytes   int64                `json:"bytes"`
	// Usable says that a start may use it, as far as that is known. Fault says what is against it, and Damaged that this
	// is damage and not another version.
	Usable  bool   `json:"usable"`
	Fault   string `json:"fault,omitempty"`
	Damaged bool   `json:"damaged,omitempty"`
}

// Snapshots are all snapshots, sorted by owner and position.
type Snapshots struct {
	Snapshots []Snapshot `json:"snapshots"`
}

// NewSnapshots are the snapshots of a house.
func NewSnapshots(ctx context.Context, h *statehouse.House) (Snapshots, error) {
	all, err := h.Snapshots(ctx)
	if err != nil {
		return Snapshots{}, err
	}
	w := Snapshots{Snapshots: make([]Snapshot, 0, len(all))}
	for _, info := range all {
		s, err := newSnapshot(ctx, h, info)
		if err != nil {
			return Snapshots{}, err
		}
		w.Snapshots = append(w.Snapshots, s)
	}
	return w, nil
}

// VerifySnapshot reads a snapshot of a house and says whether it can be used.
func VerifySnapshot(ctx context.Context, h *statehouse.House, owner string, at eventstore.Position) (Snapshot, error) {
	info, err := h.VerifySnapshot(ctx, owner, at)
	if err != nil {
		return Snapshot{}, err
	}
	return newSnapshot(ctx, h, info)
}

// CreateSnapshot saves the present of a house, and answers with the position that was saved at least.
func CreateSnapshot(ctx context.Context, h *statehouse.House) (AsOf, error) {
	at := h.Now().Position()
	if err := h.Snapshot(ctx); err != nil {
		return AsOf{}, err
	}
	if s := h.Store().Stats().Snapshot; s > at {
		at = s
	}
	return AtPosition(at).Resolve(ctx, h)
}

func newSnapshot(ctx context.Context, h *statehouse.House, info eventstore.SnapshotInfo) (Snapshot, error) {
	w := Snapshot{
		Owner: info.Owner, Position: info.Position, Records: info.Records, Bytes: info.Bytes,
		Usable: info.Fault == nil, Damaged: info.Damaged,
	}
	if info.Delta {
		w.Base = &info.Base
	}
	if info.Fault != nil {
		w.Fault = info.Fault.Error()
	}
	if info.Position > h.Now().Position() { // of another file, or of a log that lost its end
		return w, nil
	}
	var err error
	w.RecordedAt, err = recordedAt(ctx, h, info.Position)
	if errors.Is(err, eventstore.ErrCompacted) { // it will be removed, too
		err = nil
	}
	return w, err
}
