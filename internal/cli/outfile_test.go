package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestWriteFile: a regular file is replaced whole or stays, with its mode; links stay links.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	a := &app{ctx: t.Context(), stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	say := func(text string) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}
	}
	file, link, dangling := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "dangling")
	if err := os.WriteFile(file, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{link: "file", dangling: "new", filepath.Join(dir, "loop"): "loop"} {
		if err := os.Symlink(to, from); err != nil {
			t.Skipf("no links here: %v", err)
		}
	}
	halfway := errors.New("halfway")
	if err := a.writeFile(link, func(w io.Writer) error { return errors.Join(say("half")(w), halfway) }); !errors.Is(err, halfway) {
		t.Errorf("the error of the writing is %v", err)
	}
	check := func(path, want string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s has %q instead of %q, %v", path, got, want, err)
		}
	}
	check(file, "old")
	if err := errors.Join(a.writeFile(link, say("new")), a.writeFile(dangling, say("more"))); err != nil {
		t.Fatal(err)
	}
	check(file, "new")
	check(filepath.Join(dir, "new"), "more")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	for _, l := range []string{link, dangling} {
		if _, err := os.Readlink(l); err != nil {
			t.Errorf("it is a link no more: %v", err)
		}
	}
	for path, what := range map[string]string{dir: "a directory", filepath.Join(dir, "loop"): "a loop", filepath.Join(dir, "no", "where"): "nowhere"} {
		if err := a.writeFile(path, say("x")); err == nil {
			t.Errorf("%s is written to", what)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*.partial")); len(names) > 0 {
		t.Errorf("there is still %v", names)
	}
}
