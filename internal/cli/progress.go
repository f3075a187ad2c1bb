package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt/play"
)

// bar is a line that shows how far a recording has been played.
func bar(p play.Progress, rec recording, width int) string {
	done := 0.0
	if rec.lines > 0 {
		done = min(float64(p.Line)/float64(rec.lines), 1)
	}
	return drawBar(done, fmt.Sprintf("%s of %s messages  %s", count(p.Line), count(rec.lines), p.Elapsed.Round(time.Second)), width)
}

// drawBar is a line of a width that shows which part of something is done, and says something about it.
func drawBar(done float64, text string, width int) string {
	text = fmt.Sprintf(" %3.0f%%  %s", 100*done, text)
	room := min(40, width-textWidth(text)-1)
	if room < 5 {
		return cut(strings.TrimSpace(text), width)
	}
	full := int(done * float64(room))
	return strings.Repeat("█", full) + strings.Repeat("░", room-full) + text
}
