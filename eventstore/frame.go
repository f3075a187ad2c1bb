package eventstore

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// frameReader reads messages that each follow their uvarint length.
type frameReader struct {
	in  *bufio.Reader
	buf []byte
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{in: bufio.NewReaderSize(r, 64<<10)}
}

// next is the next message, valid until the one after it; io.EOF behind the last one.
func (f *frameReader) next() ([]byte, error) {
	size, err := binary.ReadUvarint(f.in)
	if err != nil {
		return nil, err
	}
	if size > maxSnapshotRecord {
		return nil, fmt.Errorf("a record of %d bytes is longer than any can be", size)
	}
	if uint64(cap(f.buf)) < size {
		f.buf = make([]byte, size)
	}
	f.buf = f.buf[:size]
	if _, err := io.ReadFull(f.in, f.buf); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return f.buf, nil
}
