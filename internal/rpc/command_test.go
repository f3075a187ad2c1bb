package rpc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/gen/statehouse/v1/statehousev1connect"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/dispatch"
	"github.com/statehouse/statehouse/internal/dispatch/dispatchtest"
	"github.com/statehouse/statehouse/internal/mqtt"
)

func (r *rig) commands(who string) statehousev1connect.CommandServiceClient {
	return statehousev1connect.NewCommandServiceClient(r.h2(who), r.url)
}

// fakeDispatcher answers every call alike.
type fakeDispatcher struct {
	calls  chan dispatch.Call
	result dispatch.Result
	err    error
	hold   bool // a call that waits goes on until its context ends
}

func (f *fakeDispatcher) Call(ctx context.Context, c dispatch.Call) (dispatch.Result, error) {
	f.calls <- c
	if f.hold && c.Wait {
		<-ctx.Done()
		return f.result, ctx.Err()
	}
	return f.result, f.err
}

func withDispatcher(d Dispatcher) Options { return Options{Dispatcher: func() Dispatcher { return d }} }

// TestCallIsPassedOn: what a request says comes to the dispatcher, with the token's source, and its answer comes back.
func TestCallIsPassedOn(t *testing.T) {
	deadline := time.Date(2026, 1, 31, 18, 0, 10, 0, time.UTC)
	f := &fakeDispatcher{calls: make(chan dispatch.Call, 1), result: dispatch.Result{
		Command: 7, Deadline: deadline, Settled: 9, Outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_FAILED, Reason: "why",
	}}
	h := newHouse(t)
	appendEvents(t, h, lightEvent("light.a", 1))
	r := serve(t, h, withDispatcher(f))
	brightness := &entityv1.Field{Name: "brightness", Value: &entityv1.Value{Kind: &entityv1.Value_IntValue{IntValue: 7}}}
	res, err := r.commands("all").Call(t.Context(), &statehousev1.CallRequest{
		EntityId: "light.a", Action: "turn_on", Arguments: []*entityv1.Field{brightness}, CausePosition: 1, CorrelationId: "x",
		Timeout: durationpb.New(3 * time.Second), Wait: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := dispatch.Call{
		Request: command.Request{Entity: "light.a", Action: "turn_on", Arguments: []*entityv1.Field{brightness}},
		Source:  "api:all", Cause: 1, CorrelationID: "x", Timeout: 3 * time.Second, Wait: true,
	}
	if diff := cmp.Diff(want, <-f.calls, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(newCallResponse(f.result), res, protocmp.Transform()); diff != "" || res.GetPosition() != 7 || res.GetReason() != "why" {
		t.Error(diff, res)
	}
}

// TestCallErrors: each error of the dispatcher and of a request has its codes.
func TestCallErrors(t *testing.T) {
	f := &fakeDispatcher{calls: make(chan dispatch.Call, 100)}
	h := newHouse(t)
	appendEvents(t, h, lightEvent("light.a", 1), lightEvent("switch.a", 1))
	r := serve(t, h, withDispatcher(f))
	r.who["lights"] = access.NewIdentity("lights", access.Command, []string{"light.*"}, nil)
	for _, c := range []struct {
		err    error
		status connect.Code
		code   string
	}{
		{command.ErrInvalid, connect.CodeInvalidArgument, "invalid"},
		{command.ErrUnsupported, connect.CodeFailedPrecondition, "unsupported"},
		{statehouse.ErrNotFound, connect.CodeNotFound, "not_found"},
		{dispatch.ErrUnavailable, connect.CodeUnavailable, "unavailable"},
		{mqtt.ErrNotConnected, connect.CodeUnavailable, "unavailable"},
		{dispatch.ErrDisabled, connect.CodeFailedPrecondition, "disabled"},
		{dispatch.ErrBusy, connect.CodeResourceExhausted, "too_many_commands"},
		{eventstore.ErrInvalid, connect.CodeInvalidArgument, "invalid"},
		{errors.New("a defect"), connect.CodeInternal, "internal"},
	} {
		f.err = c.err
		_, err := r.commands("lights").Call(t.Context(), &statehousev1.CallRequest{EntityId: "light.a", Action: "turn_on"})
		wantCode(t, err, c.status, c.code)
	}
	f.err = nil
	calls := len(f.calls)
	for name, c := range map[string]struct {
		who    string
		req    *statehousev1.CallRequest
		status connect.Code
		code   string
	}{
		"no id":           {"all", &statehousev1.CallRequest{EntityId: "Light"}, connect.CodeInvalidArgument, "invalid"},
		"another entity":  {"lights", &statehousev1.CallRequest{EntityId: "switch.a"}, connect.CodePermissionDenied, "forbidden"},
		"no such entity":  {"lights", &statehousev1.CallRequest{EntityId: "switch.none"}, connect.CodePermissionDenied, "forbidden"},
		"another cause":   {"lights", &statehousev1.CallRequest{EntityId: "light.a", CausePosition: 2}, connect.CodePermissionDenied, "forbidden"},
		"cause to come":   {"lights", &statehousev1.CallRequest{EntityId: "light.a", CausePosition: 9}, connect.CodePermissionDenied, "forbidden"},
		"no cause at all": {"all", &statehousev1.CallRequest{EntityId: "light.a", CausePosition: 1 << 63}, connect.CodeInvalidArgument, "invalid"},
		"no timeout":      {"all", &statehousev1.CallRequest{EntityId: "light.a", Timeout: &durationpb.Duration{Seconds: -1}}, connect.CodeInvalidArgument, "invalid"},
		"broken timeout":  {"all", &statehousev1.CallRequest{EntityId: "light.a", Timeout: &durationpb.Duration{Nanos: -1, Seconds: 1}}, connect.CodeInvalidArgument, "invalid"},
		"too many":        {"all", &statehousev1.CallRequest{EntityId: "light.a", Arguments: make([]*entityv1.Field, 33)}, connect.CodeInvalidArgument, "invalid"},
	} {
		for i := range c.req.Arguments {
			c.req.Arguments[i] = &entityv1.Field{}
		}
		_, err := r.commands(c.who).Call(t.Context(), c.req)
		if d := detailOf(err); connect.CodeOf(err) != c.status || d.GetCode() != c.code {
			t.Errorf("%s: %v, %v", name, err, d)
		}
	}
	if len(f.calls) != calls {
		t.Error("something was called")
	}
	if _, err := r.commands("lights").Call(t.Context(), &statehousev1.CallRequest{EntityId: "light.a", CausePosition: 1}); err != nil {
		t.Error(err)
	}
	none := serve(t, h, Options{})
	_, err := none.commands("all").Call(t.Context(), &statehousev1.CallRequest{EntityId: "light.a"})
	wantCode(t, err, connect.CodeUnavailable, "unavailable")
}

// TestWaitingCalls: they count as streams, end with the server, and then say where their command is.
func TestWaitingCalls(t *testing.T) {
	f := &fakeDispatcher{calls: make(chan dispatch.Call, 2), hold: true, result: dispatch.Result{Command: 7}}
	h := newHouse(t)
	closing, closeAll := context.WithCancelCause(t.Context())
	full := false
	opts := withDispatcher(f)
	opts.WriteTimeout = 50 * time.Millisecond // less than the wait takes
	opts.OpenStream = func(ctx context.Context) (context.Context, func(), error) {
		if full {
			return nil, nil, ErrTooManyStreams
		}
		ctx, cancel := context.WithCancelCause(ctx)
		stop := context.AfterFunc(closing, func() { cancel(context.Cause(closing)) })
		return ctx, func() { stop(); cancel(nil) }, nil
	}
	r := serve(t, h, opts)
	req := &statehousev1.CallRequest{EntityId: "light.a", Action: "turn_on", Wait: true}
	done := make(chan error, 1)
	go func() {
		res, err := r.commands("all").Call(t.Context(), req)
		if err == nil && (res.GetPosition() != 7 || res.GetSettledPosition() != 0) {
			err = errors.New(res.String())
		}
		done <- err
	}()
	<-f.calls
	time.Sleep(100 * time.Millisecond)
	closeAll(ErrClosing)
	if err := <-done; err != nil {
		t.Error(err)
	}
	full = true
	_, err := r.commands("all").Call(t.Context(), req)
	wantCode(t, err, connect.CodeResourceExhausted, "too_many_streams")
	if _, err := r.commands("all").Call(t.Context(), &statehousev1.CallRequest{EntityId: "light.a"}); err != nil {
		t.Errorf("who does not wait needs no stream: %v", err)
	}
}

// TestCommandsAreSeen: a watcher has a command while it waits, and is told when it does not any more; nothing else changes.
func TestCommandsAreSeen(t *testing.T) {
	h := newHouse(t)
	devices, dispatcher := dispatchtest.New(h)
	appendEvents(t, h, dispatchtest.Light("light.a"), lightEvent("light.a", 0))
	r := serve(t, h, withDispatcher(dispatcher))
	watch, err := r.states("some").Watch(t.Context(), &statehousev1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Close() }()
	next := func() *statehousev1.State {
		for watch.Receive() {
			if all := watch.Msg().GetChanges().GetStates(); len(all) > 0 {
				return proto.CloneOf(all[len(all)-1])
			}
			if watch.Msg().GetReady() != nil {
				return nil
			}
		}
		t.Fatal(watch.Err())
		return nil
	}
	next() // the present
	devices.Take(dispatchtest.Silent)
	res, err := r.commands("all").Call(t.Context(), &statehousev1.CallRequest{EntityId: "light.a", Action: "turn_on"})
	if err != nil || res.GetOutcome() != 0 || res.GetPosition() != 3 {
		t.Fatal(res, err)
	}
	st := next()
	if p := st.GetPending(); len(p) != 1 || p[0].GetPosition() != 3 || p[0].GetAction() != "turn_on" || p[0].GetSource() != "api:all" || st.GetText() != "off" {
		t.Errorf("got %v", st)
	}
	got, err := r.states("all").Get(t.Context(), &statehousev1.GetRequest{EntityId: "light.a"})
	if err != nil || !proto.Equal(got.GetState(), st) {
		t.Errorf("got %v, %v", got, err)
	}
	var whats []string
	diffs, err := all(statehousev1connect.NewTimelineServiceClient(r.h1("all"), r.url).Diff(t.Context(), &statehousev1.DiffRequest{
		From: &statehousev1.At{Moment: &statehousev1.At_Position{Position: 2}}, To: &statehousev1.At{},
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range diffs[0].GetChanges() {
		whats = append(whats, c.GetWhat()...)
		if len(c.GetAfter().GetState().GetPending()) != 1 || len(c.GetBefore().GetState().GetPending()) != 0 {
			t.Errorf("got %v", c)
		}
	}
	if !slices.Equal(whats, []string{"pending"}) {
		t.Errorf("got %v", whats)
	}
	if err := devices.Report(t.Context(), "light.a", lightEvent("light.a", 0).Payload.GetStateChanged().GetAttributes()); err != nil {
		t.Fatal(err)
	}
	if st := next(); len(st.GetPending()) != 1 {
		t.Errorf("a state that is no answer: %v", st)
	}
	if err := devices.Report(t.Context(), "light.a", lightEvent("light.a", 5).Payload.GetStateChanged().GetAttributes()); err != nil {
		t.Fatal(err)
	}
	for st = next(); len(st.GetPending()) > 0; st = next() {
	}
	if st.GetText() != "on" {
		t.Errorf("got %v", st)
	}
	devices.Take(dispatchtest.Obeying)
	res, err = r.commands("all").Call(t.Context(), &statehousev1.CallRequest{EntityId: "light.a", Action: "turn_off", Wait: true})
	if err != nil || res.GetOutcome() != eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED || res.GetSettledPosition() == 0 {
		t.Fatal(res, err)
	}
	for st = next(); len(st.GetPending()) > 0 || st.GetText() != "off"; st = next() {
	}
	devices.Take(dispatchtest.Broken)
	res, err = r.commands("all").Call(t.Context(), &statehousev1.CallRequest{EntityId: "light.a", Action: "turn_on"})
	if err != nil || res.GetOutcome() != eventv1.CommandOutcome_COMMAND_OUTCOME_FAILED || !strings.Contains(res.GetReason(), "wire") {
		t.Error(res, err)
	}
}

// TestActions: what there is, for whom.
func TestActions(t *testing.T) {
	h := newHouse(t)
	appendEvents(t, h, dispatchtest.Light("light.a"), dispatchtest.Entity(&entityv1.Entity{Id: "sensor.a", UniqueId: "s"}))
	r := serve(t, h, Options{})
	names := func(who, id string) (names []string, err error) {
		res, err := r.commands(who).Actions(t.Context(), &statehousev1.ActionsRequest{EntityId: id})
		for _, a := range res.GetActions() {
			names = append(names, a.GetName())
			if a.GetName() == "turn_on" && (a.GetArguments()[0].GetName() != "brightness" || a.GetArguments()[0].GetMaximum() != 255) {
				t.Errorf("got %v", a)
			}
		}
		return names, err
	}
	if got, err := names("some", "light.a"); err != nil || !slices.Equal(got, []string{"toggle", "turn_off", "turn_on"}) {
		t.Error(got, err)
	}
	if got, err := names("all", "sensor.a"); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
	_, err := names("some", "sensor.a")
	wantCode(t, err, connect.CodePermissionDenied, "forbidden")
	_, err = names("all", "light.none")
	wantCode(t, err, connect.CodeNotFound, "not_found")
}

// TestCommandEventsAreTheServers: nobody says that somebody gave a command, or what became of one.
func TestCommandEventsAreTheServers(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	for _, p := range []*eventv1.Payload{
		{Kind: &eventv1.Payload_CommandIssued{CommandIssued: &eventv1.CommandIssued{Action: "turn_on"}}},
		{Kind: &eventv1.Payload_CommandSettled{CommandSettled: &eventv1.CommandSettled{Command: 1, Outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED}}},
	} {
		_, err := r.log("owner").Append(t.Context(), &statehousev1.AppendRequest{Events: []*statehousev1.NewEvent{{EntityId: "light.a", Payload: p}}})
		if d := wantCode(t, err, connect.CodeInvalidArgument, "invalid"); !strings.Contains(d.GetMessage(), "for the server itself") {
			t.Error(d)
		}
	}
	if h.Now().Position() != 0 {
		t.Error("something was recorded")
	}
}
