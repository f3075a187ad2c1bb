package cli

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/statehouse/statehouse"
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

// fullDisk takes nothing.
type fullDisk struct{ err error }

func (f fullDisk) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "out", Err: f.err}
}

// TestHelpIsNotRead: it is no mistake on the command line that the help cannot be printed, and none at all if nobody reads it.
func TestHelpIsNotRead(t *testing.T) {
	for err, want := range map[error]int{syscall.EPIPE: exitOK, syscall.ENOSPC: exitFailure} {
		var stderr bytes.Buffer
		if code := Run(t.Context(), []string{"list", "--help"}, nil, fullDisk{err}, &stderr); code != want {
			t.Errorf("%v: it ends with %d, %s", err, code, stderr.String())
		}
	}
}

// TestATokenThatNobodyReads: a secret that cannot be printed is lost, which is an error also where nobody reads what is printed.
func TestATokenThatNobodyReads(t *testing.T) {
	db := filepath.Join(t.TempDir(), "home.db")
	house, err := statehouse.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	if err := house.Close(); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"table", "json"} {
		var stderr bytes.Buffer
		args := []string{"token", "create", format, "--scope", "read", "--db", db, "-o", format}
		if code := Run(t.Context(), args, nil, fullDisk{syscall.EPIPE}, &stderr); code != exitFailure || !strings.Contains(stderr.String(), "rotate") {
			t.Errorf("%s: it ends with %d, %s", format, code, stderr.String())
		}
	}
}

// TestExitCodes: the documentation has the codes of the help.
func TestExitCodes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`(?m)^ +(\d+)  `).FindAllStringSubmatch(exitTable, -1)
	for _, code := range codes {
		if !strings.Contains(string(text), "\n| "+code[1]+" | ") {
			t.Errorf("docs/configuration.md has no exit code %s", code[1])
		}
	}
	if len(codes) < 9 {
		t.Errorf("only %d codes were seen", len(codes))
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
