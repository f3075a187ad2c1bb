package rpc

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

type adminService struct{ *Service }

// CreateSnapshot implements AdminService.
func (s adminService) CreateSnapshot(ctx context.Context, _ *statehousev1.CreateSnapshotRequest) (*statehousev1.CreateSnapshotResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	as, err := api.CreateSnapshot(ctx, h)
	if err != nil {
		return nil, err
	}
	return &statehousev1.CreateSnapshotResponse{AsOf: newAsOf(as)}, nil
}

// ListSnapshots implements AdminService.
func (s adminService) ListSnapshots(ctx context.Context, _ *statehousev1.ListSnapshotsRequest) (*statehousev1.ListSnapshotsResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	all, err := api.NewSnapshots(ctx, h)
	if err != nil {
		return nil, err
	}
	w := &statehousev1.ListSnapshotsResponse{}
	for _, one := range all.Snapshots {
		snapshot := &statehousev1.Snapshot{
			Owner: one.Owner, Position: uint64(one.Position), RecordedAt: newTimeOf(one.RecordedAt), Records: one.Records, Bytes: one.Bytes,
			Fault: one.Fault, Damaged: one.Damaged,
		}
		if one.Base != nil {
			base := uint64(*one.Base)
			snapshot.Base = &base
		}
		w.Snapshots = append(w.Snapshots, snapshot)
	}
	return w, nil
}

// progressEvery is the time between two messages of progress.
const progressEvery = 200 * time.Millisecond

// report sends how something long goes, and ends that when nobody takes it any more. It is for one goroutine at a time.
type report[T any] struct {
	stream *connect.ServerStream[T]
	cancel context.CancelCauseFunc
	told   time.Time // when the last progress was
}

