package rpc

import (
	"math/rand/v2"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/statehouse/statehouse/eventstore"
	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/gen/statehouse/v1/statehousev1connect"
)

// TestStatesOnlyDiffs: who keeps the states of a moment and applies a diff of states alone has those of the other moment.
func TestStatesOnlyDiffs(t *testing.T) {
	h := newHouse(t)
	r := serve(t, h, Options{})
	secret(t, h)
	rng := rand.New(rand.NewPCG(7, 8))
	appendRandom(t, h, rng, 120)
	c := statehousev1connect.NewTimelineServiceClient(r.h2("all"), r.url, connect.WithGRPC())
	list := func(at eventstore.Position) map[string]*statehousev1.State {
		parts, err := all(r.states("all").List(t.Context(), &statehousev1.StateServiceListRequest{At: position(at)}))
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]*statehousev1.State{}
		for _, part := range parts {
			for _, s := range part.GetStates() {
				states[s.GetEntityId()] = s
			}
		}
		return states
	}
	at := eventstore.Position(0)
	kept := list(at)
	for range 60 {
		next := eventstore.Position(rng.Uint64N(uint64(h.Now().Position()) + 1))
		diffs, err := all(c.Diff(t.Context(), &statehousev1.DiffRequest{From: position(at), To: position(next), StatesOnly: true}))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range diffs {
			for _, change := range part.GetChanges() {
				delete(kept, change.GetBefore().GetState().GetEntityId())
			}
		}
		for _, part := range diffs {
			for _, change := range part.GetChanges() {
				after := change.GetAfter()
				if after.GetEntry() != nil || change.GetBefore().GetEntry() != nil || change.GetBefore().GetState().GetAttributes() != nil {
					t.Fatalf("more than states: %v", change)
				}
				if s := after.GetState(); s != nil && s.GetPosition() != 0 && !after.GetDisabled() {
					kept[s.GetEntityId()] = s
				}
			}
		}
		if diff := cmp.Diff(list(next), kept, protocmp.Transform()); diff != "" {
			t.Fatalf("from @%d to @%d (-listed +kept):\n%s", at, next, diff)
		}
		at = next
	}
}
