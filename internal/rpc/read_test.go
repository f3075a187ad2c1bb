package rpc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/gen/statehouse/v1/statehousev1connect"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/check"
)

func position(at eventstore.Position) *statehousev1.At {
	return &statehousev1.At{Moment: &statehousev1.At_Position{Position: uint64(at)}}
}

// TestListIsTheMoment: every state of a moment, in order, in the present and the past; also where it takes many messages.
func TestListIsTheMoment(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	var events []eventstore.Event
	for i := range 1200 {
		events = append(events, lightEvent(fmt.Sprintf("light.x%d", i), uint32(i%2)))
	}
	appendEvents(t, h, events...)
	appendRandom(t, h, rand.New(rand.NewPCG(1, 1)), 50)
	for _, at := range []*statehousev1.At{nil, position(0), position(700), position(h.Now().Position()), {Moment: &statehousev1.At_Oldest{}}} {
		messages, err := all(r.states("all").List(t.Context(), &statehousev1.StateServiceListRequest{At: at}))
		if err != nil || len(messages) == 0 {
			t.Fatal(err, len(messages))
		}
		as := messages[0].GetAsOf()
		m, err := h.AsOf(t.Context(), eventstore.Position(as.GetPosition()))
		if err != nil || at.GetPosition() != 0 && at.GetPosition() != as.GetPosition() {
			t.Fatal(err, as)
		}
		var got []*statehousev1.State
		for i, one := range messages {
			if i > 0 && one.GetAsOf() != nil {
				t.Error("the moment comes again")
			}
			got = append(got, one.GetStates()...)
		}
		want := m.State.Sorted()
		if len(got) != len(want) || len(want) > 600 && len(messages) < 2 {
			t.Fatalf("%v: %d states in %d messages, not %d", at, len(got), len(messages), len(want))
		}
		for i, s := range want {
			if !proto.Equal(newState(m, s), got[i]) {
				t.Fatalf("%v: %v, not %v", at, got[i], s)
			}
		}
	}
	_, err := all(r.states("all").List(t.Context(), &statehousev1.StateServiceListRequest{Selection: &statehousev1.Selection{Where: "state.light.on &&"}}))
	wantCode(t, err, connect.CodeInvalidArgument, "invalid")
	_, err = all(r.states("all").List(t.Context(), &statehousev1.StateServiceListRequest{At: position(1 << 40)}))
	wantCode(t, err, connect.CodeInvalidArgument, "invalid")
}

// secret makes names that a restricted identity must not learn.
func secret(t testing.TB, h *statehouse.House) {
	t.Helper()
	appendEvents(t, h,
		areaEvent("kitchen", "Kitchen"), areaEvent("hidden_area", "Hidden"),
		deviceEvent(&entityv1.Device{Id: "hidden/bridge", Name: "Hidden"}),
		deviceEvent(&entityv1.Device{Id: "d", Name: "Lamp", AreaId: "kitchen", ViaDevice: "hidden/bridge"}),
		entityEvent(&entityv1.Entity{Id: "light.a", UniqueId: "1", DeviceId: "d"}),
		entityEvent(&entityv1.Entity{Id: "switch.hidden", UniqueId: "2", DeviceId: "hidden/bridge", AreaId: "hidden_area"}),
		lightEvent("light.a", 1), lightEvent("switch.hidden", 2), lightEvent("light.b", 2),
		entityEvent(&entityv1.Entity{Id: "light.c", UniqueId: "3"}), renameEvent("light.c", "switch.hidden_c"),
		entityEvent(&entityv1.Entity{Id: "switch.hidden_d", UniqueId: "4"}), renameEvent("switch.hidden_d", "light.d"),
	)
	cause := lightEvent("light.a", 3)
	cause.CausePosition = 8 // switch.hidden
	span := appendEvents(t, h, cause)
	effect := lightEvent("light.b", 4)
	effect.CausePosition = span.First
	appendEvents(t, h, effect)
	appendEvents(t, h, lightEvent("switch.hidden", 5), lightEvent("light.b", 5))
}

