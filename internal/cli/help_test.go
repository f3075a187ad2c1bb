package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestEnvironmentVariables: the name of a flag's variable follows from the flag's, so that no two flags share one.
func TestEnvironmentVariables(t *testing.T) {
	a := &app{ctx: t.Context(), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	if err := a.run([]string{"version"}); err != nil {
		t.Fatal(err)
	}
	seen := 0
	_ = kong.Visit(a.model, func(node kong.Visitable, next kong.Next) error {
		if f, ok := node.(*kong.Flag); ok {
			for _, env := range f.Envs {
				seen++
				if want := "STATEHOUSE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")); env != want {
					t.Errorf("--%s is %s; it should be %s", f.Name, env, want)
				}
			}
		}
		return next(nil)
	})
	if seen < 20 {
		t.Errorf("only %d variables were seen", seen)
	}
}

// TestHelp: the help of every command is plain ASCII, whatever the formatter makes of quotes, and every command that does
// something has examples.
func TestHelp(t *testing.T) {
	a := &app{ctx: t.Context(), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	if err := a.run([]string{"version"}); err != nil {
		t.Fatal(err)
	}
	seen := 0
	_ = kong.Visit(a.model, func(node kong.Visitable, next kong.Next) error {
		n, ok := node.(*kong.Node)
		if !ok || n.Hidden {
			return next(nil)
		}
		seen++
		var out bytes.Buffer
		command := strings.TrimPrefix(n.Path(), "statehouse")
		if code := Run(t.Context(), append(strings.Fields(command), "--help"), nil, &out, &out); code != exitOK {
			t.Errorf("%s --help ends with %d", n.Path(), code)
		}
		for line := range strings.Lines(out.String()) {
			if strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
				t.Errorf("%s --help: %q", n.Path(), line)
			}
		}
		if n.Leaf() && !strings.Contains(out.String(), "Examples:\n\n    ") {
			t.Errorf("%s --help has no examples", n.Path())
		}
		return next(nil)
	})
	if seen < 20 {
		t.Errorf("only %d commands were seen", seen)
	}
}
