package rpc

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/access"
)

// TestAppendIsTheStores: random appends with conditions and keys, with repeats among them, do over the wire what the store does
// with the same ones.
func TestAppendIsTheStores(t *testing.T) {
	model, h := newHouse(t), newHouse(t)
	r := serve(t, h, Options{})
	c := r.log("all")
	random := rand.New(rand.NewPCG(3, 4))
	var earlier []*statehousev1.AppendRequest
	outcomes := map[connect.Code]int{}
	for range 300 {
		req := &statehousev1.AppendRequest{}
		if len(earlier) > 0 && random.IntN(4) == 0 {
			req = proto.CloneOf(earlier[random.IntN(len(earlier))])
			if random.IntN(3) == 0 {
				req.Events = append(req.Events, &statehousev1.NewEvent{EntityId: "light.a", Payload: light(9)})
			}
		} else {
			for range random.IntN(3) {
				req.Events = append(req.Events, &statehousev1.NewEvent{EntityId: pick(random, "light.a", "light.b"), Payload: light(uint32(random.IntN(3)))})
			}
			for range random.IntN(3) {
				id := pick(random, "light.a", "light.b")
				st, _ := h.Now().State.Get(id)
				at := max(0, int64(st.Position)-int64(random.IntN(2)))
				req.Conditions = append(req.Conditions, newCondition(eventstore.EntityAt(id, eventstore.Position(at))))
			}
			if random.IntN(4) == 0 {
				req.Conditions = append(req.Conditions, newCondition(eventstore.LogAt(h.Now().Position())))
			}
			if random.IntN(2) == 0 {
				req.IdempotencyKey = pick(random, "a", "b", "c", "d", "e", "f", "g", "h")
			}
		}
		earlier = append(earlier, req)
		batch, err := parseBatch(access.NewIdentity("all", access.Write, nil, nil), proto.CloneOf(req))
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := model.AppendBatch(t.Context(), batch)
		res, err := c.Append(t.Context(), req)
		if wantErr == nil {
			if err != nil || !proto.Equal(res.GetSpan(), newSpan(want)) {
				t.Fatalf("%v: %v, %v; the store says %v", req, res, err, want)
			}
			outcomes[0]++
			continue
		}
		outcomes[connect.CodeOf(err)]++
		if want := answerOf(wantErr); connect.CodeOf(err) != want.Code() || !proto.Equal(detailOf(err), detailOf(want)) {
			t.Fatalf("%v: %v with %v; the store says %v", req, err, detailOf(err), wantErr)
		}
	}
	if model.Now().Position() != h.Now().Position() || len(outcomes) < 3 {
		t.Errorf("%d and %d; outcomes %v", model.Now().Position(), h.Now().Position(), outcomes)
	}
	for e, err := range h.Read(t.Context(), eventstore.Query{}) {
		if err != nil || e.Source != "api:all" {
			t.Fatalf("event %d is by %q, %v", e.Position, e.Source, err)
		}
	}
}

// TestConflictsSayWhatWasFound: the detail has what a client needs to decide anew.
func TestConflictsSayWhatWasFound(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	appendEvents(t, h, lightEvent("light.a", 1), lightEvent("light.a", 2))
	_, err := r.log("some").Append(t.Context(), &statehousev1.AppendRequest{
		Events:     []*statehousev1.NewEvent{{EntityId: "light.a", Payload: light(3)}},
		Conditions: []*statehousev1.Condition{newCondition(eventstore.EntityAt("light.a", 1))},
	})
	d := wantCode(t, err, connect.CodeAborted, "conflict")
	if d.GetConflict().GetFound() != 2 || d.GetConflict().GetCondition().GetEntity().GetEntityId() != "light.a" {
		t.Error(d)
	}
}

