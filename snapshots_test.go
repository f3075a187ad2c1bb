package statehouse_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/check"
	"github.com/statehouse/statehouse/storage"
)

// What is wrong with snapshots is said of each, where that takes no reading at once, and else when they are verified.
func TestSnapshotsAreListedAndVerified(t *testing.T) {
	path := tempDB(t)
	h := openHouse(t, path, statehouse.Options{})
	for i := range 5 {
		mustAppend(t, h, check.SensorEvent("sensor.a", float64(i)))
		if err := h.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := storage.Open(t.Context(), path, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`UPDATE snapshot_parts SET body = zeroblob(length(body)) WHERE owner = 'state' AND position = 1`,
		`DELETE FROM snapshot_parts WHERE owner = 'state' AND position = 2`,
		`UPDATE snapshots SET fold_version = 77 WHERE owner = 'registry' AND position = 3`,
		`UPDATE snapshots SET chain = zeroblob(32) WHERE owner = 'registry' AND position = 4`,
		`UPDATE snapshots SET owner = 'stranger' WHERE owner = 'registry' AND position = 2`,
	} {
		if _, err := db.Writer().Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if h, err = statehouse.OpenContext(t.Context(), path, statehouse.Options{}); err != nil { // not checked: it is damaged
		t.Fatal(err)
	}
	defer func() { _ = h.Close() }()
	all, err := h.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, listed := range all {
		verified, err := h.VerifySnapshot(t.Context(), listed.Owner, listed.Position)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %d %v %v", listed.Owner, listed.Position, fault(listed), fault(verified)))
		// Of the registry there is nothing to save.
		if empty := listed.Owner == "state" && listed.Position == 2 || listed.Owner != "state"; (listed.Bytes == 0) != empty {
			t.Errorf("%+v", listed)
		}
	}
	want := `registry 1 good good
registry 3 unusable unusable
registry 4 damaged damaged
registry 5 good good
state 1 good damaged
state 2 damaged damaged
state 3 good good
state 4 good good
state 5 good good
stranger 2 unusable unusable`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if _, err := h.VerifySnapshot(t.Context(), "state", 9); !errors.Is(err, statehouse.ErrNotFound) {
		t.Errorf("a snapshot that is not there: %v", err)
	}
}

func fault(s eventstore.SnapshotInfo) string {
	switch {
	case s.Damaged:
		return "damaged"
	case s.Fault != nil:
		return "unusable"
	}
	return "good"
}
