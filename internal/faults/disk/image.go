package disk

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Image is what is found after a power cut: files by their paths below the root.
type Image map[string]Node

// Node is one file of an image.
type Node struct {
	Kind Kind
	Data []byte
	// Unknown says that the file was written through a shared mapping.
	Unknown bool
}

// Read reads the files below a directory.
func Read(root string) (Image, error) {
	image := Image{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n := Node{}
		switch {
		case e.IsDir():
			n.Kind = Directory
		case e.Type() == fs.ModeSocket:
			n.Kind = Socket
		case e.Type().IsRegular():
			if n.Data, err = os.ReadFile(path); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is no file of a kind that is understood", path)
		}
		image.add(root, path, n)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", root, err)
	}
	return image, nil
}

// Cached is what programs see, or would after a crash of the program alone. What was written through shared mappings is
// not in it.
func (d *Disk) Cached() Image {
	image := Image{}
	for path, f := range d.current {
		image.add(d.root, path, Node{f.kind, f.cached(), f.mapped})
	}
	return image
}

// Cut is one of the images that a power cut can leave. The same seed gives the same image.
func (d *Disk) Cut(rng *rand.Rand) Image {
	names := maps.Clone(d.durable)
	choose := newChooser(rng, d.changes)
	for i := range d.renames {
		if n := &d.renames[i]; choose.keeps(n.change) {
			n.do(names)
		}
	}
	image := Image{}
	seen := map[*file][]byte{}
	for _, path := range slices.Sorted(maps.Keys(names)) { // sorted, so that the seed alone decides
		if !d.reachable(names, path) {
			continue
		}
		f := names[path]
		if _, ok := seen[f]; !ok {
			seen[f] = choose.contents(f)
		}
		image.add(d.root, path, Node{f.kind, seen[f], f.mapped})
	}
	return image
}

// reachable says whether the directories above a name are there.
func (d *Disk) reachable(names map[string]*file, path string) bool {
	for path != d.root {
		path = filepath.Dir(path)
		if f := names[path]; f == nil || f.kind != Directory {
			return false
		}
	}
	return true
}

func (m Image) add(root, path string, n Node) {
	if path != root {
		m[strings.TrimPrefix(path, root+"/")] = n
	}
}

// chooser decides what of the uncertain is found. Independent coins would nearly never leave everything of one file and
// nothing of another, which is what programs get wrong: so there are several ways to decide.
type chooser struct {
	rng *rand.Rand
	way way
	// last is the change up to which everything is kept, where that is the way.
	last int
	// share is the chance of a change to be kept, torn that of one that is kept to be kept in part.
	share, torn float64
	kept        map[int]bool
	// garbage says that what a size promises and no write has filled is anything.
	garbage bool
}

// way is how it is decided.
type way int

const (
	nothing   way = iota // of what is uncertain
	inOrder              // everything up to some change, which is torn
	single               // a coin for each change
	bySector             // any version of each sector
	byFile               // for each file one of the others
	latest               // the last changes, without those before
	wayNumber            // how many there are
)

func newChooser(rng *rand.Rand, changes int) *chooser {
	c := &chooser{rng: rng, way: way(rng.IntN(int(wayNumber))), kept: map[int]bool{}, garbage: rng.IntN(8) == 0}
	c.share, c.torn = rng.Float64(), rng.Float64()*0.5
	// Most of what is uncertain is young.
	c.last = max(0, changes-int(rng.ExpFloat64()*20))
	return c
}

// keeps says whether a change as a whole is kept.
func (c *chooser) keeps(ch *change) bool {
	if k, ok := c.kept[ch.id]; ok {
		return k
	}
	k := false
	switch c.way {
	case nothing:
	case inOrder:
		k = ch.id <= c.last
	case latest:
		k = ch.id >= c.last
	default:
		k = c.rng.Float64() < c.share
	}
	c.kept[ch.id] = k
	return k
}