// TestAppendIsAuthorised: what a restricted token may record, and what nobody may.
func TestAppendIsAuthorised(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	one := func(id string, p *eventv1.Payload, conditions ...*statehousev1.Condition) *statehousev1.AppendRequest {
		return &statehousev1.AppendRequest{Events: []*statehousev1.NewEvent{{EntityId: id, Payload: p}}, Conditions: conditions}
	}
	for name, c := range map[string]struct {
		who    string
		req    *statehousev1.AppendRequest
		status connect.Code
		code   string
	}{
		"another entity":       {"some", one("switch.a", light(1)), connect.CodePermissionDenied, "forbidden"},
		"no entity":            {"some", one("", areaEvent("x", "X").Payload), connect.CodePermissionDenied, "forbidden"},
		"a rename":             {"some", one("light.a", renameEvent("", "light.b").Payload), connect.CodePermissionDenied, "forbidden"},
		"a registration":       {"some", one("light.a", entityEvent(&entityv1.Entity{Id: "light.a"}).Payload), connect.CodePermissionDenied, "forbidden"},
		"an area about it":     {"some", one("light.a", areaEvent("x", "X").Payload), connect.CodePermissionDenied, "forbidden"},
		"a device about it":    {"some", one("light.a", deviceEvent(&entityv1.Device{Id: "z2m/0x02", Topic: "evil/x"}).Payload), connect.CodePermissionDenied, "forbidden"},
		"a device gone":        {"some", one("light.a", payloads["device_unregistered"]), connect.CodePermissionDenied, "forbidden"},
		"itself gone":          {"some", one("light.a", payloads["entity_unregistered"]), connect.CodePermissionDenied, "forbidden"},
		"an event fired":       {"some", one("light.a", customPayload("hass.doorbell")), connect.CodePermissionDenied, "forbidden"},
		"an event elsewhere":   {"some", one("switch.a", customPayload("acme.rang")), connect.CodePermissionDenied, "forbidden"},
		"an area of an entity": {"owner", one("light.a", areaEvent("x", "X").Payload), connect.CodeInvalidArgument, "invalid"},
		"condition elsewhere":  {"some", one("light.a", light(1), newCondition(eventstore.EntityAt("switch.a", 0))), connect.CodePermissionDenied, "forbidden"},
		"condition of the log": {"some", one("light.a", light(1), newCondition(eventstore.LogAt(0))), connect.CodePermissionDenied, "forbidden"},
		"no payload":           {"owner", one("light.a", nil), connect.CodeInvalidArgument, "invalid"},
		"empty payload":        {"owner", one("light.a", &eventv1.Payload{}), connect.CodeInvalidArgument, "invalid"},
		"system":               {"owner", one("", &eventv1.Payload{Kind: &eventv1.Payload_System{System: &eventv1.System{What: "started"}}}), connect.CodeInvalidArgument, "invalid"},
		"removal":              {"owner", one("", &eventv1.Payload{Kind: &eventv1.Payload_HistoryRemoved{}}), connect.CodeInvalidArgument, "invalid"},
		"empty condition":      {"owner", one("light.a", light(1), &statehousev1.Condition{}), connect.CodeInvalidArgument, "invalid"},
		"no id":                {"owner", one("Light", light(1)), connect.CodeInvalidArgument, "invalid"},
		"a large name":         {"owner", &statehousev1.AppendRequest{IdempotencyKey: strings.Repeat("k", 300)}, connect.CodeInvalidArgument, "invalid"},
		"too many":             {"owner", &statehousev1.AppendRequest{Events: make([]*statehousev1.NewEvent, maxAppendEvents+1)}, connect.CodeInvalidArgument, "invalid"},
	} {
		for i := range c.req.Events {
			if c.req.Events[i] == nil {
				c.req.Events[i] = &statehousev1.NewEvent{}
			}
		}
		_, err := r.log(c.who).Append(t.Context(), c.req)
		if d := detailOf(err); connect.CodeOf(err) != c.status || d.GetCode() != c.code {
			t.Errorf("%s: %v, %v", name, err, d)
		}
	}
	if h.Now().Position() != 0 {
		t.Errorf("something was recorded: %d", h.Now().Position())
	}
	if _, err := r.log("some").Append(t.Context(), one("light.a", light(1), newCondition(eventstore.EntityAt("light.a", 0)))); err != nil {
		t.Error(err)
	}
}

