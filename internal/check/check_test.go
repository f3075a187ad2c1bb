package check_test

import (
	"path/filepath"
	"testing"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
)

// The check of a house that is as it should be finds nothing; the check of one against events that are not its own finds
// each difference.
func TestReadsSayWhatIsWrong(t *testing.T) {
	h, err := statehouse.Open(filepath.Join(t.TempDir(), "home.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	if err := check.House(t.Context(), h); err != nil {
		t.Errorf("an empty house: %v", err)
	}
	for i := range 30 {
		if _, err := h.Append(t.Context(), check.SensorEvent([]string{"sensor.a", "sensor.b"}[i%2], float64(i)), check.ReportEvent("sensor.a")); err != nil {
			t.Fatal(err)
		}
	}
	if err := check.House(t.Context(), h); err != nil {
		t.Errorf("a house: %v", err)
	}
	var events []eventstore.Event
	for e, err := range h.Read(t.Context(), eventstore.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	for name, change := range map[string]func([]eventstore.Event) []eventstore.Event{
		"another entity":  func(all []eventstore.Event) []eventstore.Event { all[7].Entity = "sensor.b"; return all },
		"another kind":    func(all []eventstore.Event) []eventstore.Event { all[7].Kind = eventstore.KindSystem; return all },
		"one more event":  func(all []eventstore.Event) []eventstore.Event { e := all[7]; e.Position = 61; return append(all, e) },
		"a repeated one":  func(all []eventstore.Event) []eventstore.Event { all[8] = all[7]; return all },
		"an unknown kind": func(all []eventstore.Event) []eventstore.Event { all[7].Kind = "acme.none"; return all },
	} {
		changed := change(append([]eventstore.Event(nil), events...))
		if err := check.Reads(t.Context(), h.Store(), changed); err == nil {
			t.Errorf("%s is not found", name)
		}
	}
}