// contents decides what a file is found to hold.
func (c *chooser) contents(f *file) []byte {
	switch {
	case f.kind != Regular:
		return nil
	case f.mapped:
		data := make([]byte, f.size())
		if c.garbage {
			c.fill(data)
		}
		return data
	case !f.uncertain():
		return bytes.Clone(f.durable) // the disk goes on
	}
	if c.way == byFile {
		one := *c
		one.way = way(c.rng.IntN(int(byFile)))
		one.kept, one.share = map[int]bool{}, c.rng.Float64()
		c = &one
	}
	size, epoch := c.size(f)
	data := resized(bytes.Clone(f.durable), size)
	if certain := len(f.durable); c.garbage && certain < len(data) {
		c.fill(data[certain:])
	}
	for _, i := range slices.Sorted(maps.Keys(f.sectors)) {
		from := i * SectorSize
		if from >= size {
			continue
		}
		if v := c.sector(f.sectors[i], epoch); v != nil {
			copy(data[from:], v)
		}
	}
	return data
}

// size decides the size of a file, and with it the epoch.
func (c *chooser) size(f *file) (size int64, epoch int) {
	at := -1
	for i, r := range f.sizes {
		if c.keeps(r.change) {
			at = i
		}
	}
	if n := len(f.sizes); n > 0 && c.way >= single && c.rng.IntN(3) == 0 {
		at = c.rng.IntN(n+1) - 1 // it need not go with the data
	}
	if at < 0 {
		return int64(len(f.durable)), f.durableEpoch
	}
	return f.sizes[at].size, f.sizes[at].epoch
}

// sector decides what a sector holds, nil for what is certain.
func (c *chooser) sector(versions []version, epoch int) (data []byte) {
	first, last := 0, 0 // versions[first:last] can be
	for i, v := range versions {
		if v.epoch > epoch {
			break
		}
		last = i + 1
		if v.cut {
			first, data = i+1, v.data
		}
	}
	versions = versions[first:last]
	if c.way == bySector {
		if n := c.rng.IntN(len(versions) + 1); n > 0 {
			return versions[n-1].data
		}
		return data
	}
	for _, v := range versions {
		if c.keeps(v.change) && !c.tears(v.change) {
			data = v.data
		}
	}
	return data
}

// tears says whether a sector of a change that is kept is not.
func (c *chooser) tears(ch *change) bool {
	if c.way == inOrder {
		return ch.id == c.last && c.rng.IntN(2) == 0
	}
	return c.rng.Float64() < c.torn
}

// fill fills with anything.
func (c *chooser) fill(data []byte) {
	for i := range data {
		data[i] = byte(c.rng.Uint32())
	}
}

// Write makes the image's files in an empty directory.
func (m Image) Write(dir string) error {
	for _, path := range slices.Sorted(maps.Keys(m)) {
		n, name := m[path], filepath.Join(dir, path)
		var err error
		switch n.Kind {
		case Directory:
			err = os.Mkdir(name, 0o700)
		case Regular:
			err = os.WriteFile(name, n.Data, 0o600)
		case Socket:
			err = leaveSocket(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leaveSocket makes a socket that nobody listens on.
func leaveSocket(path string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}

// Sum is a hash of the image, good within one process.
func (m Image) Sum(seed maphash.Seed) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, path := range slices.Sorted(maps.Keys(m)) {
		n := m[path]
		_, _ = fmt.Fprintf(&h, "%q %d %d ", path, n.Kind, len(n.Data))
		_, _ = h.Write(n.Data)
	}
	return h.Sum64()
}

// Compare says how what is below a directory differs from the image, nil if it does not. It shows that a trace is
// complete: after the program has ended, what programs see is what it has written.
func (m Image) Compare(dir string) error {
	there, err := Read(dir)
	if err != nil {
		return err
	}
	var wrong []error
	for path, n := range m {
		got, ok := there[path]
		switch {
		case !ok:
			wrong = append(wrong, fmt.Errorf("%s: %w", path, fs.ErrNotExist))
		case got.Kind != n.Kind:
			wrong = append(wrong, fmt.Errorf("%s is of kind %d, the trace makes it %d", path, got.Kind, n.Kind))
		case !n.Unknown && !bytes.Equal(got.Data, n.Data):
			wrong = append(wrong, fmt.Errorf("%s: its %d bytes are not the %d that the trace makes", path, len(got.Data), len(n.Data)))
		}
	}
	for path := range there {
		if _, ok := m[path]; !ok {
			wrong = append(wrong, fmt.Errorf("%s: the trace does not make it: %w", path, fs.ErrExist))
		}
	}
	return errors.Join(wrong...)
}