// TestRestrictedIdentitiesLearnNothing: no answer to one names what it may not see, and each has what it may.
func TestRestrictedIdentitiesLearnNothing(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	secret(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	timeline := statehousev1connect.NewTimelineServiceClient(r.h1("some"), r.url)
	registry := statehousev1connect.NewRegistryServiceClient(r.h1("some"), r.url)
	answers := map[string]string{}
	note := func(name string, err error, messages ...any) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		answers[name] = fmt.Sprint(messages...)
	}
	list, err := all(r.states("some").List(ctx, &statehousev1.StateServiceListRequest{}))
	note("list", err, list)
	read, err := all(r.log("some").Read(ctx, &statehousev1.ReadRequest{}))
	note("read", err, read)
	sub, err := all(r.log("some").Subscribe(ctx, &statehousev1.SubscribeRequest{Query: &statehousev1.Query{Until: uint64(h.Now().Position())}}))
	note("subscribe", err, sub)
	diff, err := all(timeline.Diff(ctx, &statehousev1.DiffRequest{From: position(0)}))
	note("diff", err, diff)
	for at := range h.Now().Position() { // across the renames, too
		diff, err := all(timeline.Diff(ctx, &statehousev1.DiffRequest{From: position(at), To: position(at + 1)}))
		note(fmt.Sprintf("diff %d", at), err, "light.", diff)
	}
	registered, err := all(registry.List(ctx, &statehousev1.RegistryServiceListRequest{}))
	note("registry", err, registered)
	why, err := all(timeline.Why(ctx, &statehousev1.WhyRequest{About: &statehousev1.WhyRequest_EntityId{EntityId: "light.b"}, SawChain: true}))
	note("why", err, why)
	if len(why) == 0 || why[0].GetStart().GetHidden() != 0 {
		t.Error(why)
	}
	why, err = all(timeline.Why(ctx, &statehousev1.WhyRequest{About: &statehousev1.WhyRequest_Position{Position: 14}}))
	note("why from hidden", err, why)
	if len(why) != 2 || why[0].GetStart().GetHidden() != 8 || len(why[1].GetLinks()) != 1 {
		t.Error(why)
	}
	for _, id := range []string{"light.a", "light.b", "light.c", "light.d"} {
		history, err := all(timeline.History(ctx, &statehousev1.HistoryRequest{EntityId: id}))
		if id == "light.d" { // its past is under the other id
			wantNot := detailOf(err)
			if err != nil && wantNot.GetCode() != "not_found" {
				t.Error(err)
			}
			err = nil
		}
		note("history "+id, err, "light.", history)
	}
	v := &view{}
	v.until(t, r.states("some"), &statehousev1.WatchRequest{}, h.Now().Position())
	for at := range h.Now().Position() {
		from := &statehousev1.Cursor{Database: h.Store().UUID(), Position: uint64(at)}
		s, err := r.states("some").Watch(ctx, &statehousev1.WatchRequest{Cursor: from})
		if err != nil {
			t.Fatal(err)
		}
		for s.Receive() {
			note(fmt.Sprintf("watch %d", at), nil, "light.", s.Msg())
			if s.Msg().GetChanges().GetCursor() != nil {
				break
			}
		}
		_ = s.Close()
	}
	for name, answer := range answers {
		if strings.Contains(strings.ToLower(strings.ReplaceAll(answer, "hidden:", "")), "hidden") {
			t.Errorf("%s tells: %s", name, answer)
		}
		if !strings.Contains(answer, "light.") {
			t.Errorf("%s tells nothing: %s", name, answer)
		}
	}
	// What is asked for by name is refused, whether it exists or not.
	for _, id := range []string{"switch.hidden", "switch.nothing"} {
		_, err := r.states("some").Get(ctx, &statehousev1.GetRequest{EntityId: id})
		wantCode(t, err, connect.CodePermissionDenied, "forbidden")
		_, err = all(timeline.History(ctx, &statehousev1.HistoryRequest{EntityId: id}))
		wantCode(t, err, connect.CodePermissionDenied, "forbidden")
		_, err = registry.EditEntity(ctx, &statehousev1.EditEntityRequest{EntityId: id})
		wantCode(t, err, connect.CodePermissionDenied, "forbidden")
		_, err = registry.EditEntity(ctx, &statehousev1.EditEntityRequest{EntityId: "light.a", NewId: &id})
		wantCode(t, err, connect.CodePermissionDenied, "forbidden")
	}
	_, err = all(timeline.Why(ctx, &statehousev1.WhyRequest{About: &statehousev1.WhyRequest_Position{Position: 8}}))
	wantCode(t, err, connect.CodePermissionDenied, "forbidden")
}

