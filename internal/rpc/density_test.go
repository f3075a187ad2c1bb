package rpc

import (
	"context"
	"math"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/gen/statehouse/v1/statehousev1connect"
)

func (r *rig) timeline(who string) statehousev1connect.TimelineServiceClient {
	return statehousev1connect.NewTimelineServiceClient(r.h1(who), r.url)
}

func atTime(t time.Time) *statehousev1.At {
	return &statehousev1.At{Moment: &statehousev1.At_Time{Time: timestamppb.New(t)}}
}

// unevenHouse is a house whose events were recorded at uneven times, some at the same one, some hours apart.
func unevenHouse(t *testing.T, rng *rand.Rand, events int) *statehouse.House {
	t.Helper()
	now := time.Now().Add(-1000 * time.Hour)
	h, err := statehouse.OpenContext(t.Context(), filepath.Join(t.TempDir(), "home.db"), statehouse.Options{Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	for int(h.Now().Position()) < events {
		appendRandom(t, h, rng, 1+rng.IntN(5))
		now = now.Add([]time.Duration{0, 1, time.Second, time.Duration(rng.Int64N(int64(time.Hour)))}[rng.IntN(4)])
		if rng.IntN(80) == 0 {
			if err := h.Store().Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return h
}

// naive counts events one by one.
type naive struct {
	oldest asked
	events []eventstore.Event // behind it
}

// position is that of the last event that was recorded at a time or before it.
func (n naive) position(at time.Time) (p uint64) {
	p = n.oldest.position
	for _, e := range n.events {
		if !e.RecordedAt.After(at) {
			p = uint64(e.Position)
		}
	}
	return p
}

// count fills in what an answer should have beside its moments and times.
func (n naive) count(res *statehousev1.DensityResponse, parts int, counted func(eventstore.Event) bool) (counts, positions []uint64) {
	begin, span := res.GetBegin().AsTime(), res.GetEnd().AsTime().Sub(res.GetBegin().AsTime())
	from, to := res.GetFrom().GetPosition(), res.GetTo().GetPosition()
	var ends []time.Time
	for i := range parts {
		whole := new(big.Int).Mul(big.NewInt(int64(span)), big.NewInt(int64(i+1)))
		ends = append(ends, begin.Add(time.Duration(whole.Div(whole, big.NewInt(int64(parts))).Int64())))
	}
	counts, positions = make([]uint64, parts), make([]uint64, parts)
	for i, end := range ends {
		positions[i] = min(max(n.position(end), from), to)
	}
	positions[parts-1] = to
	for _, e := range n.events {
		if p := uint64(e.Position); p > from && p <= to && counted(e) {
			part := slices.IndexFunc(ends, func(end time.Time) bool { return !e.RecordedAt.After(end) })
			if part < 0 { // recorded at the same time as the last one
				part = parts - 1
			}
			counts[part]++
		}
	}
	return counts, positions
}

// asked is a moment in a request, and what is known of it.
type asked struct {
	at       *statehousev1.At
	time     time.Time
	position uint64
}

func (n naive) moment(rng *rand.Rand) asked {
	e := n.events[1+rng.IntN(len(n.events)-1)]
	if rng.IntN(3) == 0 {
		return asked{position(e.Position), e.RecordedAt, uint64(e.Position)}
	}
	at := e.RecordedAt.Add(time.Duration(rng.IntN(3) - 1))
	return asked{atTime(at), at, n.position(at)}
}

// TestDensityIsTheCount: each part has the events that somebody finds who reads the log, whoever asks for whatever.
func TestDensityIsTheCount(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 7))
	h := unevenHouse(t, rng, 900)
	r := serve(t, h, Options{})
	for _, base := range []eventstore.Position{0, 300} {
		var n naive
		if base > 0 {
			c, err := h.Compact(t.Context(), base, eventstore.CompactOptions{})
			if err != nil {
				t.Fatal(err)
			}
			n.oldest = asked{nil, c.RecordedAt, uint64(c.Base)}
		}
		for e, err := range h.Read(t.Context(), eventstore.Query{After: eventstore.FromOldest}) {
			if err != nil {
				t.Fatal(err)
			}
			n.events = append(n.events, e)
		}
		if base == 0 {
			n.oldest.time = n.events[0].RecordedAt
		}
		for range 200 {
			from, to := n.moment(rng), n.moment(rng)
			if to.time.Before(from.time) {
				from, to = to, from
			}
			if rng.IntN(5) == 0 {
				from = n.oldest
			}
			if rng.IntN(5) == 0 {
				to = asked{nil, time.Time{}, uint64(h.Now().Position())}
			}
			n.try(t, r, rng, from, to)
		}
	}
}

// try asks for something and compares the answer.
func (n naive) try(t *testing.T, r *rig, rng *rand.Rand, from, to asked) {
	t.Helper()
	who := []string{"all", "some"}[rng.IntN(2)]
	req := &statehousev1.DensityRequest{From: from.at, To: to.at, Parts: uint32(1 + rng.IntN(60))}
	for _, id := range []string{"light.a", "light.b", "light.none", "switch.c"} {
		if rng.IntN(4) == 0 && (who == "all" || id != "switch.c") {
			req.EntityIds = append(req.EntityIds, id)
		}
	}
	res, err := r.timeline(who).Density(t.Context(), req)
	if from.position > to.position { // behind others that were recorded at that time
		wantCode(t, err, connect.CodeInvalidArgument, "invalid")
		return
	}
	if n.oldest.position > 0 && from.time.Before(n.oldest.time) {
		wantCode(t, err, connect.CodeOutOfRange, "compacted")
		return
	}
	if err != nil {
		t.Fatal(req, err)
	}
	begin, end := res.GetBegin().AsTime(), res.GetEnd().AsTime()
	if to.at == nil {
		if to.time = end; time.Since(end) > patience || time.Since(end) < 0 {
			t.Errorf("the present ends at %s", end)
		}
	}
	if !begin.Equal(from.time) || !end.Equal(to.time) || res.GetFrom().GetPosition() != from.position || res.GetTo().GetPosition() != to.position {
		t.Errorf("%v: %v %v from %s to %s, and not %v %v", req, res.GetFrom(), res.GetTo(), begin, end, from, to)
	}
	may := func(id string) bool { return who == "all" || strings.HasPrefix(id, "light.") }
	counts, positions := n.count(res, int(req.GetParts()), func(e eventstore.Event) bool {
		renamed, ok := e.Payload.GetKind().(*eventv1.Payload_EntityRenamed)
		return (len(req.GetEntityIds()) == 0 || slices.Contains(req.GetEntityIds(), e.Entity)) && may(e.Entity) &&
			(!ok || may(renamed.EntityRenamed.GetNewId()))
	})
	if diff := cmp.Diff(positions, res.GetPositions()); diff != "" {
		t.Errorf("%v: %s", req, diff)
	}
	if diff := cmp.Diff(counts, res.GetCounts()); diff != "" {
		t.Errorf("%s, %v: %s", who, req, diff)
	}
	sum := uint64(0)
	for _, c := range res.GetCounts() {
		sum += c
	}
	if who == "all" && len(req.GetEntityIds()) == 0 && sum != to.position-from.position {
		t.Errorf("%v: %d in all, and not those from %v to %v", req, sum, res.GetFrom(), res.GetTo())
	}
}

// TestDensityOfNothing: where nothing was recorded each part has nothing, whatever is asked for.
func TestDensityOfNothing(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	early, late := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	try := func(req *statehousev1.DensityRequest, begin, end *timestamppb.Timestamp) {
		t.Helper()
		res, err := r.timeline("all").Density(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if len(res.GetCounts()) != 200 || len(res.GetPositions()) != 200 || slices.Max(res.GetCounts()) != 0 || slices.Max(res.GetPositions()) != 0 ||
			!proto.Equal(res.GetBegin(), begin) || !proto.Equal(res.GetEnd(), end) {
			t.Errorf("%v: %v", req, res)
		}
	}
	try(&statehousev1.DensityRequest{From: position(0), To: position(0)}, nil, nil)
	try(&statehousev1.DensityRequest{From: atTime(early), To: position(0)}, timestamppb.New(early), timestamppb.New(early))
	try(&statehousev1.DensityRequest{To: atTime(late)}, timestamppb.New(late), timestamppb.New(late))
	try(&statehousev1.DensityRequest{From: atTime(early), To: atTime(late)}, timestamppb.New(early), timestamppb.New(late))
	if res, err := r.timeline("all").Density(t.Context(), &statehousev1.DensityRequest{}); err != nil || !proto.Equal(res.GetBegin(), res.GetEnd()) || res.GetEnd() == nil {
		t.Error(res, err)
	}
	appendEvents(t, h, lightEvent("light.a", 1))
	try(&statehousev1.DensityRequest{From: atTime(early), To: atTime(late)}, timestamppb.New(early), timestamppb.New(late))
	try(&statehousev1.DensityRequest{To: atTime(late)}, timestamppb.New(late), timestamppb.New(late))
}

// TestDensityErrors: what cannot be answered says why.
func TestDensityErrors(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	for i := range 40 {
		appendEvents(t, h, lightEvent("light.a", uint32(i)))
	}
	if _, err := h.Compact(t.Context(), 10, eventstore.CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	day := func(year int) *statehousev1.At { return atTime(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)) }
	for name, c := range map[string]struct {
		who    string
		req    *statehousev1.DensityRequest
		status connect.Code
		code   string
	}{
		"positions":  {"all", &statehousev1.DensityRequest{From: position(20), To: position(19)}, connect.CodeInvalidArgument, "invalid"},
		"times":      {"all", &statehousev1.DensityRequest{From: day(2301), To: day(2299)}, connect.CodeInvalidArgument, "invalid"},
		"the future": {"all", &statehousev1.DensityRequest{From: day(2299)}, connect.CodeInvalidArgument, "invalid"},
		"too far":    {"all", &statehousev1.DensityRequest{To: position(1 << 40)}, connect.CodeInvalidArgument, "invalid"},
		"parts":      {"all", &statehousev1.DensityRequest{Parts: 2001}, connect.CodeInvalidArgument, "invalid"},
		"many parts": {"all", &statehousev1.DensityRequest{Parts: math.MaxUint32}, connect.CodeInvalidArgument, "invalid"},
		"entities":   {"all", &statehousev1.DensityRequest{EntityIds: slices.Repeat([]string{"light.a"}, 1001)}, connect.CodeInvalidArgument, "invalid"},
		"no entity":  {"all", &statehousev1.DensityRequest{EntityIds: []string{"x"}}, connect.CodeInvalidArgument, "invalid"},
		"another's":  {"some", &statehousev1.DensityRequest{EntityIds: []string{"switch.c"}}, connect.CodePermissionDenied, "forbidden"},
		"removed":    {"all", &statehousev1.DensityRequest{From: position(9)}, connect.CodeOutOfRange, "compacted"},
		"long ago":   {"some", &statehousev1.DensityRequest{From: day(2020)}, connect.CodeOutOfRange, "compacted"},
	} {
		_, err := r.timeline(c.who).Density(t.Context(), c.req)
		t.Log(name, err)
		wantCode(t, err, c.status, c.code)
	}
	long := &statehousev1.DensityRequest{From: day(1900), To: day(2300)}
	_, err := serve(t, newHouse(t), Options{}).timeline("all").Density(t.Context(), long)
	wantCode(t, err, connect.CodeInvalidArgument, "invalid")
}

// TestDensityThatReads: what has events read is one of the streams, and ends with them; what has not is none.
func TestDensityThatReads(t *testing.T) {
	h := newHouse(t)
	appendEvents(t, h, lightEvent("light.a", 1), lightEvent("switch.c", 1))
	open := ErrTooManyStreams
	r := serve(t, h, Options{OpenStream: func(ctx context.Context) (context.Context, func(), error) {
		if open != nil {
			return nil, nil, open
		}
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(ErrClosing)
		return ctx, func() {}, nil
	}})
	if res, err := r.timeline("all").Density(t.Context(), &statehousev1.DensityRequest{Parts: 1}); err != nil || res.GetCounts()[0] != 2 {
		t.Error(res, err)
	}
	reads := func(status connect.Code, code string) {
		t.Helper()
		_, err := r.timeline("some").Density(t.Context(), &statehousev1.DensityRequest{})
		wantCode(t, err, status, code)
		_, err = r.timeline("all").Density(t.Context(), &statehousev1.DensityRequest{EntityIds: []string{"light.a"}})
		wantCode(t, err, status, code)
	}
	reads(connect.CodeResourceExhausted, "too_many_streams")
	open = nil
	reads(connect.CodeUnavailable, "closed")
}
