package disk

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/statehouse/statehouse/internal/faults/trace"
)

// Kind is what a name stands for.
type Kind int

// The kinds of files.
const (
	Regular Kind = iota
	Directory
	Socket
)

// Disk is the files below one directory, at the moment to which its trace was followed.
type Disk struct {
	root string
	// durable are the names that are certain, current those that programs see.
	durable, current map[string]*file
	// renames are the changes of names since, oldest first.
	renames []naming
	// opened are the files by the trace's numbers.
	opened map[int]*file
	dirs   map[*file]string // the paths of directories
	// under are the changes and syncs that have not returned.
	under   map[*trace.Call]*change
	syncing map[*trace.Call]settling
	changes int
}

// naming is a change of names: path stands for file, or for nothing; and with it another path for nothing any more.
type naming struct {
	*change
	path string
	file *file // nil for nothing
	from string
}

// in says whether a change concerns a directory.
func (n *naming) in(dir string) bool {
	return filepath.Dir(n.path) == dir || n.from != "" && filepath.Dir(n.from) == dir
}

// New is a disk with the files of an image below a root, all of it certain.
func New(root string, image Image) *Disk {
	d := &Disk{
		root: root, durable: map[string]*file{}, opened: map[int]*file{}, dirs: map[*file]string{},
		under: map[*trace.Call]*change{}, syncing: map[*trace.Call]settling{},
	}
	top := newFile(Directory)
	d.durable[root], d.dirs[top] = top, root
	for name, n := range image {
		f, path := newFile(n.Kind), filepath.Join(root, name)
		f.durable, d.durable[path] = bytes.Clone(n.Data), f
		if n.Kind == Directory {
			d.dirs[f] = path
		}
	}
	d.current = maps.Clone(d.durable)
	return d
}

// errUnknown says that a trace does not fit.
var errUnknown = errors.New("the trace does not fit the files")

// Apply follows the trace by one event.
func (d *Disk) Apply(e trace.Event) error {
	if e.Err != 0 && e.Kind != trace.Write && e.Kind != trace.Sync {
		return nil // it did nothing
	}
	switch e.Kind {
	case trace.Accept, trace.Send:
		return nil
	case trace.Write, trace.Sync, trace.Truncate, trace.Map:
		f := d.opened[e.File]
		if f == nil {
			return fmt.Errorf("%w: %s of %s, which was not opened", errUnknown, e.Kind, e.Path)
		}
		d.onFile(e, f)
		return nil
	}
	return d.onName(e)
}

// Restart forgets the programs' open files: the next trace is of another program.
func (d *Disk) Restart() {
	clear(d.opened)
	for call, c := range d.under { // it was killed in the middle
		c.under = false
		delete(d.under, call)
	}
	clear(d.syncing)
}

func (d *Disk) next() *change {
	d.changes++
	return &change{id: d.changes}
}

// onFile follows a call on an open file.
func (d *Disk) onFile(e trace.Event, f *file) {
	switch {
	case e.Kind == trace.Map:
		f.mapped = true
	case e.Kind == trace.Truncate:
		f.apply(d.next(), e.Call)
	case e.Kind == trace.Write && !e.End:
		c := d.next()
		c.under = true
		d.under[e.Call] = c
		f.apply(c, e.Call)
	case e.Kind == trace.Write:
		if c := d.under[e.Call]; c != nil {
			c.under = false
			delete(d.under, e.Call)
			if e.Err != 0 {
				f.undo(c)
			}
		}
	case !e.End && f.kind == Directory:
		s := settling{}
		for _, n := range d.renames {
			if n.in(d.dirs[f]) {
				s.add(n.change)
			}
		}
		d.syncing[e.Call] = s
	case !e.End:
		d.syncing[e.Call] = f.syncing()
	default:
		s := d.syncing[e.Call]
		delete(d.syncing, e.Call)
		switch {
		case e.Err != 0:
			s.forsake()
		case f.kind == Directory:
			d.settleNames(s)
		default:
			f.settle(s)
		}
	}
}

// settleNames ends a sync of a directory.
func (d *Disk) settleNames(s settling) {
	var left []naming
	for _, n := range d.renames {
		if s[n.change] {
			n.do(d.durable)
		} else {
			left = append(left, n)
		}
	}
	d.renames = left
}

// do changes names.
func (n *naming) do(names map[string]*file) {
	if n.from != "" {
		delete(names, n.from)
	}
	if n.file == nil {
		delete(names, n.path)
	} else {
		names[n.path] = n.file
	}
}

// name changes names, not for certain.
func (d *Disk) name(n naming) {
	n.change = d.next()
	n.do(d.current)
	d.renames = append(d.renames, n)
}

// onName follows a call on names.
func (d *Disk) onName(e trace.Event) error {
	f := d.current[e.Path]
	switch e.Kind {
	case trace.Open:
		if f == nil {
			if !e.Create {
				return fmt.Errorf("%w: %s was opened, and is not there", errUnknown, e.Path)
			}
			f = newFile(Regular)
			d.name(naming{path: e.Path, file: f})
		}
		if e.Truncate {
			f.truncate(d.next(), 0)
		}
		d.opened[e.File] = f
	case trace.Mkdir:
		f = newFile(Directory)
		d.dirs[f] = e.Path
		d.name(naming{path: e.Path, file: f})
	case trace.Bind:
		d.name(naming{path: e.Path, file: newFile(Socket)})
	case trace.Unlink, trace.Rmdir:
		d.name(naming{path: e.Path})
	case trace.Rename:
		if f == nil || f.kind == Directory {
			return fmt.Errorf("%w: %s, which is no file, was moved", errUnknown, e.Path)
		}
		d.name(naming{path: e.To, file: f, from: e.Path})
	}
	return nil
}

// Uncertain are the names, below the root, of the files of which something is not certain, as programs see them.
func (d *Disk) Uncertain() []string {
	var names []string
	for path, f := range d.current {
		if f.uncertain() && !f.mapped {
			names = append(names, strings.TrimPrefix(path, d.root+"/"))
		}
	}
	for _, n := range d.renames {
		names = append(names, strings.TrimPrefix(n.path, d.root+"/"))
	}
	slices.Sort(names)
	return slices.Compact(names)
}
