package disk

import (
	"bytes"
	"slices"

	"github.com/statehouse/statehouse/internal/faults/trace"
)

// file is what names stand for: its contents as they are certain to be found, and every later change that may be.
type file struct {
	kind Kind
	// durable is what is certain.
	durable []byte
	// sectors are the contents that each sector has had in memory since, oldest first.
	sectors map[int64][]version
	// sizes are those that the file has had since.
	sizes []resize
	// epoch counts how often the file was made shorter, durableEpoch how often of that is certain.
	epoch, durableEpoch int
	// mapped says that it is written through a shared mapping.
	mapped bool
}

// change is one call that changes a file.
type change struct {
	id int
	// under says that the call has not returned, forsaken that a sync of it failed: no later one will write its data.
	under, forsaken bool
}

// version is what a sector held after a change.
type version struct {
	*change
	data []byte // SectorSize bytes
	// epoch is the file's. cut says that the sector was given up when that began: nothing of before can be beside it.
	epoch int
	cut   bool
}

// resize is a size that the file had after a change.
type resize struct {
	*change
	size  int64
	epoch int
}

func newFile(kind Kind) *file { return &file{kind: kind, sectors: map[int64][]version{}} }

// size is the file's, as programs see it.
func (f *file) size() int64 {
	if n := len(f.sizes); n > 0 {
		return f.sizes[n-1].size
	}
	return int64(len(f.durable))
}

// sector is what a sector holds, as programs see it.
func (f *file) sector(i int64) []byte {
	if v := f.sectors[i]; len(v) > 0 {
		return v[len(v)-1].data
	}
	return f.durableSector(i)
}

// durableSector is what of a sector is certain.
func (f *file) durableSector(i int64) []byte {
	data := make([]byte, SectorSize)
	if from := i * SectorSize; from < int64(len(f.durable)) {
		copy(data, f.durable[from:])
	}
	return data
}

// write begins a write.
func (f *file) write(c *change, offset int64, data []byte) {
	end := offset + int64(len(data))
	for len(data) > 0 {
		i, at := offset/SectorSize, offset%SectorSize
		now := slices.Clone(f.sector(i))
		n := copy(now[at:], data)
		f.sectors[i] = append(f.sectors[i], version{change: c, data: now, epoch: f.epoch})
		data, offset = data[n:], offset+int64(n)
	}
	if end > f.size() {
		f.sizes = append(f.sizes, resize{change: c, size: end, epoch: f.epoch})
	}
}

// truncate gives the file a size.
func (f *file) truncate(c *change, size int64) {
	before := f.size()
	if size == before {
		return
	}
	if size < before {
		f.epoch++
		for i := size / SectorSize; i*SectorSize < before; i++ {
			now := make([]byte, SectorSize)
			if keep := size - i*SectorSize; keep > 0 {
				copy(now, f.sector(i)[:keep])
			}
			f.sectors[i] = append(f.sectors[i], version{change: c, data: now, epoch: f.epoch, cut: true})
		}
	}
	f.sizes = append(f.sizes, resize{change: c, size: size, epoch: f.epoch})
}

// undo takes back a change that failed.
func (f *file) undo(c *change) {
	mine := func(v version) bool { return v.change == c }
	for i, versions := range f.sectors {
		if slices.ContainsFunc(versions, mine) {
			f.sectors[i] = slices.DeleteFunc(versions, mine)
		}
	}
	f.sizes = slices.DeleteFunc(f.sizes, func(r resize) bool { return r.change == c })
}

// settling are the changes that a sync makes durable.
type settling map[*change]bool

func (s settling) add(c *change) {
	if !c.under {
		s[c] = true
	}
}

// syncing begins a sync.
func (f *file) syncing() settling {
	s := settling{}
	for _, versions := range f.sectors {
		for _, v := range versions {
			s.add(v.change)
		}
	}
	for _, r := range f.sizes {
		s.add(r.change)
	}
	return s
}

// forsake ends a sync that failed.
func (s settling) forsake() {
	for c := range s {
		c.forsaken = true
	}
}

// settle ends a sync that succeeded.
func (f *file) settle(s settling) {
	size := int64(len(f.durable))
	for i := len(f.sizes) - 1; i >= 0; i-- {
		if s[f.sizes[i].change] {
			size, f.durableEpoch = f.sizes[i].size, f.sizes[i].epoch
			f.sizes = slices.Clone(f.sizes[i+1:])
			break
		}
	}
	f.durable = resized(f.durable, size)
	for i, versions := range f.sectors {
		for j := len(versions) - 1; j >= 0; j-- {
			if c := versions[j].change; !s[c] || c.forsaken && !versions[j].cut {
				continue
			}
			if from := i * SectorSize; from < size {
				copy(f.durable[from:], versions[j].data)
			}
			versions = slices.Clone(versions[j+1:])
			break
		}
		if len(versions) == 0 {
			delete(f.sectors, i)
		} else {
			f.sectors[i] = versions
		}
	}
}

// resized is data cut or filled up with zeros, in memory of its own where it is changed.
func resized(data []byte, size int64) []byte {
	if size <= int64(len(data)) {
		return data[:size:size]
	}
	return append(data, make([]byte, size-int64(len(data)))...)
}

// uncertain says whether anything of it is.
func (f *file) uncertain() bool { return len(f.sectors) > 0 || len(f.sizes) > 0 }

// cached is the file as programs see it.
func (f *file) cached() []byte {
	data := resized(bytes.Clone(f.durable), f.size())
	for i := range f.sectors {
		if from := i * SectorSize; from < int64(len(data)) {
			copy(data[from:], f.sector(i))
		}
	}
	return data
}

// apply is what a call does to the file while it is under way.
func (f *file) apply(c *change, call *trace.Call) {
	if call.Kind == trace.Write {
		f.write(c, call.Offset, call.Data)
	} else {
		f.truncate(c, call.Offset)
	}
}
