package broker

import (
	"bytes"
	"strings"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// cursor walks over records in the order of the bytes of their topics. A bbolt cursor is one.
type cursor interface {
	Seek(topic []byte) (key, record []byte)
	Next() (key, record []byte)
}

// pattern is a topic filter by which a cursor is led over sorted topics. There is no other index: the order of the topics serves
// the filters that are asked for (one topic, one subtree), and the rest looks at every topic of a subtree, which costs less than
// the sending of what it finds.
type pattern struct {
	filter string
	below  string // the levels before the first wildcard, with their slash
	base   string // what everything that matches begins with: a/# is also a
	wild   string // from the first wildcard on, empty where there is none
	second string // of +/…: what must follow the level, up to the next wildcard
}

func newPattern(filter string) pattern {
	p := pattern{filter: filter, below: filter, base: filter}
	i := strings.IndexAny(filter, "+#")
	if i < 0 {
		return p
	}
	p.below, p.base, p.wild = filter[:i], strings.TrimSuffix(filter[:i], "/"), filter[i:]
	if p.below == "/" {
		p.base = p.below // no topic is empty
	}
	if after, ok := strings.CutPrefix(p.wild, "+/"); ok {
		p.second = after
		if j := strings.IndexAny(after, "+#"); j >= 0 {
			p.second = strings.TrimSuffix(after[:j], "/") // x/# is also x
		}
	}
	return p
}

// missesBeforeSeek is after how many topics that do not match a cursor seeks: a seek costs as much as some dozen steps.
const missesBeforeSeek = 32

// walk has take called with what matches, from a topic on, until it says false or after most topics. It returns the topic to go on
// with, which is empty when there are no more; one that take refused is not behind it.
func (p pattern) walk(cur cursor, from string, most int, take func(topic, record []byte) bool) (next string) {
	misses := 0
	k, v := cur.Seek([]byte(max(from, p.base)))
	for ; k != nil && bytes.HasPrefix(k, []byte(p.base)); most-- {
		switch {
		case most == 0:
			return string(k)
		case p.matches(k):
			if !take(k, v) {
				return string(k)
			}
			misses = 0
		case p.wild == "":
			return ""
		default:
			misses++
		}
		if misses >= missesBeforeSeek {
			to, more := p.skip(k)
			if !more {
				return ""
			}
			if misses = 0; to != "" {
				k, v = cur.Seek([]byte(to))
				continue
			}
		}
		k, v = cur.Next()
	}
	return ""
}

// matches is [mqtt.Match] with less work where there is less to find out.
func (p pattern) matches(topic []byte) bool {
	switch {
	case p.wild == "":
		return string(topic) == p.filter
	case p.wild == "#" && p.below != "":
		return len(topic) == len(p.base) || bytes.HasPrefix(topic, []byte(p.below))
	}
	return mqtt.Match(p.filter, string(topic))
}

// skip says where there may be something again after a topic that does not match: empty where that is not known, and more is false
// where there is nothing. It is always behind the topic.
func (p pattern) skip(topic []byte) (to string, more bool) {
	if p.below == "" && topic[0] == '$' {
		return string(rune('$' + 1)), true // no wildcard stands for $…
	}
	below, inside := bytes.CutPrefix(topic, []byte(p.below))
	if !inside {
		return p.below, string(topic) < p.below
	}
	level, rest, deeper := bytes.Cut(below, []byte("/"))
	switch {
	case p.second == "", !deeper, bytes.HasPrefix(rest, []byte(p.second)):
		return "", true
	case string(rest) < p.second:
		return p.below + string(level) + "/" + p.second, true
	}
	return p.below + string(level) + string(rune('/'+1)), true
}
