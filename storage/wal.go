package storage

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The format of SQLite's WAL (https://sqlite.org/fileformat.html#walformat): a header and frames, each of which is a
// header and a page. A frame's checksum goes on from that of the frame before it, the first one's from the WAL's header.
const (
	walHeaderSize   = 32
	frameHeaderSize = 24
	// walMagic has its lowest bit set where checksums are of big-endian words.
	walMagic   = 0x377f0682
	walVersion = 3007000
	// sectorSize is the most that a disk writes whole.
	sectorSize = 512
)

// walCheck is what is in a WAL.
type walCheck struct {
	// frames is the number of frames up to the last transaction that SQLite would use, and pages the size of the database
	// after it. Both are 0 for a WAL of which it would use nothing.
	frames int64
	pages  uint32
	// header says that the first page, which has the database's header, is among them.
	header bool
	// damage says what was lost after it was synced, nil where nothing is known to be lost.
	damage error
}

// checkWAL reads a WAL before SQLite does, which uses what is before the first frame that is not whole, takes that for the
// tail of a transaction that a crash cut short, and writes over the rest.
//
// With synchronous=FULL a transaction is synced before the next one is written behind it. So the frame that is not whole is
// no torn tail but damage, if behind it is proof that a transaction was written after one that ended behind it: two
// commit frames, and every frame between them goes on from the one before. What a crash may leave is never such a
// proof: the frames of the transaction that was under way, in any order and torn between any sectors, have one commit
// frame, and so has each remnant of an earlier crash that later transactions have not overwritten yet; and frames from before
// the WAL was begun anew have other salts. A frame's checksum goes on from the one that is stored before it, so that
// what follows a damaged frame can be checked all the same.
//
// A commit frame that is itself not whole counts as well, if the frame behind it goes on from its checksum and its
// header is in one sector: then its mark, its salts and its checksum were written together. A mark that rot has made of none
// counts so, too, in the last transaction as well: no torn tail has one.
//
// The damage of the last transaction cannot be told from a torn tail: the anchor tells that (see package eventstore).
func checkWAL(r io.Reader, pageSize int) (walCheck, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	var header [walHeaderSize]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		return walCheck{}, unlessEnd(err)
	}
	c := walChecker{pageSize: pageSize}
	c.open(&header)
	if c.pageSize == 0 {
		return walCheck{}, nil // neither it nor the database says how large a frame is
	}
	frame := make([]byte, frameHeaderSize+c.pageSize)
	for {
		if _, err := io.ReadFull(in, frame); err != nil {
			return c.result(), unlessEnd(err)
		}
		c.add(frame)
	}
}

// unlessEnd is the error of a read, unless that says that the file has ended.
func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return fmt.Errorf("read the WAL: %w", err)
}

// walSum is a checksum of the WAL.
type walSum [2]uint32

// add goes on over data, whose length is a multiple of 8.
func (s walSum) add(order binary.ByteOrder, data []byte) walSum {
	for ; len(data) >= 8; data = data[8:] {
		s[0] += order.Uint32(data) + s[1]
		s[1] += order.Uint32(data[4:]) + s[0]
	}
	return s
}

func storedSum(b []byte) walSum {
	return walSum{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// walChecker is the state of checkWAL.
type walChecker struct {
	pageSize int
	order    binary.ByteOrder // nil where the header does not say
	salts    uint64
	// headless says that the header is damaged: SQLite uses nothing of the WAL, whose first frame has the salts.
	headless bool

	n     int64  // the frames so far
	sum   walSum // that is stored in the last one
	valid walCheck
	// header says that a frame of the transaction under way has the first page.
	header bool
	// bad is the number of the first frame that is not whole, 0 for none.
	bad int64
	// marks are the commit frames of the run of frames behind bad that go on from each other, lost all that were seen there.
	marks, lost int
	proven      bool
}

func (c *walChecker) open(header *[walHeaderSize]byte) {
	magic := binary.BigEndian.Uint32(header[:])
	size := int(binary.BigEndian.Uint32(header[8:]))
	c.order, c.salts, c.sum = orderOf(magic), binary.BigEndian.Uint64(header[16:]), storedSum(header[24:])
	whole := magic&^1 == walMagic && binary.BigEndian.Uint32(header[4:]) == walVersion && isPageSize(size) &&
		walSum{}.add(c.order, header[:24]) == c.sum
	if whole {
		c.pageSize = size
		return
	}
	c.headless, c.order, c.bad = true, nil, 1
	if !isPageSize(c.pageSize) {
		c.pageSize = 0
	}
}

func orderOf(magic uint32) binary.ByteOrder {
	if magic&1 != 0 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func isPageSize(n int) bool { return n >= 512 && n <= 65536 && n&(n-1) == 0 }

// add looks at the next frame.
func (c *walChecker) add(frame []byte) {
	c.n++
	salts, mark := binary.BigEndian.Uint64(frame[8:]), binary.BigEndian.Uint32(frame[4:])
	if c.headless && c.n == 1 {
		c.salts = salts
	}
	linked := salts == c.salts && binary.BigEndian.Uint32(frame) != 0 && c.follows(frame)
	c.sum = storedSum(frame[16:])
	if !linked && c.bad == 0 {
		c.bad = c.n
	}
	switch {
	case c.bad == 0:
		c.header = c.header || binary.BigEndian.Uint32(frame) == 1
		if mark != 0 {
			c.valid.frames, c.valid.pages, c.valid.header = c.n, mark, c.valid.header || c.header
		}
	case !linked:
		c.marks = 0
		if mark != 0 && salts == c.salts && c.inOneSector() {
			c.marks = 1 // which counts if the next one goes on from it
		}
	case mark != 0:
		c.marks++
		c.lost++
		c.proven = c.proven || c.marks >= 2
	}
}

// follows says that a frame goes on from the one before it.
func (c *walChecker) follows(frame []byte) bool {
	stored := storedSum(frame[16:])
	goesOn := func(order binary.ByteOrder) bool {
		return c.sum.add(order, frame[:8]).add(order, frame[frameHeaderSize:]) == stored
	}
	switch {
	case c.order != nil:
		return goesOn(c.order)
	case c.n == 1:
		return false // nothing is known of what it goes on from
	case goesOn(binary.LittleEndian):
		c.order = binary.LittleEndian
	case goesOn(binary.BigEndian):
		c.order = binary.BigEndian
	}
	return c.order != nil
}

// inOneSector says that the mark, the salts and the checksum of the frame that is looked at are in one sector.
func (c *walChecker) inOneSector() bool {
	at := c.offset(c.n)
	return (at+4)/sectorSize == (at+frameHeaderSize-1)/sectorSize
}

// offset is where in the file a frame begins.
func (c *walChecker) offset(n int64) int64 {
	return walHeaderSize + (n-1)*int64(frameHeaderSize+c.pageSize)
}

func (c *walChecker) result() walCheck {
	if !c.proven {
		return c.valid
	}
	where := fmt.Sprintf("frame %d, at byte %d", c.bad, c.offset(c.bad))
	if c.headless {
		where = "its header"
	}
	c.valid.damage = fmt.Errorf("%s is not what was written, and at least %d transactions that were synced are behind it",
		where, c.lost)
	return c.valid
}
