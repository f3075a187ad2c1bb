package cli

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt/play"
)

// recording is what is known of a recording before it is played.
type recording struct {
	// lines is the number of the last line with a message.
	lines int
	// length is the time from the first message to the last.
	length time.Duration
	// farewell says that the last message is a bridge's that it is offline, which makes all of its house unavailable.
	farewell bool
}

// survey reads a recording through.
func survey(path string) (rec recording, err error) {
	f, err := os.Open(path)
	if err != nil {
		return rec, fmt.Errorf("recording: %w", err)
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewReaderSize(f, 64<<10)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return rec, fmt.Errorf("recording %s: %w", path, err)
		}
		in = bufio.NewReaderSize(z, 64<<10)
	}
	var first, last []byte
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if first == nil {
				first = text
			}
			rec.lines, last = n, text
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return rec, fmt.Errorf("recording %s:%d: %w", path, n, err)
		}
	}
	if last == nil {
		return rec, fmt.Errorf("recording %s: it is empty", path)
	}
	begin, err := play.ParseRecord(first)
	if err != nil {
		return rec, fmt.Errorf("recording %s: its first line: %w", path, err)
	}
	end, err := play.ParseRecord(last)
	if err != nil {
		return rec, fmt.Errorf("recording %s:%d: %w", path, rec.lines, err)
	}
	rec.length = end.At - begin.At
	rec.farewell = strings.HasSuffix(end.Topic, "/bridge/state") && bytes.Contains(end.Payload, []byte("offline"))
	return rec, nil
}
