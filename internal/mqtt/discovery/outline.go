package discovery

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/state"
)

// outline is a definition without what is an entity's own: its topics and the key that announced it. Entities of the same kind, of which
// a house has thousands, have the same outline, and what is made of that is made once for all of them.
type outline struct {
	// text is the definition with marks for its topics, and without the key.
	text []byte
	// topics are what the marks stand for, each once; markOf writes the mark of one.
	topics []string
	key    string
}

// topicMark is what a mark begins with: no topic of a message can.
const topicMark = "#"

func markOf(topic int) string { return topicMark + strconv.Itoa(topic) }

// markedTopic is the place of a mark's topic, false for what is no mark.
func markedTopic(mark string) (int, bool) {
	digits, ok := strings.CutPrefix(mark, topicMark)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// outlineOf takes a definition apart without making values of it. Whether it is JSON at all shows when its outline is read: a definition
// with the outline of another one is JSON where that is.
func outlineOf(text string) (outline, error) {
	s := outliner{in: text}
	if s.scan(); s.escaped {
		// Names that are written in another way than ours could hide a topic.
		v, err := state.ValueFromJSON([]byte(text))
		if err != nil {
			return outline{}, fmt.Errorf("%w: %w", errNoDefinition, err)
		}
		s = outliner{in: string(state.AppendJSON(nil, v))}
		s.scan()
	}
	if s.bad != nil {
		return outline{}, fmt.Errorf("%w: %w", errNoDefinition, s.bad)
	}
	return outline{text: append(s.out, s.in[s.copied:]...), topics: s.topics, key: s.key}, nil
}

// outliner goes through a definition once.
type outliner struct {
	in     string
	out    []byte
	copied int // up to where in was copied to out
	depth  int
	topics []string
	key    string

	escaped bool // a name has an escape
	bad     error
}

func (s *outliner) scan() {
	s.out = make([]byte, 0, len(s.in))
	for pos := 0; pos < len(s.in) && s.bad == nil; {
		switch s.in[pos] {
		case '{', '[':
			s.depth++
		case '}', ']':
			s.depth--
		case '"':
			pos = s.string(pos)
			continue
		}
		pos++
	}
}

// string goes past the string that begins at pos, and past the value where it is the name of a topic or of the key.
func (s *outliner) string(pos int) int {
	name, pos := s.literal(pos)
	value := s.space(pos)
	if value == len(s.in) || s.in[value] != ':' {
		return pos // a value
	}
	s.escaped = s.escaped || strings.Contains(name, `\`)
	if value = s.space(value + 1); value == len(s.in) || s.in[value] != '"' {
		return pos
	}
	isKey := s.depth == 1 && name == fieldKey
	if !isKey && !haIsTopic(name) {
		return pos
	}
	raw, end := s.literal(value)
	text, err := unquote(raw)
	switch {
	case err != nil:
		s.bad = err
	case isKey:
		s.key = text
		s.put(value, `""`, end)
	case text != "":
		s.put(value, `"`+markOf(s.topic(text))+`"`, end)
	}
	return end
}

// literal is what is between the quotes of the string that begins at pos, and where that ends.
func (s *outliner) literal(pos int) (raw string, end int) {
	for i := pos + 1; i < len(s.in); i++ {
		switch s.in[i] {
		case '\\':
			i++
		case '"':
			return s.in[pos+1 : i], i + 1
		}
	}
	return s.in[pos+1:], len(s.in) // it is no JSON
}

func (s *outliner) space(pos int) int {
	for pos < len(s.in) && strings.IndexByte(" \t\r\n", s.in[pos]) >= 0 {
		pos++
	}
	return pos
}

// put writes something else instead of what is between two places.
func (s *outliner) put(from int, instead string, to int) {
	s.out = append(append(s.out, s.in[s.copied:from]...), instead...)
	s.copied = to
}

// topic is the number of a topic.
func (s *outliner) topic(topic string) int {
	for i, t := range s.topics {
		if t == topic {
			return i
		}
	}
	s.topics = append(s.topics, topic)
	return len(s.topics) - 1
}

// unquote is what a JSON string says, given what is between its quotes.
func unquote(raw string) (string, error) {
	if !strings.Contains(raw, `\`) && utf8.ValidString(raw) && strings.IndexFunc(raw, func(r rune) bool { return r < ' ' }) < 0 {
		return raw, nil
	}
	v, err := state.ValueFromJSON([]byte(`"` + raw + `"`))
	if err != nil {
		return "", err
	}
	text, _ := dialect.TextOf(v)
	return text, nil
}
