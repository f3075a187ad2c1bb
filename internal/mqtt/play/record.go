package play

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"
	"unicode/utf8"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// Record is one line of a recording: a message, and when it was published.
type Record struct {
	// At is since the recording's start, QoS and Retain as published.
	At      time.Duration
	Topic   string
	QoS     byte
	Retain  bool
	Payload []byte
}

// MaxLine bounds a line's length in bytes.
const MaxLine = 64 << 20

// line is a record's JSON.
type line struct {
	MS      *float64 `json:"ms"`
	Topic   *string  `json:"topic"`
	QoS     byte     `json:"qos"`
	Retain  bool     `json:"retain"`
	Payload *string  `json:"payload"`
	Base64  *[]byte  `json:"payload_base64"`
}

// ParseRecord reads one line.
func ParseRecord(b []byte) (Record, error) {
	if !utf8.Valid(b) {
		return Record{}, errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var l line
	if err := dec.Decode(&l); err != nil {
		return Record{}, fmt.Errorf("not a record: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Record{}, errors.New("not a record: something follows the JSON object")
	}
	switch {
	case l.Topic == nil:
		return Record{}, errors.New("not a record: topic is missing")
	case l.MS == nil || *l.MS < 0 || *l.MS > math.MaxInt64/float64(2*time.Millisecond):
		return Record{}, errors.New("not a record: ms is missing, negative or too large")
	case (l.Payload == nil) == (l.Base64 == nil):
		return Record{}, errors.New("not a record: give payload or payload_base64, one of the two")
	case l.QoS > 2:
		return Record{}, fmt.Errorf("not a record: qos is %d", l.QoS)
	}
	if err := mqtt.ValidTopic(*l.Topic); err != nil {
		return Record{}, err
	}
	r := Record{At: time.Duration(*l.MS * float64(time.Millisecond)), Topic: *l.Topic, QoS: l.QoS, Retain: l.Retain}
	if l.Payload != nil {
		r.Payload = []byte(*l.Payload)
	} else {
		r.Payload = *l.Base64
	}
	return r, nil
}

// recording reads lines from a file, which may be gzipped.
type recording struct {
	name    string
	r       *bufio.Reader
	line    int
	closers []io.Closer
}

// openRecording opens a file, or what stands for standard input, where the next line may be long in coming: waiting for it ends with
// the context. What is being read there then goes on until something comes, and is lost.
func openRecording(ctx context.Context, name string, stdin io.Reader) (*recording, error) {
	rec := &recording{name: name}
	if name == "-" {
		rec.name = "standard input"
		if stdin == nil {
			stdin = os.Stdin
		}
		r, w := io.Pipe()
		go func() {
			_, err := io.Copy(w, stdin)
			_ = w.CloseWithError(err)
		}()
		context.AfterFunc(ctx, func() { _ = r.CloseWithError(context.Cause(ctx)) })
		rec.closers = append(rec.closers, r)
		rec.r = bufio.NewReaderSize(r, 64<<10)
	} else {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("play: recording: %w", err)
		}
		rec.closers = append(rec.closers, f)
		rec.r = bufio.NewReaderSize(f, 64<<10)
	}
	if magic, _ := rec.r.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(rec.r)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("play: %s: not a gzip file: %w", rec.name, err), rec.close())
		}
		rec.r = bufio.NewReaderSize(z, 64<<10)
	}
	return rec, nil
}

// close closes the file.
func (rec *recording) close() error {
	var err error
	for _, c := range rec.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// next reads the next line that is not empty; io.EOF is the end. Lines before from are counted and not looked at.
func (rec *recording) next(from int) (Record, error) {
	for {
		b, err := rec.read()
		if err != nil {
			return Record{}, err
		}
		if rec.line < from || len(bytes.TrimSpace(b)) == 0 {
			continue
		}
		r, err := ParseRecord(b)
		if err != nil {
			return Record{}, rec.at(err)
		}
		return r, nil
	}
}

// read reads a line, bounded.
func (rec *recording) read() ([]byte, error) {
	var b []byte
	rec.line++
	for {
		part, err := rec.r.ReadSlice('\n')
		if len(b)+len(part) > MaxLine {
			return nil, rec.at(fmt.Errorf("longer than %d bytes", MaxLine))
		}
		if b = append(b, part...); errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		switch {
		case errors.Is(err, io.EOF) && len(b) == 0:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, rec.at(err)
		}
		return b, nil
	}
}

// at says where.
func (rec *recording) at(err error) error {
	return fmt.Errorf("play: %s:%d: %w", rec.name, rec.line, err)
}