// TestTimelineIsTheAPIs: what the JSON interface says of the past, with types.
func TestTimelineIsTheAPIs(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	secret(t, h)
	appendRandom(t, h, rand.New(rand.NewPCG(5, 6)), 80)
	c := statehousev1connect.NewTimelineServiceClient(r.h2("all"), r.url, connect.WithGRPC())
	head := h.Now().Position()
	for at := eventstore.Position(1); at <= head; at += 7 {
		res, err := c.Resolve(t.Context(), &statehousev1.ResolveRequest{At: position(at)})
		want, wantErr := api.AtPosition(at).Resolve(t.Context(), h)
		if err != nil || wantErr != nil || !proto.Equal(res.GetAsOf(), newAsOf(want)) {
			t.Fatal(res, err, want, wantErr)
		}
		byTime, err := c.Resolve(t.Context(), &statehousev1.ResolveRequest{At: &statehousev1.At{Moment: &statehousev1.At_Time{Time: timestamppb.New(*want.RecordedAt)}}})
		if err != nil || byTime.GetAsOf().GetPosition() < uint64(at) {
			t.Fatal(byTime, err)
		}
		diffs, err := all(c.Diff(t.Context(), &statehousev1.DiffRequest{From: position(at)}))
		wantDiff, wantErr := api.NewDiff(t.Context(), h, api.AtPosition(at), api.At{})
		if err != nil || wantErr != nil {
			t.Fatal(err, wantErr)
		}
		var changes []*statehousev1.EntityChange
		for _, d := range diffs {
			changes = append(changes, d.GetChanges()...)
		}
		if len(changes) != len(wantDiff.Changes) {
			t.Fatalf("%d changes, not %d", len(changes), len(wantDiff.Changes))
		}
		for i, w := range wantDiff.Changes {
			got := changes[i]
			if got.GetEntityId() != w.EntityID || fmt.Sprint(got.GetWhat()) != fmt.Sprint(w.What) || (got.GetBefore() == nil) != (w.Before == nil) ||
				w.After != nil && (got.GetAfter().GetState().GetText() != w.After.State.State && !w.After.Disabled || got.GetAfter().GetState().GetName() != w.After.Name) {
				t.Fatalf("%v, not %+v", got, w)
			}
		}
		why, err := all(c.Why(t.Context(), &statehousev1.WhyRequest{About: &statehousev1.WhyRequest_Position{Position: uint64(at)}}))
		wantWhy, wantErr := api.NewWhy(t.Context(), h, api.WhyQuery{At: api.AtPosition(at)})
		if err != nil || wantErr != nil || len(why) != 2 || len(why[1].GetLinks()) != len(wantWhy.Links) {
			t.Fatal(why, err, wantErr)
		}
		for i, l := range wantWhy.Links {
			if got := why[1].GetLinks()[i]; got.GetEvent().GetPosition() != uint64(l.Event.Position) || len(got.GetChanges()) != len(l.Changes) || (got.GetBatch() == nil) != (l.Batch == nil) {
				t.Fatalf("%v, not %+v", got, l)
			}
		}
	}
	for _, id := range []string{"light.a", "light.b", "switch.c", "switch.d"} {
		history, err := all(c.History(t.Context(), &statehousev1.HistoryRequest{EntityId: id, From: position(3)}))
		want, wantErr := api.NewHistory(t.Context(), h, id, api.AtPosition(3), api.At{}, api.MaxSteps)
		if wantErr != nil {
			wantCode(t, err, connect.CodeNotFound, "not_found")
			continue
		}
		var steps []*statehousev1.Step
		for _, m := range history {
			steps = append(steps, m.GetSteps()...)
		}
		if err != nil || len(steps) != len(want.Steps) || history[0].GetStart().GetName() != want.Name || (history[0].GetStart().GetState() == nil) != (want.Start == nil) {
			t.Fatal(err, len(steps), len(want.Steps), history[0])
		}
		for i, w := range want.Steps {
			if steps[i].GetEvent().GetPosition() != uint64(w.Position) || (steps[i].GetBefore() == nil) != (w.Before == nil) ||
				w.After != nil && steps[i].GetAfter().GetText() != w.After.State {
				t.Fatalf("%v, not %+v", steps[i], w)
			}
		}
		if limited, err := all(c.History(t.Context(), &statehousev1.HistoryRequest{EntityId: id, Limit: 1})); err != nil || len(limited) != 2 || len(limited[1].GetSteps()) != 1 {
			t.Error(limited, err)
		}
	}
}

