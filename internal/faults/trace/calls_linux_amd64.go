package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the kernel says of a system call that a thread is stopped at: struct ptrace_syscall_info.
type callInfo struct {
	op   byte
	_    [3]byte
	arch uint32
	ip   uint64
	sp   uint64
	data [9]uint64 // at its beginning the number and six arguments; at its end the result
}

const (
	ptraceGetSyscallInfo = 0x420e
	infoEntry            = 1
	infoExit             = 2
)

func syscallInfo(id int) (callInfo, error) {
	var info callInfo
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(id), unsafe.Sizeof(info),
		uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return info, fmt.Errorf("which system call: %w", errno)
	}
	return info, nil
}

// enter says what a call will do, nil where it is of no interest.
func (t *tracer) enter(th *thread) *Call {
	a := th.args
	switch th.nr {
	case unix.SYS_OPEN:
		return t.openCall(th, unix.AT_FDCWD, a[0], a[1])
	case unix.SYS_CREAT:
		return t.openCall(th, unix.AT_FDCWD, a[0], unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC)
	case unix.SYS_OPENAT:
		return t.openCall(th, int(int32(a[0])), a[1], a[2])
	case unix.SYS_RENAME:
		return t.pathCall(th, Rename, unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1])
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return t.pathCall(th, Rename, int(int32(a[0])), a[1], int(int32(a[2])), a[3])
	case unix.SYS_UNLINK:
		return t.pathCall(th, Unlink, unix.AT_FDCWD, a[0], 0, 0)
	case unix.SYS_UNLINKAT:
		kind := Unlink
		if a[2]&unix.AT_REMOVEDIR != 0 {
			kind = Rmdir
		}
		return t.pathCall(th, kind, int(int32(a[0])), a[1], 0, 0)
	case unix.SYS_RMDIR:
		return t.pathCall(th, Rmdir, unix.AT_FDCWD, a[0], 0, 0)
	case unix.SYS_MKDIR:
		return t.pathCall(th, Mkdir, unix.AT_FDCWD, a[0], 0, 0)
	case unix.SYS_MKDIRAT:
		return t.pathCall(th, Mkdir, int(int32(a[0])), a[1], 0, 0)
	case unix.SYS_LINK, unix.SYS_LINKAT, unix.SYS_SYMLINK, unix.SYS_SYMLINKAT, unix.SYS_TRUNCATE:
		return t.unknownName(th)
	case unix.SYS_ACCEPT, unix.SYS_ACCEPT4:
		return &Call{Kind: Accept}
	case unix.SYS_BIND:
		return t.bindCall(th)
	case unix.SYS_CLOSE:
		delete(t.files, int(int32(a[0])))
		return nil
	}
	return t.onFile(th)
}

// onFile says what a call on an open file will do.
func (t *tracer) onFile(th *thread) *Call {
	a := th.args
	fd := int(int32(a[0]))
	if th.nr == unix.SYS_MMAP {
		fd = int(int32(a[4]))
	}
	f := t.files[fd]
	if f == nil {
		return nil
	}
	c := &Call{File: f.number, Path: f.path}
	switch th.nr {
	case unix.SYS_WRITE, unix.SYS_SENDTO:
		c.Kind, c.Data = Write, t.memory(th, a[1], a[2])
		if !f.socket {
			c.Offset = t.offset(th, fd, f)
		}
	case unix.SYS_WRITEV:
		c.Kind, c.Data = Write, t.vector(th, a[1], a[2])
		if !f.socket {
			c.Offset = t.offset(th, fd, f)
		}
	case unix.SYS_PWRITE64:
		c.Kind, c.Data, c.Offset = Write, t.memory(th, a[1], a[2]), int64(a[3])
	case unix.SYS_PWRITEV, unix.SYS_PWRITEV2:
		c.Kind, c.Data, c.Offset = Write, t.vector(th, a[1], a[2]), int64(a[3])
	case unix.SYS_FTRUNCATE:
		c.Kind, c.Offset = Truncate, int64(a[1])
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		c.Kind = Sync
	case unix.SYS_MMAP:
		if a[2]&unix.PROT_WRITE == 0 || a[3]&unix.MAP_SHARED == 0 {
			return nil
		}
		c.Kind = Map
	case unix.SYS_FALLOCATE, unix.SYS_SYNC_FILE_RANGE, unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_DUP, unix.SYS_DUP2,
		unix.SYS_DUP3, unix.SYS_SENDMSG, unix.SYS_SPLICE:
		t.missed("call %d on %s is not understood", th.nr, f.path)
		return nil
	default:
		return nil
	}
	if f.socket {
		if c.Kind != Write {
			return nil
		}
		c.Kind = Send
	}
	return c
}

// leave notes what a call did. Where it failed, only a write, a sync and a send have an end, and what was made to fail.
func (t *tracer) leave(th *thread, result int64) {
	c := th.call
	if c == nil {
		return
	}
	if result < 0 {
		c.Err = syscall.Errno(-result)
		if c.Kind == Write || c.Kind == Sync || c.Kind == Send || c.Injected {
			t.events = append(t.events, Event{Call: c, End: true})
		}
		return
	}
	switch c.Kind {
	case Open, Accept:
		t.opened++
		c.File = t.opened
		f := &file{number: t.opened, path: c.Path, socket: c.Kind == Accept}
		if c.Kind == Open {
			f.append = c.Offset != 0
			c.Offset = 0
		}
		t.files[int(result)] = f
	case Write, Send:
		// Its beginning, which is noted already, is the same call: what was not written was never under way.
		c.Data = c.Data[:min(int64(len(c.Data)), result)]
	}
	t.events = append(t.events, Event{Call: c, End: true})
}

