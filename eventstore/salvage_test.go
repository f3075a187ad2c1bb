package eventstore

import (
	"testing"

	"pgregory.net/rapid"
)

// A span has lost an event exactly if one of its positions is in a gap or behind the end; an empty one has none to lose.
func TestIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Salvaged{Last: Position(rapid.IntRange(0, 30).Draw(t, "last"))}
		lost := map[Position]bool{}
		for at := Position(1); ; {
			at += Position(rapid.IntRange(0, 6).Draw(t, "saved"))
			f := Finding{First: at, Last: at + Position(rapid.IntRange(0, 4).Draw(t, "lost"))}
			if f.First > s.Last {
				break
			}
			s.Lost = append(s.Lost, f)
			for at = f.First; at <= f.Last; at++ {
				lost[at] = true
			}
		}
		var span Span
		if n := rapid.IntRange(0, 8).Draw(t, "events"); n > 0 {
			span.First = Position(rapid.IntRange(1, 40).Draw(t, "first"))
			span.Last = span.First + Position(n) - 1
		}
		want := false
		for at := span.First; at <= span.Last && at > 0; at++ {
			want = want || lost[at] || at > s.Last
		}
		if got := s.isLost(span); got != want {
			t.Errorf("%v: %t, want %t", span, got, want)
		}
	})
}
