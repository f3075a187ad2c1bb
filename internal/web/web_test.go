package web

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// maxScripts is how large all scripts may be together, compressed.
const maxScripts = 60_000

// TestFiles: everything that was built is served under its own path, with a type that is known, but for what is for tests.
func TestFiles(t *testing.T) {
	scripts := 0
	var served []string
	err := fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		at := strings.TrimPrefix(name, "dist")
		if err != nil || d.IsDir() || at == "/"+sources {
			return err
		}
		if at == "/"+index {
			at = "/"
		}
		served = append(served, at)
		if at != "/" && at != "/favicon.svg" && path.Dir(at) != "/assets" {
			t.Errorf("%s is below no route of the server", at)
		}
		body, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		f := Lookup(at)
		if f == nil || !bytes.Equal(f.Body(), body) || f.Tag == "" || f.Immutable != (path.Dir(at) == "/assets") || types[path.Ext(name)] != f.Type {
			t.Errorf("%s: %+v", at, f)
			return nil
		}
		if f.Immutable && !regexp.MustCompile(`-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$`).MatchString(at) {
			t.Errorf("%s may be kept for ever, and has no hash in its name", at)
		}
		small := f.Gzip()
		if small != nil {
			if got := inflate(t, small); !bytes.Equal(got, body) || len(small) >= len(body) {
				t.Errorf("%s is %d bytes when it is compressed, and %d after that", at, len(small), len(got))
			}
		}
		if path.Ext(name) == ".js" {
			if scripts += len(small); small == nil {
				scripts += len(body)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(served)
	if diff := cmp.Diff(served, Paths()); diff != "" {
		t.Error(diff)
	}
	if scripts >= maxScripts {
		t.Errorf("the scripts have %d bytes when they are compressed, and may have %d", scripts, maxScripts)
	}
	for _, at := range []string{"", "index.html", "/index.html", "/sources.txt", "/assets", "/assets/", "//", "/../web.go", "/dist/index.html"} {
		if Lookup(at) != nil {
			t.Errorf("there is a file at %q", at)
		}
	}
}

func inflate(t *testing.T, small []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestLoad: whatever the build makes, each file has its type, and is compressed where that is of use.
func TestLoad(t *testing.T) {
	text := bytes.Repeat([]byte("let x = 1;\n"), 100)
	all, err := load(fstest.MapFS{
		"dist/index.html": {Data: text}, "dist/sources.txt": {Data: text}, "dist/favicon.svg": {Data: []byte("<svg/>")},
		"dist/assets/a-12345678.js": {Data: text}, "dist/assets/b-12345678.css": {Data: text}, "dist/assets/c-12345678.woff2": {Data: text},
		"dist/assets/d-12345678.wasm": {Data: text}, "dist/assets/.keep": {},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for at, f := range all {
		got[at] = fmt.Sprintf("%s %v %v", f.Type, f.Immutable, f.Gzip() != nil)
	}
	want := map[string]string{
		"/": "text/html; charset=utf-8 false true", "/favicon.svg": "image/svg+xml false false",
		"/assets/a-12345678.js": "text/javascript; charset=utf-8 true true", "/assets/b-12345678.css": "text/css; charset=utf-8 true true",
		"/assets/c-12345678.woff2": "font/woff2 true false", "/assets/d-12345678.wasm": "application/octet-stream true true",
		"/assets/.keep": "application/octet-stream true false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if all["/"].Tag == all["/favicon.svg"].Tag || all["/"].Tag != all["/assets/a-12345678.js"].Tag {
		t.Error("tags do not stand for contents")
	}
	if _, err := load(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// problems are what is wrong with a page: with what it refers to, and with what its policy forbids.
func problems(html string, exists func(at string) bool) (found []string) {
	html = regexp.MustCompile(`(?s)<!--.*?-->`).ReplaceAllString(html, "")
	for _, tag := range regexp.MustCompile(`(?is)<([a-z][a-z0-9]*)((?:[^>"']|"[^"]*"|'[^']*')*)>`).FindAllStringSubmatch(html, -1) {
		name, attributes := strings.ToLower(tag[1]), map[string]string{}
		for _, a := range regexp.MustCompile(`([^\s"'=/>]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"']+))?`).FindAllStringSubmatch(tag[2], -1) {
			attributes[strings.ToLower(a[1])] = strings.Trim(a[2], `"'`)
		}
		if _, ok := attributes["src"]; name == "script" && !ok {
			found = append(found, "an inline script")
		}
		if slices.Contains([]string{"style", "base", "form", "iframe", "object", "embed", "meta"}, name) && (name != "meta" || attributes["http-equiv"] != "") {
			found = append(found, "a "+name)
		}
		for a, value := range attributes {
			switch {
			case a == "style" || strings.HasPrefix(a, "on"):
				found = append(found, "an inline "+a)
			case a == "src" || a == "href" || a == "srcset" || a == "action" || a == "data" || a == "poster":
				if at := path.Join("/", value); strings.Contains(value, ":") || strings.HasPrefix(value, "//") || !exists(at) {
					found = append(found, "it refers to "+value)
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// TestPageNeedsNothingElse: the page refers to files that there are and to no other host, and has neither scripts nor styles in it.
func TestPageNeedsNothingElse(t *testing.T) {
	html := string(Lookup("/").Body())
	if found := problems(html, func(at string) bool { return at != "/" && Lookup(at) != nil }); len(found) > 0 {
		t.Errorf("the page has %q", found)
	}
	if !strings.HasPrefix(strings.ToLower(html), "<!doctype html>") || !strings.Contains(html, `lang="`) || !strings.Contains(html, "<title>") {
		t.Errorf("the page begins with %.200q", html)
	}
	const made = `<!doctype html><!-- <script>x</script> --><link href="./assets/a.css"><script type=module src="/assets/a.js" crossorigin></script>
		<script>evil()</script><style>p{}</style><p STYLE='x' OnClick="y"><img src="https://evil.example/x.png"><a href=//evil.example><a href="./none.js">
		<base href="/assets/a.js"><meta http-equiv="refresh" content="0"><meta charset="utf-8">`
	want := []string{
		"a base", "a meta", "a style", "an inline onclick", "an inline script", "an inline style",
		"it refers to ./none.js", "it refers to //evil.example", "it refers to https://evil.example/x.png",
	}
	got := problems(made, func(at string) bool { return at == "/assets/a.js" || at == "/assets/a.css" })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
