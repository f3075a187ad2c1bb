// Package web has the files of the page that shows a house in a browser. They are built from the directory web of the
// repository, are committed as they are built, and are part of the program, so that building it needs Go alone.
//
// The page is /; all else that an address says is in its query. What it shows it asks for over the typed interface, with a
// token: no file has a secret in it, and everybody may have all of them. Files below /assets/ have a hash of their contents in
// their names and never change.
//
// The tests say what else is true of the files, whatever their names are: that the page needs nothing that is not here,
// nothing of another host and no policy that allows more than [Policy], and that they are what the sources make.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"
)

//go:embed all:dist
var dist embed.FS

// Policy is the content security policy of the page: what is its own, and nothing else. A picture may be in the text.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// index is the name of the page itself, and sources that of the list of what it was built from, which is not served.
const (
	index   = "index.html"
	sources = "sources.txt"
)

// types are the content types by the ends of names. Those of the machine, as package mime reads them, may be anything.
var types = map[string]string{
	".css":   "text/css; charset=utf-8",
	".html":  "text/html; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".png":   "image/png",
	".svg":   "image/svg+xml",
	".woff2": "font/woff2",
}

// compressed are the ends of the names of what is compressed already.
var compressed = []string{".png", ".woff2"}

// File is a file of the page. It does not change, and neither may what it returns be changed.
type File struct {
	// Type is its content type.
	Type string
	// Tag stands for its contents.
	Tag string
	// Immutable says that its name does, too.
	Immutable bool

	body []byte
	gzip func() []byte
}

// Body is what it holds.
func (f *File) Body() []byte { return f.body }

// Gzip is what it holds, compressed; nil where that is of no use.
func (f *File) Gzip() []byte { return f.gzip() }

// files are those of the page by their paths.
var files = sync.OnceValues(func() (map[string]*File, error) { return load(dist) })

// Lookup is the file at a path, as / or /assets/page.js, nil where there is none.
func Lookup(path string) *File {
	all, err := files()
	if err != nil { // no file that is part of the program can fail to be read
		return nil
	}
	return all[path]
}

// Paths are those at which there are files, sorted.
func Paths() []string {
	all, _ := files()
	return slices.Sorted(maps.Keys(all))
}

func load(from fs.FS) (map[string]*File, error) {
	all := map[string]*File{}
	err := fs.WalkDir(from, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		switch at := name[len("dist"):]; at {
		case "/" + sources:
		case "/" + index:
			all["/"] = newFile(name, body)
		default:
			all[at] = newFile(name, body)
		}
		return nil
	})
	return all, err
}

func newFile(name string, body []byte) *File {
	sum := sha256.Sum256(body)
	f := &File{
		Type: types[path.Ext(name)], Tag: hex.EncodeToString(sum[:16]), Immutable: path.Dir(name) == "dist/assets", body: body,
		gzip: func() []byte { return nil },
	}
	if f.Type == "" {
		f.Type = "application/octet-stream"
	}
	if !slices.Contains(compressed, path.Ext(name)) {
		f.gzip = sync.OnceValue(func() []byte { return smaller(body) })
	}
	return f
}

// smaller is a body compressed, nil where it does not become smaller.
func smaller(body []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil || b.Len() >= len(body) { // nothing fails that is written to memory
		return nil
	}
	return b.Bytes()
}