// begin holds busy and makes a report, or fails where a thing of that sort is under way. end must be called at last.
func begin[T any](ctx context.Context, busy *sync.Mutex, thing string, stream *connect.ServerStream[T]) (_ context.Context, r *report[T], end func(), err error) {
	if !busy.TryLock() {
		return ctx, nil, nil, &failure{connect.CodeUnavailable, api.CodeUnavailable, thing + " is under way; wait until it has ended"}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &report[T]{stream: stream, cancel: cancel}, func() { cancel(nil); busy.Unlock() }, nil
}

func (r *report[T]) send(m *T) {
	if err := r.stream.Send(m); err != nil {
		r.cancel(err)
	}
}

// progress sends messages of progress, not too many.
func (r *report[T]) progress(message func(*statehousev1.Progress) *T) func(done, last eventstore.Position) {
	return func(done, last eventstore.Position) {
		if now := time.Now(); now.Sub(r.told) >= progressEvery {
			r.told = now
			p := api.NewProgress(done, last)
			r.send(message(&statehousev1.Progress{Position: uint64(p.Position), Last: uint64(p.Last)}))
		}
	}
}

// Verify implements AdminService.
func (s adminService) Verify(ctx context.Context, _ *statehousev1.VerifyRequest, stream *connect.ServerStream[statehousev1.VerifyResponse]) error {
	h, err := s.house()
	if err != nil {
		return err
	}
	verifier := s.opts.Verifier
	if verifier == nil {
		verifier = h
	}
	ctx, r, end, err := begin(ctx, &s.verifying, "a verification", stream)
	if err != nil {
		return err
	}
	defer end()
	result, err := verifier.Verify(ctx, eventstore.InspectOptions{
		Found: func(f eventstore.Finding) {
			r.send(&statehousev1.VerifyResponse{Message: &statehousev1.VerifyResponse_Finding{Finding: newFinding(f)}})
		},
		Progress: r.progress(func(p *statehousev1.Progress) *statehousev1.VerifyResponse {
			return &statehousev1.VerifyResponse{Message: &statehousev1.VerifyResponse_Progress{Progress: p}}
		}),
	})
	if err != nil {
		return err
	}
	r.send(&statehousev1.VerifyResponse{Message: &statehousev1.VerifyResponse_Result{Result: &statehousev1.Verification{
		Position: uint64(result.Last), Events: result.Events, Removed: uint64(result.Removed), SealedSegments: uint64(result.Sealed),
		UnsealedSegments: uint64(result.Unsealed), Snapshots: uint64(result.Snapshots), ComparedSnapshots: uint64(result.Compared),
		Findings: uint64(result.Findings), Took: durationpb.New(result.Took),
	}}})
	return context.Cause(ctx)
}

func newFinding(f eventstore.Finding) *statehousev1.Finding {
	return &statehousev1.Finding{
		Kind: string(f.Kind), First: uint64(f.First), Last: uint64(f.Last), RecordedFrom: newTime(f.RecordedFrom),
		RecordedTo: newTime(f.RecordedTo), EntityIds: f.Entities, Owner: f.Owner, Problem: strings.ToValidUTF8(f.Problem.Error(), "\uFFFD"),
	}
}

// Compact implements AdminService.
func (s adminService) Compact(ctx context.Context, req *statehousev1.CompactRequest, stream *connect.ServerStream[statehousev1.CompactResponse]) error {
	h, err := s.house()
	if err != nil {
		return err
	}
	if req.GetBefore() == nil {
		return invalid("before is missing: say up to which moment history is removed")
	}
	before, err := parseAt(req.GetBefore())
	if err != nil {
		return err
	}
	if _, err := before.Resolve(ctx, h); err != nil && !errors.Is(err, eventstore.ErrCompacted) {
		return err
	}
	ctx, r, end, err := begin(ctx, &s.compacting, "a removal of history", stream)
	if err != nil {
		return err
	}
	defer end()
	result, err := api.Compact(ctx, h, before, eventstore.CompactOptions{
		Source: access.From(ctx).Source(), DryRun: req.GetDryRun(),
		Progress: r.progress(func(p *statehousev1.Progress) *statehousev1.CompactResponse {
			return &statehousev1.CompactResponse{Message: &statehousev1.CompactResponse_Progress{Progress: p}}
		}),
	})
	if err != nil {
		return err
	}
	if result.Events > 0 && !result.DryRun {
		s.opts.Logger.Info("history was removed", "up_to", result.Position, "recorded", result.RecordedAt, "events", result.Events,
			"left_behind", result.LeftBehind)
	}
	r.send(&statehousev1.CompactResponse{Message: &statehousev1.CompactResponse_Result{Result: &statehousev1.Compaction{
		DryRun: result.DryRun, Position: uint64(result.Position), RecordedAt: newTimeOf(result.RecordedAt), Events: result.Events,
		Attested: uint64(result.Attested), LeftBehind: result.LeftBehind,
	}}})
	return context.Cause(ctx)
}

// Stats implements AdminService.
func (s adminService) Stats(context.Context, *statehousev1.StatsRequest) (*statehousev1.StatsResponse, error) {
	h, err := s.house()
	if err != nil {
		return nil, err
	}
	m, st := h.Now(), h.Store().Stats()
	base, recorded := h.Base()
	w := &statehousev1.StatsResponse{
		Version: s.opts.Version, Database: h.Store().UUID(), Head: uint64(st.Head), HeadRecordedAt: newTime(st.HeadRecorded),
		Base: uint64(base), BaseRecordedAt: newTime(recorded), Entities: uint64(m.State.Entities.Len()),
		Devices: uint64(m.Registry.Devices.Len()), Areas: uint64(m.Registry.Areas.Len()),
		Events: st.Events, Batches: st.Batches, Groups: st.Groups, Failed: st.Failed, QueuedBytes: uint64(st.QueuedBytes),
		QueuedBatches: uint64(st.QueuedBatches), QueueLimitBytes: uint64(st.QueueLimit), Snapshot: uint64(st.Snapshot), Sealed: uint64(st.Sealed),
	}
	if st.Fault != nil {
		w.Fault = st.Fault.Error()
	}
	for _, c := range st.Consumers {
		w.Consumers = append(w.Consumers, &statehousev1.Consumer{Name: c.Name, Acked: uint64(c.Acked), Behind: c.Behind})
	}
	return w, nil
}
