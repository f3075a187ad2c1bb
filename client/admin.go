package client

import (
	"context"
	"errors"
	"iter"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
)

// CreateSnapshot saves the present beside the log, and returns the position that was saved at least.
func (c *Client) CreateSnapshot(ctx context.Context) (AsOf, error) {
	res, err := c.admin.CreateSnapshot(ctx, &statehousev1.CreateSnapshotRequest{})
	return parseAsOf(res.GetAsOf()), errorOf(ctx, err)
}

// errCut says that a stream ended before its last message.
var errCut = errors.New("the server's answer is not complete")

// last is the result of something long, whose messages take hands on.
func last[M, T any](messages iter.Seq2[M, error], take func(M) (T, bool)) (result T, err error) {
	for m, err := range messages {
		if err != nil {
			return result, err
		}
		if r, ok := take(m); ok {
			return r, nil
		}
	}
	return result, errCut
}

func one[M any](m *M) ([]*M, error) { return []*M{m}, nil }

// Verify verifies everything that the server has stored; see [eventstore.Store.Inspect]. Of the options Found and Progress are
// taken.
func (c *Client) Verify(ctx context.Context, opts eventstore.InspectOptions) (eventstore.Inspection, error) {
	messages := stream(ctx, func(ctx context.Context) (*connect.ServerStreamForClient[statehousev1.VerifyResponse], error) {
		return c.admin.Verify(ctx, &statehousev1.VerifyRequest{})
	}, one)
	return last(messages, func(m *statehousev1.VerifyResponse) (i eventstore.Inspection, done bool) {
		switch m := m.GetMessage().(type) {
		case *statehousev1.VerifyResponse_Progress:
			progress(opts.Progress, m.Progress)
		case *statehousev1.VerifyResponse_Finding:
			if opts.Found != nil {
				opts.Found(parseFinding(m.Finding))
			}
		case *statehousev1.VerifyResponse_Result:
			r := m.Result
			return eventstore.Inspection{
				Last: eventstore.Position(r.GetPosition()), Removed: eventstore.Position(r.GetRemoved()), Events: r.GetEvents(),
				Sealed: int(r.GetSealedSegments()), Unsealed: int(r.GetUnsealedSegments()), Snapshots: int(r.GetSnapshots()),
				Compared: int(r.GetComparedSnapshots()), Findings: int(r.GetFindings()), Took: r.GetTook().AsDuration(),
			}, true
		}
		return i, false
	})
}

func progress(tell func(done, last eventstore.Position), p *statehousev1.Progress) {
	if tell != nil {
		tell(eventstore.Position(p.GetPosition()), eventstore.Position(p.GetLast()))
	}
}

func parseFinding(w *statehousev1.Finding) eventstore.Finding {
	return eventstore.Finding{
		Kind: eventstore.FindingKind(w.GetKind()), First: eventstore.Position(w.GetFirst()), Last: eventstore.Position(w.GetLast()),
		RecordedFrom: parseTime(w.GetRecordedFrom()), RecordedTo: parseTime(w.GetRecordedTo()), Entities: w.GetEntityIds(), Owner: w.GetOwner(),
		Problem: problem(w.GetProblem()),
	}
}

// problem is what does not fit, in the server's words; it matches [eventstore.ErrCorrupt].
type problem string

func (p problem) Error() string { return string(p) }

// Is implements what errors.Is asks for.
func (problem) Is(target error) bool { return target == eventstore.ErrCorrupt }

// Compact removes history for good, up to a moment; see [eventstore.Store.Compact]. Of the options Progress and DryRun are taken.
// With DryRun the result is what would be.
func (c *Client) Compact(ctx context.Context, before At, opts eventstore.CompactOptions) (eventstore.Compaction, error) {
	messages := stream(ctx, func(ctx context.Context) (*connect.ServerStreamForClient[statehousev1.CompactResponse], error) {
		return c.admin.Compact(ctx, &statehousev1.CompactRequest{Before: before.required(), DryRun: opts.DryRun})
	}, one)
	return last(messages, func(m *statehousev1.CompactResponse) (r eventstore.Compaction, done bool) {
		switch m := m.GetMessage().(type) {
		case *statehousev1.CompactResponse_Progress:
			progress(opts.Progress, m.Progress)
		case *statehousev1.CompactResponse_Result:
			w := m.Result
			return eventstore.Compaction{
				Base: eventstore.Position(w.GetPosition()), RecordedAt: parseTime(w.GetRecordedAt()), Events: w.GetEvents(),
				Attested: eventstore.Position(w.GetAttested()), LeftBehind: w.GetLeftBehind(),
			}, true
		}
		return r, false
	})
}