// TestCompactedSaysTheOldest: the detail of what has been removed names the oldest moment.
func TestCompactedSaysTheOldest(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	for i := range 40 {
		appendEvents(t, h, check.SensorEvent("sensor.a", float64(i)))
	}
	admin := statehousev1connect.NewAdminServiceClient(r.h1("owner"), r.url)
	dry, err := all(admin.Compact(t.Context(), &statehousev1.CompactRequest{Before: position(20), DryRun: true}))
	if err != nil || !dry[len(dry)-1].GetResult().GetDryRun() || dry[len(dry)-1].GetResult().GetEvents() == 0 {
		t.Fatal(dry, err)
	}
	if base, _ := h.Base(); base != 0 {
		t.Fatal("a dry run has removed something")
	}
	lines, err := all(admin.Compact(t.Context(), &statehousev1.CompactRequest{Before: position(20)}))
	base, _ := h.Base()
	if err != nil || base == 0 || lines[len(lines)-1].GetResult().GetPosition() != uint64(base) {
		t.Fatal(lines, err)
	}
	_, err = all(r.states("all").List(t.Context(), &statehousev1.StateServiceListRequest{At: position(1)}))
	if d := wantCode(t, err, connect.CodeOutOfRange, "compacted"); d.GetOldest().GetPosition() != uint64(base) || d.GetOldest().GetRecordedAt() == nil {
		t.Error(d)
	}
	_, err = all(r.log("all").Read(t.Context(), &statehousev1.ReadRequest{Query: &statehousev1.Query{After: proto.Uint64(1)}}))
	wantCode(t, err, connect.CodeOutOfRange, "compacted")
	v := &view{}
	v.until(t, r.states("all"), &statehousev1.WatchRequest{Cursor: &statehousev1.Cursor{Database: h.Store().UUID(), Position: 1}}, h.Now().Position())
	if v.resets != 1 {
		t.Error("no reset")
	}
	_, err = all(admin.Compact(t.Context(), &statehousev1.CompactRequest{}))
	wantCode(t, err, connect.CodeInvalidArgument, "invalid")
}

