package rpc

import (
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
)

// TestTheFirstTimeIsATime: the first second that a timestamp can have, which is Go's zero time, is one that was given: before
// everything, and nothing that an event can have happened at.
func TestTheFirstTimeIsATime(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	appendEvents(t, h, lightEvent("light.a", 1))
	first := timestamppb.New(time.Time{})
	read := func(q *statehousev1.Query) (n int) {
		messages, err := all(r.log("all").Read(t.Context(), &statehousev1.ReadRequest{Query: q}))
		if err != nil {
			t.Error(err)
		}
		for _, m := range messages {
			n += len(m.GetEvents())
		}
		return n
	}
	if n := read(&statehousev1.Query{Before: first}); n != 0 {
		t.Errorf("%d events before the first time", n)
	}
	if n := read(&statehousev1.Query{Since: first}); n != 1 {
		t.Errorf("%d events since the first time", n)
	}
	for _, at := range []*timestamppb.Timestamp{first, timestamppb.New(time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC))} {
		_, err := r.log("all").Append(t.Context(), &statehousev1.AppendRequest{
			Events: []*statehousev1.NewEvent{{EntityId: "light.a", Payload: light(2), Timestamp: at}},
		})
		wantCode(t, err, connect.CodeInvalidArgument, "invalid")
	}
	st, err := r.states("all").List(t.Context(), &statehousev1.StateServiceListRequest{
		At: &statehousev1.At{Moment: &statehousev1.At_Time{Time: first}},
	})
	if messages, err := all(st, err); err != nil || len(messages) != 1 || messages[0].GetAsOf().GetPosition() != 0 {
		t.Error(messages, err)
	}
}
