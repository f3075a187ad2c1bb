package template

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"
	_ "time/tzdata" // Europe/Berlin, wherever the test runs
)

// testEnv is the clock and the time zone of testdata/templates.py.
func testEnv(t testing.TB) *Env {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return &Env{Now: func() time.Time { return time.Date(2024, 5, 17, 12, 34, 56, 789e6, time.UTC) }, Location: zone}
}

type goldenRow struct {
	Template string
	Payload  *string
	Vars     map[string]json.RawMessage
	Out      *string
	Error    string
}

func goldenRows(t testing.TB) []goldenRow {
	t.Helper()
	f, err := os.Open("testdata/golden.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var rows []goldenRow
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var row goldenRow
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if len(rows) < 300 {
		t.Fatalf("only %d golden rows", len(rows))
	}
	return rows
}

// vars are the variables of a row. They pass through a payload, which keeps 1 and 1.0 apart.
func (row goldenRow) vars(t testing.TB) map[string]any {
	t.Helper()
	vars := map[string]any{}
	for name, raw := range row.Vars {
		v, err := NewPayload(raw).JSON()
		if err != nil {
			t.Fatal(err)
		}
		vars[name] = v
	}
	return vars
}

// What Python's Jinja says, this package says.
func TestGolden(t *testing.T) {
	env := testEnv(t)
	for _, row := range goldenRows(t) {
		compiled, err := Compile(row.Template)
		var out string
		if err == nil && row.Payload != nil {
			out, err = compiled.RenderIn(env, NewPayload([]byte(*row.Payload)), row.vars(t))
		} else if err == nil {
			out, err = compiled.RenderCommandIn(env, row.vars(t))
		}
		want := map[string]error{"syntax": ErrSyntax, "failed": ErrFailed, "undefined": ErrUndefined}[row.Error]
		switch {
		case row.Error != "" && !errors.Is(err, want), row.Error == "failed" && errors.Is(err, ErrUndefined):
			t.Errorf("%s\n over %v\n  got %q, %v\n want error %q", row.Template, row.payload(), out, err, row.Error)
		case row.Error == "" && (err != nil || out != *row.Out):
			t.Errorf("%s\n over %v\n  got %q, %v\n want %q", row.Template, row.payload(), out, err, *row.Out)
		}
	}
}

func (row goldenRow) payload() string {
	if row.Payload == nil {
		return "no payload"
	}
	return clip(*row.Payload, 40)
}