// TestReadsAreTheLogs: queries, limits and directions.
func TestReadsAreTheLogs(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	appendRandom(t, h, rand.New(rand.NewPCG(8, 8)), 150)
	for _, q := range []eventstore.Query{
		{}, {After: 10, Until: 30}, {Entities: []string{"light.a"}}, {Kinds: []eventstore.Kind{eventstore.KindStateChanged}},
		{Sources: []string{"nobody"}}, {Backward: true}, {Backward: true, Entities: []string{"light.b"}},
	} {
		w := &statehousev1.Query{After: proto.Uint64(uint64(q.After)), Until: uint64(q.Until), EntityIds: q.Entities, Sources: q.Sources}
		for _, k := range q.Kinds {
			w.Kinds = append(w.Kinds, string(k))
		}
		for _, limit := range []uint64{0, 1, 5} {
			messages, err := all(r.log("all").Read(t.Context(), &statehousev1.ReadRequest{Query: w, Backward: q.Backward, Limit: limit}))
			if err != nil {
				t.Fatal(err)
			}
			var got, want []*statehousev1.Event
			for _, m := range messages {
				got = append(got, m.GetEvents()...)
			}
			for e, err := range h.Read(t.Context(), q) {
				if err != nil {
					t.Fatal(err)
				}
				if want = append(want, newEvent(e)); uint64(len(want)) == limit {
					break
				}
			}
			if len(got) != len(want) {
				t.Fatalf("%+v, limit %d: %d events, not %d", q, limit, len(got), len(want))
			}
			for i := range want {
				if !proto.Equal(got[i], want[i]) {
					t.Fatalf("%v, not %v", got[i], want[i])
				}
			}
		}
	}
	for _, q := range []*statehousev1.Query{{EntityIds: []string{"Light"}}, {After: proto.Uint64(5), Until: 3}, {After: proto.Uint64(1 << 63)}, {Since: &timestamppb.Timestamp{Nanos: -1}}} {
		_, err := all(r.log("all").Read(t.Context(), &statehousev1.ReadRequest{Query: q}))
		wantCode(t, err, connect.CodeInvalidArgument, "invalid")
	}
}

// TestEditsAndAdmin: edits are by who asked, and the store is looked after.
func TestEditsAndAdmin(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{Version: "1.2.3"})
	secret(t, h)
	registry := statehousev1connect.NewRegistryServiceClient(r.h1("all"), r.url)
	if res, err := registry.SetArea(t.Context(), &statehousev1.SetAreaRequest{AreaId: "attic", Name: "Attic"}); err != nil || res.GetSpan().GetFirst() == 0 {
		t.Fatal(res, err)
	}
	if _, err := registry.EditDevice(t.Context(), &statehousev1.EditDeviceRequest{DeviceId: "d", AreaId: proto.String("attic")}); err != nil {
		t.Fatal(err)
	}
	res, err := registry.EditEntity(t.Context(), &statehousev1.EditEntityRequest{EntityId: "light.a", Name: proto.String("Big"), NewId: proto.String("light.big")})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := h.Store().Event(t.Context(), eventstore.Position(res.GetSpan().GetFirst())); err != nil || e.Source != "api:all" {
		t.Error(e, err)
	}
	got, err := r.states("all").Get(t.Context(), &statehousev1.GetRequest{EntityId: "light.big"})
	if err != nil || got.GetState().GetName() != "Big" || got.GetState().GetAreaName() != "Attic" {
		t.Error(got, err)
	}
	_, err = registry.SetArea(t.Context(), &statehousev1.SetAreaRequest{AreaId: "Attic", Name: "x"})
	wantCode(t, err, connect.CodeInvalidArgument, "invalid")
	_, err = registry.RemoveArea(t.Context(), &statehousev1.RemoveAreaRequest{AreaId: "nowhere"})
	wantCode(t, err, connect.CodeNotFound, "not_found")

	admin := statehousev1connect.NewAdminServiceClient(r.h1("owner"), r.url)
	taken, err := admin.CreateSnapshot(t.Context(), &statehousev1.CreateSnapshotRequest{})
	if err != nil || taken.GetAsOf().GetPosition() != uint64(h.Now().Position()) {
		t.Fatal(taken, err)
	}
	snapshots, err := admin.ListSnapshots(t.Context(), &statehousev1.ListSnapshotsRequest{})
	if err != nil || len(snapshots.GetSnapshots()) != 2 {
		t.Error(snapshots, err)
	}
	lines, err := all(admin.Verify(t.Context(), &statehousev1.VerifyRequest{}))
	if err != nil || lines[len(lines)-1].GetResult().GetEvents() != uint64(h.Now().Position()) || lines[len(lines)-1].GetResult().GetFindings() != 0 {
		t.Error(lines, err)
	}
	stats, err := admin.Stats(t.Context(), &statehousev1.StatsRequest{})
	if err != nil || stats.GetVersion() != "1.2.3" || stats.GetHead() != uint64(h.Now().Position()) || stats.GetDatabase() != h.Store().UUID() {
		t.Error(stats, err)
	}
}

