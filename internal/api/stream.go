package api

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"
)

// MaxMessageBytes is the longest line of a stream that Messages reads: more than an event can become.
const MaxMessageBytes = 32 << 20

// Message is one message of a stream of server-sent events.
type Message struct {
	// Event is its name, one of the Stream constants.
	Event string
	// ID is the last id that the stream had given when the message came. A reader that has dealt with the message
	// may come back with it in a Last-Event-ID header.
	ID string
	// Data is JSON; what it is an object of, Event says.
	Data []byte
}

// Messages reads a stream of server-sent events until it ends. An error ends it, a message that is cut off is none:
// the sequence ends without an error where the stream does.
func Messages(r io.Reader) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 64<<10), MaxMessageBytes)
		var m Message
		for lines.Scan() {
			line := lines.Text()
			if line == "" {
				// An id without data is remembered, and is no message.
				if m.Data != nil && !yield(m, nil) {
					return
				}
				m = Message{ID: m.ID}
				continue
			}
			field, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "event":
				m.Event = value
			case "id":
				m.ID = value
			case "data":
				if m.Data != nil {
					m.Data = append(m.Data, '\n')
				}
				m.Data = append(m.Data, value...)
			}
		}
		if err := lines.Err(); err != nil {
			yield(Message{}, fmt.Errorf("stream: %w", err))
		}
	}
}
