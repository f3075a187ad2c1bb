package api_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/check"
)

// An answer to why has a bounded number of states, however long the chain is and whatever it wants to see; where that ends it, next
// goes on, and in the end every link was there once.
func TestWhyIsBounded(t *testing.T) {
	h, err := statehouse.Open(filepath.Join(t.TempDir(), "home.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	const links = 250
	name := func(i int) string { return fmt.Sprintf("sensor.s%d", i) }
	var names []string
	var chain []eventstore.Event
	for i := range links {
		if i < api.MaxSaw {
			names = append(names, name(i))
		}
		chain = append(chain, check.SensorEvent(name(i), 0))
	}
	if _, err := h.Append(t.Context(), chain...); err != nil {
		t.Fatal(err)
	}
	for i := range links {
		e := check.SensorEvent(name(i), 1)
		if i > 0 {
			e.CausePosition = eventstore.Position(links + i)
		}
		if _, err := h.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	last := h.Now().Position()
	for what, test := range map[string]struct {
		q       api.WhyQuery
		answers int
	}{
		"nothing":              {api.WhyQuery{}, 1},
		"one":                  {api.WhyQuery{Saw: names[:1]}, 1},
		"as many as there may": {api.WhyQuery{Saw: names}, 3},
		"those of the chain":   {api.WhyQuery{SawChain: true}, 3},
		"both":                 {api.WhyQuery{Saw: names[:50], SawChain: true}, 4},
	} {
		seen, answers := 0, 0
		for at := last; at != 0; answers++ {
			test.q.At = api.AtPosition(at)
			w, err := api.NewWhy(t.Context(), h, test.q)
			if err != nil {
				t.Fatal(err)
			}
			states := 0
			for i, l := range w.Links {
				states += len(l.Saw)
				if want := last - eventstore.Position(seen+i); l.Event.Position != want {
					t.Fatalf("%s: link %d is %d, want %d", what, seen+i, l.Event.Position, want)
				}
			}
			if seen += len(w.Links); states > api.MaxSawStates || len(w.Links) == 0 {
				t.Errorf("%s: %d links with %d states", what, len(w.Links), states)
			}
			at = w.Next
		}
		if seen != links || answers != test.answers {
			t.Errorf("%s: %d links in %d answers, want %d", what, seen, answers, test.answers)
		}
	}
	_, err = api.NewWhy(t.Context(), h, api.WhyQuery{At: api.AtPosition(last), Saw: append(names, name(links-1))})
	if !errors.Is(err, eventstore.ErrInvalid) {
		t.Errorf("more than there may be: %v", err)
	}
}
