package statehouse_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/statehouse/statehouse"

// layers are the packages of the module from the bottom up. A package may import only from layers below its own: what
// an embedding program uses knows nothing of the daemon, the log knows nothing of states, the map knows nothing at
// all. A new package is added here, and its place is a decision.
var layers = [][]string{
	{"gen/statehouse/entity/v1", "immutable", "internal/defect", "internal/faults", "internal/mqtt", "internal/regex", "internal/web"},
	{"storage", "gen/statehouse/event/v1", "internal/faults/trace", "internal/mqtt/client"},
	{"eventstore", "gen/statehouse/v1", "internal/access", "internal/faults/disk", "internal/faults/load", "internal/mqtt/broker", "internal/mqtt/play"},
	{"state", "registry"},
	{"timeline", "internal/command", "internal/filter", "internal/template"},
	{"."},
	{"gen/statehouse/v1/statehousev1connect", "internal/api", "internal/check", "internal/walk", "internal/mqtt/dialect"},
	{"internal/dispatch", "internal/mqtt/dialect/dialecttest", "internal/mqtt/discovery", "internal/mqtt/zigbee2mqtt"},
	{"client", "internal/dispatch/dispatchtest", "internal/hass", "internal/mqtt/native", "internal/rpc"},
	{"internal/server", "internal/faults/clients", "internal/faults/fuzzing", "internal/faults/kills", "internal/faults/defects", "internal/faults/powercut", "internal/faults/rot"},
	{"internal/daemon", "internal/faults/linear", "internal/faults/powercut/embedded", "internal/faults/diskerror"},
	{"internal/acceptance", "internal/cli", "internal/faults/soak"},
	{"cmd/statehouse"},
}

func TestImportDirection(t *testing.T) {
	layer := map[string]int{}
	for i, packages := range layers {
		for _, p := range packages {
			layer[p] = i
		}
	}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() && file != "." && isModule(file):
			return fs.SkipDir
		case !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		from := path.Dir(filepath.ToSlash(file))
		mine, ok := layer[from]
		if !ok {
			t.Errorf("package %s has no place in layers", from)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			to, _ := strconv.Unquote(spec.Path.Value)
			to, ours := strings.CutPrefix(to+"/", module+"/")
			if to = strings.TrimSuffix(to, "/"); !ours {
				continue
			}
			if to == "" {
				to = "."
			}
			if theirs, ok := layer[to]; !ok || theirs >= mine {
				t.Errorf("%s imports %s, which is not below %s", file, to, from)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// isModule says whether a directory is a module of its own.
func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// The public packages, which other programs embed, must not pull in what only the daemon needs.
func TestPublicPackagesStayLean(t *testing.T) {
	daemonOnly := []string{"mochi-mqtt", "eclipse/paho", "alecthomas/kong", "prometheus/", "net/http"}
	for _, packages := range layers[:6] {
		for _, dir := range packages {
			if strings.HasPrefix(dir, "internal/") {
				continue
			}
			files, err := filepath.Glob(filepath.Join(dir, "*.go"))
			if err != nil || len(files) == 0 {
				t.Errorf("%s: no files, %v", dir, err)
			}
			for _, file := range files {
				if strings.HasSuffix(file, "_test.go") {
					continue
				}
				f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
				if err != nil {
					t.Fatal(err)
				}
				for _, spec := range f.Imports {
					for _, banned := range daemonOnly {
						if strings.Contains(spec.Path.Value, banned) {
							t.Errorf("%s imports %s, which only the daemon needs", file, spec.Path.Value)
						}
					}
				}
			}
		}
	}
}