// payloads has one of each kind of event, by the field of it; TestEveryKindHasItsDecision sees to that.
var payloads = map[string]*eventv1.Payload{
	"state_changed":       light(1),
	"state_reported":      {Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}}},
	"entity_registered":   entityEvent(&entityv1.Entity{Id: "light.a"}).Payload,
	"entity_unregistered": {Kind: &eventv1.Payload_EntityUnregistered{EntityUnregistered: &eventv1.EntityUnregistered{}}},
	"entity_renamed":      renameEvent("", "light.b").Payload,
	"device_registered":   deviceEvent(&entityv1.Device{Id: "z2m/0x01", Topic: "evil/x"}).Payload,
	"device_unregistered": {Kind: &eventv1.Payload_DeviceUnregistered{DeviceUnregistered: &eventv1.DeviceUnregistered{DeviceId: "z2m/0x01"}}},
	"area_registered":     areaEvent("x", "X").Payload,
	"area_unregistered":   areaEvent("x", "").Payload,
	"command_issued":      {Kind: &eventv1.Payload_CommandIssued{CommandIssued: &eventv1.CommandIssued{Action: "turn_on"}}},
	"command_settled": {Kind: &eventv1.Payload_CommandSettled{CommandSettled: &eventv1.CommandSettled{
		Command: 1, Outcome: eventv1.CommandOutcome_COMMAND_OUTCOME_CONFIRMED,
	}}},
	"system":          {Kind: &eventv1.Payload_System{System: &eventv1.System{What: "started"}}},
	"history_removed": {Kind: &eventv1.Payload_HistoryRemoved{HistoryRemoved: &eventv1.HistoryRemoved{}}},
	"custom":          customPayload("acme.rang"),
}

func customPayload(kind string) *eventv1.Payload {
	return &eventv1.Payload{Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{Kind: kind}}}
}

// TestEveryKindHasItsDecision: of each kind of event that there is somebody has decided who may record it. A token for some
// entities records what is about one of them and changes nothing else; with the entity of the token on it an event that changes the
// house is refused as it is without.
func TestEveryKindHasItsDecision(t *testing.T) {
	// Who may record it: "some" with a token for the entity, "all" with one for the whole house, or nobody.
	decided := map[string]string{
		"state_changed": "some", "state_reported": "some", "custom": "some",
		"entity_registered": "all", "entity_unregistered": "all", "entity_renamed": "all", "device_registered": "all",
		"device_unregistered": "all", "area_registered": "all", "area_unregistered": "all",
		"command_issued": "nobody", "command_settled": "nobody", "system": "nobody", "history_removed": "nobody",
	}
	fields := (&eventv1.Payload{}).ProtoReflect().Descriptor().Oneofs().ByName("kind").Fields()
	for i := range fields.Len() {
		kind := string(fields.Get(i).Name())
		who, ok := decided[kind]
		if !ok || payloads[kind] == nil {
			t.Errorf("nobody has decided who may append %s", kind)
			continue
		}
		try := func(who, entity string) connect.Code {
			h := newHouse(t) // one for each, so that none has what another did
			appendEvents(t, h, entityEvent(&entityv1.Entity{Id: "light.a"}))
			r := serve(t, h, Options{})
			_, err := r.log(who).Append(t.Context(), &statehousev1.AppendRequest{
				Events: []*statehousev1.NewEvent{{EntityId: entity, Payload: proto.CloneOf(payloads[kind])}},
			})
			if err != nil {
				return connect.CodeOf(err)
			}
			return 0
		}
		refused := connect.CodePermissionDenied
		if who == "nobody" {
			refused = connect.CodeInvalidArgument
		}
		for _, entity := range []string{"light.a", ""} {
			want := refused
			if who == "some" && entity != "" {
				want = 0
			}
			if got := try("some", entity); got != want {
				t.Errorf("%s about %q with a token for it: %v, want %v", kind, entity, got, want)
			}
		}
		// Who may write everything may record it too, about what it is about.
		entity := "light.a"
		if strings.HasPrefix(kind, "device_") || strings.HasPrefix(kind, "area_") {
			entity = ""
		}
		for _, everywhere := range []string{"all", "owner"} {
			if got := try(everywhere, entity); (got == 0) != (who != "nobody") {
				t.Errorf("%s by %s: %v", kind, everywhere, got)
			}
		}
	}
}