// stuck is a verifier that waits for its context.
type stuck struct{ began chan struct{} }

func (v stuck) Verify(ctx context.Context, _ eventstore.InspectOptions) (eventstore.Inspection, error) {
	close(v.began)
	<-ctx.Done()
	return eventstore.Inspection{}, context.Cause(ctx)
}

// TestOneVerificationAtATime: another is unavailable, and the first ends with its client.
func TestOneVerificationAtATime(t *testing.T) {
	v := stuck{make(chan struct{})}
	r := serve(t, newHouse(t), Options{Verifier: v})
	admin := statehousev1connect.NewAdminServiceClient(r.h1("owner"), r.url)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := all(admin.Verify(ctx, &statehousev1.VerifyRequest{}))
		done <- err
	}()
	<-v.began
	_, err := all(admin.Verify(t.Context(), &statehousev1.VerifyRequest{}))
	wantCode(t, err, connect.CodeUnavailable, "unavailable")
	cancel()
	if err := <-done; connect.CodeOf(err) != connect.CodeCanceled {
		t.Error(err)
	}
}

// TestStreamsAreTheServers: it may refuse one, and end one with a cause.
func TestStreamsAreTheServers(t *testing.T) {
	h := newHouse(t)
	closing, closeAll := context.WithCancelCause(context.Background())
	full := false
	r := serve(t, h, Options{OpenStream: func(ctx context.Context) (context.Context, func(), error) {
		if full {
			return nil, nil, fmt.Errorf("stream 65: %w", ErrTooManyStreams)
		}
		ctx, cancel := context.WithCancelCause(ctx)
		stop := context.AfterFunc(closing, func() { cancel(context.Cause(closing)) })
		return ctx, func() { stop(); cancel(nil) }, nil
	}})
	s, err := r.states("all").Watch(t.Context(), &statehousev1.WatchRequest{})
	if err != nil || !s.Receive() {
		t.Fatal(err, s.Err())
	}
	full = true
	_, err = all(r.states("all").Watch(t.Context(), &statehousev1.WatchRequest{}))
	wantCode(t, err, connect.CodeResourceExhausted, "too_many_streams")
	if _, err := all(r.states("all").List(t.Context(), &statehousev1.StateServiceListRequest{})); err != nil {
		t.Errorf("a list is no long stream: %v", err)
	}
	closeAll(ErrClosing)
	for s.Receive() {
	}
	wantCode(t, s.Err(), connect.CodeUnavailable, "closed")
	_ = s.Close()
}

// TestReflection: tools find the services, if they may read.
func TestReflection(t *testing.T) {
	r := serve(t, newHouse(t), Options{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := grpcreflect.NewClient(r.h2("all"), r.url, connect.WithGRPC()).NewStream(ctx)
	names, err := s.ListServices()
	if err != nil || len(names) != len(services)+1 {
		t.Error(names, err)
	}
	if files, err := s.FileContainingSymbol("statehouse.v1.StateService"); err != nil || len(files) == 0 {
		t.Error(err)
	}
	_, _ = s.Close()
	s = grpcreflect.NewClient(r.h2(""), r.url, connect.WithGRPC()).NewStream(ctx)
	if _, err := s.ListServices(); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Error(err)
	}
	_, _ = s.Close()
	if answer := call(t, r, "", "/grpc.health.v1.Health/Check", false); !strings.Contains(answer, "SERVING") {
		t.Error(answer)
	}
}
