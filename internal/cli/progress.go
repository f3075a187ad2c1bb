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
	text := fmt.Sprintf(" %3.0f%%  %s of %s messages  %s", 100*done, count(p.Line), count(rec.lines),
		p.Elapsed.Round(time.Second))
	room := min(40, width-textWidth(text)-1)
	if room < 5 {
		return cut(strings.TrimSpace(text), width)
	}
	full := int(done * float64(room))
	return strings.Repeat("█", full) + strings.Repeat("░", room-full) + text
}
