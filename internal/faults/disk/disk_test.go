package disk_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/statehouse/statehouse/internal/faults/disk"
	"github.com/statehouse/statehouse/internal/faults/trace"
)

// script makes traces for tests.
type script struct {
	t    *testing.T
	disk *disk.Disk
	open int
}

func newScript(t *testing.T) *script {
	return &script{t: t, disk: disk.New("/d", disk.Image{"old": {Data: fill('o', 1)}})}
}

// fill is so many sectors of a byte.
func fill(b byte, sectors int) []byte { return bytes.Repeat([]byte{b}, sectors*disk.SectorSize) }

func (s *script) apply(c trace.Call, both bool) {
	s.t.Helper()
	if both {
		if err := s.disk.Apply(trace.Event{Call: &c}); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := s.disk.Apply(trace.Event{Call: &c, End: true}); err != nil {
		s.t.Fatal(err)
	}
}

// file opens a file, made if it is not there.
func (s *script) file(name string) int {
	s.t.Helper()
	s.open++
	s.apply(trace.Call{Kind: trace.Open, Path: name, File: s.open, Create: true}, false)
	return s.open
}

func (s *script) write(f int, sector int, data []byte) {
	s.t.Helper()
	s.apply(trace.Call{Kind: trace.Write, File: f, Offset: int64(sector * disk.SectorSize), Data: data}, true)
}

func (s *script) sync(f int, err syscall.Errno) {
	s.t.Helper()
	s.apply(trace.Call{Kind: trace.Sync, File: f, Err: err}, true)
}

func (s *script) syncDir() {
	s.t.Helper()
	s.open++
	s.apply(trace.Call{Kind: trace.Open, Path: "/d", File: s.open}, false)
	s.sync(s.open, 0)
}

// found is what the power leaves of a file: one byte for each sector, as often as it is found; "-" for no file.
func (s *script) found(name string) []string {
	s.t.Helper()
	found := map[string]bool{}
	for i := range 3000 {
		image := s.disk.Cut(rand.New(rand.NewPCG(uint64(i), 1)))
		n, ok := image[name]
		text := "-"
		if ok {
			text = ""
			for data := n.Data; len(data) > 0; data = data[min(len(data), disk.SectorSize):] {
				b := data[0]
				if !bytes.Equal(data[:min(len(data), disk.SectorSize)], bytes.Repeat([]byte{b}, min(len(data), disk.SectorSize))) {
					b = '?' // garbage, or a sector that is torn
				} else if b == 0 {
					b = '0'
				}
				text += string(b)
			}
		}
		found[text] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func (s *script) want(name string, want ...string) {
	s.t.Helper()
	slices.Sort(want)
	if got := s.found(name); !slices.Equal(got, want) {
		s.t.Errorf("%s is found as %q, want %q", name, got, want)
	}
}

func TestWrites(t *testing.T) {
	s := newScript(t)
	f := s.file("/d/old")
	s.want("old", "o")
	s.write(f, 0, fill('a', 1))
	s.want("old", "a", "o")
	s.write(f, 0, fill('b', 2))
	// The size may go before the data, and then anything is there. Each sector is on its own.
	s.want("old", "o", "a", "b", "o0", "a0", "b0", "o?", "a?", "b?", "ob", "ab", "bb")
	s.sync(f, 0)
	s.want("old", "bb")
}

// What a sync that failed was to write stays uncertain, until it is written again.
func TestFailedSync(t *testing.T) {
	s := newScript(t)
	f := s.file("/d/old")
	s.write(f, 0, fill('a', 1))
	s.sync(f, syscall.EIO)
	s.sync(f, 0)
	s.want("old", "a", "o")
	s.write(f, 0, fill('b', 1))
	s.sync(f, 0)
	s.want("old", "b")
}

// A write that is under way when a sync begins is not its business, and one that failed was not done.
func TestWriteBesideSync(t *testing.T) {
	s := newScript(t)
	f := s.file("/d/old")
	w := &trace.Call{Kind: trace.Write, File: f, Data: fill('a', 1)}
	if err := s.disk.Apply(trace.Event{Call: w}); err != nil {
		t.Fatal(err)
	}
	s.sync(f, 0)
	s.want("old", "a", "o")
	w.Err = syscall.EIO
	if err := s.disk.Apply(trace.Event{Call: w, End: true}); err != nil {
		t.Fatal(err)
	}
	s.want("old", "o")
}

// Sectors from before and after a truncation are not found together.
func TestTruncate(t *testing.T) {
	s := newScript(t)
	f := s.file("/d/old")
	s.write(f, 0, fill('a', 2))
	s.sync(f, 0)
	s.apply(trace.Call{Kind: trace.Truncate, File: f}, false)
	s.write(f, 1, fill('b', 1))
	s.want("old", "aa", "", "00", "0b")
	s.sync(f, 0)
	s.want("old", "0b")
}

func TestNames(t *testing.T) {
	s := newScript(t)
	f := s.file("/d/new")
	s.write(f, 0, fill('n', 1))
	s.sync(f, 0)
	s.want("new", "-", "n") // the file is synced, and its name is not
	s.syncDir()
	s.want("new", "n")
	s.apply(trace.Call{Kind: trace.Rename, Path: "/d/new", To: "/d/old"}, false)
	s.want("old", "n", "o")
	s.want("new", "-", "n")
	for i := range 1000 { // with both names or with none
		image := s.disk.Cut(rand.New(rand.NewPCG(uint64(i), 1)))
		if _, ok := image["new"]; ok == (image["old"].Data[0] == 'n') {
			t.Fatalf("after a move: new is there: %v, old has %q", ok, image["old"].Data[:1])
		}
	}
	s.syncDir()
	s.apply(trace.Call{Kind: trace.Unlink, Path: "/d/old"}, false)
	s.want("old", "-", "n")
	s.apply(trace.Call{Kind: trace.Mkdir, Path: "/d/sub"}, false)
	g := s.file("/d/sub/x")
	s.sync(g, 0)
	s.want("sub/x", "-", "")
	s.syncDir() // the one above: not the directory that has the name
	s.want("sub/x", "-", "")
	s.open++
	s.apply(trace.Call{Kind: trace.Open, Path: "/d/sub", File: s.open}, false)
	s.sync(s.open, 0)
	s.want("sub/x", "")
}

// Whatever was done, what is synced is found as programs see it, and every sector is found as it was at some time.
func TestCutsAreOfThePast(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 0))
		s := newScript(t)
		f := s.file("/d/old")
		past := map[string]bool{"0 o": true}
		for i := range 40 {
			b := byte('a' + i%26)
			at, n := rng.IntN(6), 1+rng.IntN(3)
			s.write(f, at, fill(b, n))
			for j := range 8 {
				past[fmt.Sprintf("%d \x00", j)] = true
			}
			for j := range n {
				past[fmt.Sprintf("%d %c", at+j, b)] = true
			}
			if rng.IntN(8) == 0 {
				s.sync(f, 0)
				if got, want := s.disk.Cut(rng)["old"].Data, s.disk.Cached()["old"].Data; !bytes.Equal(got, want) {
					t.Fatalf("seed %d: what is synced is found as something else", seed)
				}
			}
			data := s.disk.Cut(rng)["old"].Data
			for j := 0; j*disk.SectorSize < len(data); j++ {
				sector := data[j*disk.SectorSize : min((j+1)*disk.SectorSize, len(data))]
				if uniform := bytes.Count(sector, sector[:1]) == len(sector); uniform && !past[fmt.Sprintf("%d %c", j, sector[0])] {
					t.Fatalf("seed %d: sector %d is found with %q, which it never had", seed, j, sector[0])
				}
			}
		}
	}
}

// The files of an image are those that it was read from.
func TestImages(t *testing.T) {
	want := disk.Image{"a": {Data: []byte("x")}, "d": {Kind: disk.Directory}, "d/b": {}}
	dir := t.TempDir()
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	if err := want.Compare(dir); err != nil {
		t.Error(err)
	}
	want["d/b"] = disk.Node{Data: []byte("y")}
	if want.Compare(dir) == nil {
		t.Error("a file with other contents is taken for the same")
	}
	delete(want, "d/b")
	if want.Compare(dir) == nil {
		t.Error("a file that should not be there is not found")
	}
}
