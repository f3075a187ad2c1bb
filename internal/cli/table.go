package cli

import (
	"io"
	"slices"
	"strings"
)

// cell is one field of a table.
type cell struct {
	text  string
	style style
}

// column is a heading and what may be done to the fields below it.
type column struct {
	title string
	// right aligns to the right, as numbers are.
	right bool
	// shrink allows to shorten fields where the line is longer than the terminal is wide.
	shrink bool
	// sparse leaves the column out where all its fields are empty.
	sparse bool
}

// table is aligned text for people.
type table struct {
	columns []column
	rows    [][]cell
}

const (
	columnGap = "  "
	// leastColumn is what a shortened column keeps.
	leastColumn = 8
)

func (t *table) add(cells ...cell) {
	for i := range cells {
		cells[i].text = clean(cells[i].text)
	}
	t.rows = append(t.rows, cells)
}

// lines are the table's lines as they fit a terminal, the headings first.
func (t *table) lines(to terminal) []string {
	t.dropEmpty()
	widths := t.widths(to.width)
	head := make([]cell, len(t.columns))
	for i, c := range t.columns {
		head[i] = cell{c.title, dim}
	}
	lines := []string{t.line(to, widths, head)}
	for _, row := range t.rows {
		lines = append(lines, t.line(to, widths, row))
	}
	return lines
}

// dropEmpty takes out the sparse columns without a field.
func (t *table) dropEmpty() {
	for i := len(t.columns) - 1; i >= 0; i-- {
		empty := t.columns[i].sparse && !slices.ContainsFunc(t.rows, func(row []cell) bool { return row[i].text != "" })
		if !empty {
			continue
		}
		t.columns = slices.Delete(t.columns, i, i+1)
		for r := range t.rows {
			t.rows[r] = slices.Delete(t.rows[r], i, i+1)
		}
	}
}

// write prints the table.
func (t *table) write(w io.Writer, to terminal) error {
	_, err := io.WriteString(w, strings.Join(t.lines(to), "\n")+"\n")
	return err
}

// widths are the columns' widths: what the fields need, less what does not fit, taken from the widest column that
// may be shortened.
func (t *table) widths(limit int) []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = textWidth(c.title)
		for _, row := range t.rows {
			widths[i] = max(widths[i], textWidth(row[i].text))
		}
	}
	if limit <= 0 {
		return widths
	}
	for {
		sum, widest := len(columnGap)*(len(widths)-1), -1
		for i, w := range widths {
			sum += w
			if t.columns[i].shrink && w > leastColumn && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if sum <= limit || widest < 0 {
			return widths
		}
		widths[widest]--
	}
}

func (t *table) line(to terminal, widths []int, row []cell) string {
	var out strings.Builder
	for i, c := range row {
		text := cut(c.text, widths[i])
		pad := strings.Repeat(" ", widths[i]-textWidth(text))
		if t.columns[i].right {
			out.WriteString(pad)
		}
		out.WriteString(to.paint(c.style, text))
		if i == len(row)-1 {
			break
		}
		if !t.columns[i].right {
			out.WriteString(pad)
		}
		out.WriteString(columnGap)
	}
	return strings.TrimRight(out.String(), " ")
}
