package web

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// roots are what the page is built from, of the directory web. web/scripts/sources.mjs has the same ones.
var roots = []string{"index.html", "package-lock.json", "package.json", "public", "scripts", "src", "tsconfig.json", "vite.config.ts"}

// sourcesOf is what sources.txt has to say of a directory: the SHA-256 and the path of each file, sorted by the bytes of the paths.
func sourcesOf(dir string) (string, error) {
	sums := map[string]string{}
	for _, root := range roots {
		err := filepath.WalkDir(filepath.Join(dir, root), func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case strings.HasPrefix(d.Name(), ".") && d.IsDir():
				return fs.SkipDir
			case strings.HasPrefix(d.Name(), ".") || d.IsDir():
				return nil
			}
			body, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			at, err := filepath.Rel(dir, name)
			sums[filepath.ToSlash(at)] = fmt.Sprintf("%x", sha256.Sum256(body))
			return err
		})
		if err != nil {
			return "", err
		}
	}
	var list strings.Builder
	for _, at := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&list, "%s  %s\n", sums[at], at)
	}
	return list.String(), nil
}

// TestSources: what is served was built from what is in the repository.
func TestSources(t *testing.T) {
	want, err := sourcesOf("../../web") // a part of the module, also where that is downloaded
	if err != nil {
		t.Fatal(err)
	}
	got, err := fs.ReadFile(dist, "dist/"+sources)
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); err != nil || diff != "" {
		t.Errorf("web/ changed and was not rebuilt: make web\n%v\n%s", err, diff)
	}
}

// TestRoots: the script that writes the list has the same roots.
func TestRoots(t *testing.T) {
	script, err := os.ReadFile("../../web/scripts/sources.mjs")
	if want := fmt.Sprintf("const roots = [%s];", `"`+strings.Join(roots, `", "`)+`"`); err != nil || !strings.Contains(string(script), want) {
		t.Errorf("web/scripts/sources.mjs does not have %s: %v", want, err)
	}
}

// TestSourcesOf: the list is the one that a person would write, and has every file.
func TestSourcesOf(t *testing.T) {
	dir := t.TempDir()
	for _, root := range roots {
		name := filepath.Join(dir, root)
		if path.Ext(root) == "" {
			name = filepath.Join(name, "Z.ts")
		}
		write(t, name, "x\r\n")
	}
	write(t, filepath.Join(dir, "src", ".hidden"), "x")
	write(t, filepath.Join(dir, "src", ".git", "x"), "x")
	write(t, filepath.Join(dir, "src", "a", "é.ts"), "")
	write(t, filepath.Join(dir, "src", "a.ts"), "abc")
	write(t, filepath.Join(dir, "test", "x.ts"), "")
	const x, empty, abc = "b35e09fa2ced9ebcad9d16336fb961146fe34bfbebc562679da85f8a314c9dca", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	want := []string{
		x + "  index.html", x + "  package-lock.json", x + "  package.json", x + "  public/Z.ts", x + "  scripts/Z.ts", x + "  src/Z.ts",
		abc + "  src/a.ts", empty + "  src/a/é.ts", x + "  tsconfig.json", x + "  vite.config.ts", "",
	}
	got, err := sourcesOf(dir)
	if diff := cmp.Diff(want, strings.Split(got, "\n")); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if err := os.Remove(filepath.Join(dir, "package.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := sourcesOf(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
