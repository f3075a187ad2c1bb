package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxTopicBytes is what the protocol itself allows for a topic or a filter.
const MaxTopicBytes = 65535

// ErrTopic is what every error of [ValidTopic] and [ValidFilter] wraps.
var ErrTopic = errors.New("mqtt: bad topic")

// ValidTopic says why a string cannot be the topic of a message: empty, too long, not UTF-8, a NUL, a wildcard.
func ValidTopic(topic string) error {
	if err := validText("topic", topic); err != nil {
		return err
	}
	if i := strings.IndexAny(topic, "+#"); i >= 0 {
		return fmt.Errorf("%w: topic %.80q: a message's topic must not contain the wildcard %q", ErrTopic, topic, topic[i])
	}
	return nil
}

// ValidFilter says why a string cannot be a topic filter: what [ValidTopic] says, except that + may stand for a whole
// level and # for the last one. A shared subscription ($share/<group>/<filter>) is valid when its filter is.
func ValidFilter(filter string) error {
	if err := validText("filter", filter); err != nil {
		return err
	}
	rest, shared, err := splitShared(filter)
	if err != nil {
		return err
	}
	if shared && rest == "" {
		return fmt.Errorf("%w: filter %.80q: a shared subscription needs a filter after its group", ErrTopic, filter)
	}
	for rest != "" {
		level, next, more := strings.Cut(rest, "/")
		switch {
		case level == "#" && more:
			return fmt.Errorf("%w: filter %.80q: # must be the last level", ErrTopic, filter)
		case len(level) > 1 && strings.ContainsAny(level, "+#"):
			return fmt.Errorf("%w: filter %.80q: a wildcard must stand alone in its level", ErrTopic, filter)
		}
		rest = next
	}
	return nil
}

// SharedFilter returns the filter of a shared subscription, and any other filter as it is.
func SharedFilter(filter string) string {
	rest, _, err := splitShared(filter)
	if err != nil {
		return filter
	}
	return rest
}

// Match reports whether a valid topic matches a valid filter. A wildcard in a filter's first level does not match a
// topic that begins with $; a/# matches a itself.
func Match(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")) {
		return false
	}
	return covers(filter, topic)
}

// Covers reports whether every topic that matches the filter asked for is matched by the filter held: what an access
// rule needs to know about a subscription. A topic is a filter that matches only itself.
func Covers(held, asked string) bool {
	if strings.HasPrefix(asked, "$") && (strings.HasPrefix(held, "+") || strings.HasPrefix(held, "#")) {
		return false
	}
	return covers(held, asked)
}

// covers walks both level by level. In what is asked, + and # are as wide as they are; in what is held they take in
// one level and the rest.
func covers(held, asked string) bool {
	for {
		h, hRest, hMore := strings.Cut(held, "/")
		a, aRest, aMore := strings.Cut(asked, "/")
		if h == "#" {
			return true
		}
		if a == "#" || (h != "+" && h != a) {
			return false
		}
		switch {
		case !hMore && !aMore:
			return true
		case !aMore:
			return hRest == "#"
		case !hMore:
			return false
		}
		held, asked = hRest, aRest
	}
}

// splitShared takes $share/<group>/ off a filter.
func splitShared(filter string) (rest string, shared bool, err error) {
	after, ok := strings.CutPrefix(filter, "$share/")
	if !ok {
		return filter, false, nil
	}
	group, rest, ok := strings.Cut(after, "/")
	if !ok || group == "" || strings.ContainsAny(group, "+#") {
		return "", true, fmt.Errorf("%w: filter %.80q: a shared subscription is $share/<group>/<filter>", ErrTopic, filter)
	}
	return rest, true, nil
}

// validText is what topics and filters have in common.
func validText(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: the %s is empty", ErrTopic, what)
	case len(s) > MaxTopicBytes:
		return fmt.Errorf("%w: the %s has %d bytes, at most %d are allowed", ErrTopic, what, len(s), MaxTopicBytes)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: the %s %.80q is not UTF-8", ErrTopic, what, s)
	case strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("%w: the %s %.80q contains a NUL", ErrTopic, what, s)
	}
	return nil
}
