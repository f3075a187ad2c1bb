package hass

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/eventstore"
)

// A context's id leads back to its event, and ids sort as the log does.
func TestContextIDRoundTrip(t *testing.T) {
	id := rapid.Custom(func(t *rapid.T) contextID {
		return contextID{
			millis:   rapid.Uint64Range(0, 1<<48-1).Draw(t, "millis"),
			position: eventstore.Position(rapid.Uint64Range(0, uint64(eventstore.MaxPosition)).Draw(t, "position")),
			database: rapid.Uint16().Draw(t, "database"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := id.Draw(t, "a"), id.Draw(t, "b")
		text := a.String()
		if back, ok := parseContextID(text); !ok || back != a {
			t.Fatalf("%v is %s, which is %v, %v", a, text, back, ok)
		}
		if len(text) != 26 || strings.Trim(text, crockford) != "" {
			t.Fatalf("%q is no ULID", text)
		}
		if a.millis < b.millis && text >= b.String() || a.millis == b.millis && a.position < b.position && text >= b.String() {
			t.Fatalf("%v is not before %v: %s, %s", a, b, text, b)
		}
	})
}

func TestContextIDsOfOthers(t *testing.T) {
	for _, text := range []string{
		"", "01J0000000000000000000021", "01J000000000000000000002190", "81J00000000000000000000219",
		"01j00000000000000000000219", "01J0000000000000000000021U", "01J0000000000000000000021é",
	} {
		if id, ok := parseContextID(text); ok {
			t.Errorf("%q is %v", text, id)
		}
	}
	// The definition, by hand: a ULID's time is its first ten digits, each five bits.
	if text := (contextID{millis: 1, position: 1, database: 1}).String(); text != "00000000010000000000002001" {
		t.Errorf("got %s", text)
	}
}

func FuzzContextID(f *testing.F) {
	f.Add("01J00000000000000000000219")
	f.Fuzz(func(t *testing.T, text string) {
		if id, ok := parseContextID(text); ok && id.String() != text {
			t.Errorf("%q is read as %v, which is %s", text, id, id)
		}
	})
}