// openCall is an open of a file of interest. Until its end, Offset says that it appends.
func (t *tracer) openCall(th *thread, dir int, path, flags uint64) *Call {
	name, ok := t.path(th, dir, path)
	if !ok {
		return nil
	}
	c := &Call{Kind: Open, Path: name, Create: flags&unix.O_CREAT != 0, Truncate: flags&unix.O_TRUNC != 0}
	if flags&unix.O_APPEND != 0 {
		c.Offset = 1
	}
	if flags&unix.O_TMPFILE == unix.O_TMPFILE {
		t.missed("a file without a name in %s is not understood", name)
	}
	return c
}

// pathCall is a call on one or two names.
func (t *tracer) pathCall(th *thread, kind Kind, dir int, path uint64, toDir int, to uint64) *Call {
	c := &Call{Kind: kind}
	ok := false
	c.Path, ok = t.path(th, dir, path)
	if to != 0 {
		var toOK bool
		if c.To, toOK = t.path(th, toDir, to); ok != toOK {
			t.missed("a move of %s to %s leads out of %s", c.Path, c.To, t.opts.Root)
			return nil
		}
	}
	if !ok {
		return nil
	}
	return c
}

// unknownName is a call on a name that is not understood, if it is one of interest.
func (t *tracer) unknownName(th *thread) *Call {
	for _, a := range th.args[:3] {
		if name, err := t.text(th, a); err == nil && strings.HasPrefix(name, t.opts.Root) {
			t.missed("call %d on %s is not understood", th.nr, name)
		}
	}
	return nil
}

// bindCall is a socket that gets a name.
func (t *tracer) bindCall(th *thread) *Call {
	address := t.memory(th, th.args[1], min(th.args[2], 128))
	if len(address) < 3 || binary.LittleEndian.Uint16(address) != unix.AF_UNIX {
		return nil
	}
	name, _, _ := bytes.Cut(address[2:], []byte{0})
	path := t.absolute(th, unix.AT_FDCWD, string(name))
	if !t.below(path) {
		return nil
	}
	return &Call{Kind: Bind, Path: path}
}

// path reads a path and says whether it is one of interest.
func (t *tracer) path(th *thread, dir int, at uint64) (string, bool) {
	name, err := t.text(th, at)
	if err != nil {
		return "", false // the call fails as well
	}
	name = t.absolute(th, dir, name)
	return name, t.below(name)
}

func (t *tracer) below(path string) bool {
	return path == t.opts.Root || strings.HasPrefix(path, t.opts.Root+"/")
}

func (t *tracer) absolute(th *thread, dir int, name string) string {
	if !filepath.IsAbs(name) {
		link := "/proc/" + strconv.Itoa(th.id) + "/cwd"
		if dir != unix.AT_FDCWD {
			link = "/proc/" + strconv.Itoa(th.id) + "/fd/" + strconv.Itoa(dir)
		}
		if base, err := os.Readlink(link); err == nil {
			name = filepath.Join(base, name)
		}
	}
	return filepath.Clean(name)
}

// offset is where a write without an offset writes.
func (t *tracer) offset(th *thread, fd int, f *file) int64 {
	if f.append {
		t.missed("a write at the end of %s is not understood", f.path)
		return 0
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(th.id) + "/fdinfo/" + strconv.Itoa(fd))
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if at, ok := strings.CutPrefix(line, "pos:"); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(at), 10, 64)
				if err == nil {
					return n
				}
			}
		}
	}
	t.missed("where %s is written: %w", f.path, err)
	return 0
}

// maxCall bounds what is read of one call.
const maxCall = 64 << 20

// memory reads the program's memory.
func (t *tracer) memory(th *thread, at, n uint64) []byte {
	if n == 0 || n > maxCall {
		if n > maxCall {
			t.missed("a call with %d bytes", n)
		}
		return nil
	}
	data := make([]byte, n)
	if got, err := t.read(th, data, at); err != nil || got != len(data) {
		t.missed("%d bytes at %#x: got %d: %w", n, at, got, err)
	}
	return data
}

func (t *tracer) read(th *thread, into []byte, at uint64) (int, error) {
	return unix.ProcessVMReadv(th.id, []unix.Iovec{{Base: &into[0], Len: uint64(len(into))}},
		[]unix.RemoteIovec{{Base: uintptr(at), Len: len(into)}}, 0)
}

// vector reads what an array of pieces holds.
func (t *tracer) vector(th *thread, at, n uint64) (data []byte) {
	pieces := t.memory(th, at, n*16)
	for len(pieces) >= 16 {
		data = append(data, t.memory(th, binary.LittleEndian.Uint64(pieces), binary.LittleEndian.Uint64(pieces[8:]))...)
		pieces = pieces[16:]
	}
	return data
}

// text reads a string that ends with a zero, page by page, since the next page may not be there.
func (t *tracer) text(th *thread, at uint64) (string, error) {
	const page = 4096
	var text []byte
	for len(text) < page {
		part := make([]byte, page-at%page)
		n, err := t.read(th, part, at)
		if err != nil {
			return "", err
		}
		if i := bytes.IndexByte(part[:n], 0); i >= 0 {
			return string(append(text, part[:i]...)), nil
		}
		text, at = append(text, part[:n]...), at+uint64(n)
	}
	return "", syscall.ENAMETOOLONG
}
