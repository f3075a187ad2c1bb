package cli

import (
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// terminal is what is known of where the output goes.
type terminal struct {
	// tty says that a person watches: lines may be redrawn.
	tty bool
	// colour says that colours are welcome.
	colour bool
	// width is the number of columns, 0 where lines may be as long as they are.
	width int
	fd    int
}

// terminalOf looks at an output.
func terminalOf(w io.Writer, getenv func(string) string) terminal {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return terminal{fd: -1}
	}
	t := terminal{tty: getenv("TERM") != "dumb", fd: int(f.Fd())}
	t.colour = t.tty && getenv("NO_COLOR") == ""
	t.width = 80
	if columns, err := strconv.Atoi(getenv("COLUMNS")); err == nil && columns > 0 {
		t.width = columns
	}
	if width, _, err := term.GetSize(t.fd); err == nil && width > 0 {
		t.width = width
	}
	return t
}

// size is the terminal's present size.
func (t terminal) size() (width, height int) {
	width, height, err := term.GetSize(t.fd)
	if err != nil || width <= 0 || height <= 0 {
		return max(t.width, 80), 24
	}
	return width, height
}

// style is how a piece of text looks where colours are welcome.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// paint gives text a style.
func (t terminal) paint(s style, text string) string {
	if !t.colour || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// clean makes text that came from a device or a file harmless for a terminal: what is not printable is shown as '·'.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		// Controls, and what turns the direction of the text around.
		case r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return '·'
		}
		return r
	}, strings.ToValidUTF8(text, "·"))
}

// textWidth is the number of columns that text takes.
func textWidth(text string) int { return uniseg.StringWidth(text) }

// cut shortens text to a number of columns, with an ellipsis.
func cut(text string, width int) string {
	if textWidth(text) <= width {
		return text
	}
	if width <= 1 {
		return strings.Repeat("…", max(width, 0))
	}
	var out strings.Builder
	used := 0
	for g := uniseg.NewGraphemes(text); g.Next(); {
		if used += g.Width(); used > width-1 {
			break
		}
		out.WriteString(g.Str())
	}
	return strings.TrimRight(out.String(), " ") + "…"
}