// TestRequestsAreBounded: as they come, and as they are when they are decompressed; and nothing of it is read for nobody.
func TestRequestsAreBounded(t *testing.T) {
	r := serve(t, newHouse(t), Options{})
	post := func(who, procedure string, size int, compress bool) (int, string) {
		body := `{"entityId":"` + strings.Repeat("a", size) + `"}`
		if strings.HasSuffix(procedure, "Append") {
			body = `{"idempotencyKey":"` + strings.Repeat("a", size) + `"}`
		}
		var text bytes.Buffer
		if compress {
			z := gzip.NewWriter(&text)
			if _, err := io.WriteString(z, body); err != nil || z.Close() != nil {
				t.Fatal(err)
			}
			if text.Len() > size/50 {
				t.Fatalf("%d bytes are no bomb", text.Len())
			}
		} else {
			text.WriteString(body)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+procedure, &text)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if compress {
			req.Header.Set("Content-Encoding", "gzip")
		}
		res, err := r.h1(who).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		answer, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(answer)
	}
	for _, c := range []struct {
		procedure string
		size      int
		want      int
	}{
		{"/statehouse.v1.StateService/Get", 60 << 10, http.StatusBadRequest},
		{"/statehouse.v1.StateService/Get", 70 << 10, http.StatusTooManyRequests},
		{"/statehouse.v1.StateService/Get", 64 << 20, http.StatusTooManyRequests},
		{"/statehouse.v1.LogService/Append", 4 << 20, http.StatusBadRequest},
		{"/statehouse.v1.LogService/Append", 5 << 20, http.StatusTooManyRequests},
		{"/statehouse.v1.LogService/Append", 64 << 20, http.StatusTooManyRequests},
	} {
		for _, compress := range []bool{true, false} {
			if !compress && c.size > 8<<20 {
				continue // the server hangs up on it
			}
			if status, answer := post("all", c.procedure, c.size, compress); status != c.want {
				t.Errorf("%s of %d bytes, compressed %v: %d %.200s", c.procedure, c.size, compress, status, answer)
			}
		}
		if status, _ := post("", c.procedure, c.size, true); status != http.StatusUnauthorized {
			t.Errorf("%s of %d bytes by nobody: %d", c.procedure, c.size, status)
		}
	}
}

// TestPanics: one is an answer without its text, and the log has it.
func TestPanics(t *testing.T) {
	r := serve(t, nil, Options{House: func() *statehouse.House { panic(errors.New("a secret")) }})
	_, err := r.states("all").Get(t.Context(), &statehousev1.GetRequest{EntityId: "light.a"})
	wantCode(t, err, connect.CodeInternal, "internal")
	_, err = all(r.states("all").List(t.Context(), &statehousev1.StateServiceListRequest{}))
	wantCode(t, err, connect.CodeInternal, "internal")
	if strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// TestNoHouseYet: everything that needs one says so.
func TestNoHouseYet(t *testing.T) {
	r := serve(t, nil, Options{House: func() *statehouse.House { return nil }})
	for procedure, stream := range procedures() {
		if strings.Contains(procedure, "grpc.") || strings.HasSuffix(procedure, "Call") {
			continue
		}
		if answer := call(t, r, "owner", procedure, stream); !strings.Contains(answer, `"unavailable"`) || !strings.Contains(answer, "being read") {
			t.Errorf("%s: %q", procedure, answer)
		}
	}
}
