package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/mqtt"
)

// What is kept of what is heard. Others decide about topics, so that both their number and their bytes are bounded.
const (
	maxSniffed      = 100_000
	maxSniffedBytes = 32 << 20
	maxPreview      = 256
	maxQueryBytes   = 48 << 10 // of topics, in one question to the daemon
	shownEntities   = 5
	askPatience     = 10 * time.Second
)

// heardMessage is what is looked at of a message.
type heardMessage struct {
	topic    string
	payload  string // its beginning
	bytes    int
	retained bool
	at       time.Time
}

func hear(m mqtt.Message) heardMessage {
	return heardMessage{m.Topic, string(m.Payload[:min(len(m.Payload), maxPreview)]), len(m.Payload), m.Retained, m.ReceivedAt}
}

// sniffed is what is known of a topic. claims is nil where nobody can say, and empty where nobody claims it.
type sniffed struct {
	messages int64
	retained int64
	last     time.Time
	claims   []api.Claim
}

// claimed says who claims it.
func (t *sniffed) claimed() string {
	words := make([]string, len(t.claims))
	for i, c := range t.claims {
		words[i] = c.Dialect
		if len(c.Entities) > 0 {
			words[i] += ": " + strings.Join(c.Entities, ", ")
		}
		if c.More > 0 {
			words[i] += fmt.Sprintf(" and %d more", c.More)
		}
		if c.Note != "" {
			words[i] += " (" + c.Note + ")"
		}
	}
	return strings.Join(words, "; ")
}

// sniffer keeps what was heard. Its methods are for one goroutine.
type sniffer struct {
	*app
	cmd    *sniffCmd
	daemon *remote // nil where none can say who claims a topic
	silent bool    // that was said

	topics   map[string]*sniffed
	bytes    int
	fresh    []heardMessage // the first messages of topics that were not shown yet
	messages int64
	beyond   int64 // messages on topics for which there was no room
}

// cannotSay tells, once, that nobody can say who claims a topic.
func (s *sniffer) cannotSay(format string, args ...any) {
	if !s.silent {
		s.silent = true
		s.notef("nobody can say who claims a topic: "+format, args...)
	}
}

// take counts a message. errEnough says that it was the last one wanted.
func (s *sniffer) take(m heardMessage) error {
	s.messages++
	t := s.topics[m.topic]
	if t == nil {
		if len(s.topics) >= maxSniffed || s.bytes+len(m.topic) > maxSniffedBytes {
			s.beyond++
			return s.enough()
		}
		t = &sniffed{}
		s.topics[m.topic] = t
		s.bytes += len(m.topic)
		s.fresh = append(s.fresh, m)
	}
	t.messages++
	t.last = m.at
	if m.retained {
		t.retained++
	}
	if len(s.fresh) >= api.MaxClaimTopics {
		if err := s.show(s.ctx); err != nil {
			return err
		}
	}
	return s.enough()
}

func (s *sniffer) enough() error {
	if s.cmd.Count > 0 && s.messages >= int64(s.cmd.Count) {
		return errEnough
	}
	return nil
}

// show prints the topics that are new.
func (s *sniffer) show(ctx context.Context) error {
	fresh := s.fresh
	s.fresh = nil
	topics := make([]string, len(fresh))
	for i, m := range fresh {
		topics[i] = m.topic
	}
	s.ask(ctx, topics)
	for _, m := range fresh {
		t := s.topics[m.topic]
		if s.cmd.Unclaimed && len(t.claims) > 0 {
			continue
		}
		if err := s.print(m, t); err != nil {
			return err
		}
	}
	return nil
}

// ask notes who claims topics, as far as somebody can say.
func (s *sniffer) ask(ctx context.Context, topics []string) {
	for len(topics) > 0 && s.daemon != nil {
		n, bytes := 0, 0
		for ; n < len(topics) && n < api.MaxClaimTopics; n++ {
			text, _ := json.Marshal(topics[n]) // a string has no error
			if bytes += len(text) + 1; bytes > maxQueryBytes {
				break
			}
		}
		if n == 0 { // one that is too long for a question: of that nobody can say
			topics = topics[1:]
			continue
		}
		patient, cancel := context.WithTimeout(ctx, askPatience)
		answer, err := s.daemon.Claims(patient, topics[:n])
		cancel()
		if ctx.Err() != nil {
			return // the end asks again
		}
		if err != nil {
			s.cannotSay("%s", clean(err.Error()))
			return
		}
		for _, topic := range topics[:n] {
			s.topics[topic].claims = []api.Claim{}
		}
		for _, c := range answer.Claims {
			if n := len(c.Entities); n > shownEntities {
				c.Entities, c.More = slices.Clone(c.Entities[:shownEntities]), c.More+n-shownEntities
			}
			if t := s.topics[c.Topic]; t != nil {
				t.claims = append(t.claims, c)
			}
		}
		topics = topics[n:]
	}
}

// sniffLine is a line of JSON; it has one of its fields.
type sniffLine struct {
	Seen    *sniffSeen    `json:"seen,omitempty"`
	Summary *sniffSummary `json:"summary,omitempty"`
	End     *sniffEnd     `json:"end,omitempty"`
}

// sniffSeen is a topic's first message. Payload is its beginning as text, and Bytes its size.
type sniffSeen struct {
	Time     time.Time   `json:"time"`
	Topic    string      `json:"topic"`
	Retained bool        `json:"retained"`
	Bytes    int         `json:"bytes"`
	Payload  string      `json:"payload"`
	Claims   []api.Claim `json:"claims,omitzero"`
}

// sniffSummary is what is known of a topic at the end. Claims is left out where nobody can say.
type sniffSummary struct {
	Topic    string      `json:"topic"`
	Messages int64       `json:"messages"`
	Retained int64       `json:"retained"`
	LastSeen time.Time   `json:"last_seen"`
	Claims   []api.Claim `json:"claims,omitzero"`
}

// sniffEnd counts it all. LeftOut are messages on topics for which there was no room.
type sniffEnd struct {
	Topics    int   `json:"topics"`
	Unclaimed int   `json:"unclaimed"`
	Messages  int64 `json:"messages"`
	LeftOut   int64 `json:"left_out"`
}

// print prints a topic's first message.
func (s *sniffer) print(m heardMessage, t *sniffed) error {
	if s.cmd.json() {
		return printJSONLine(s.stdout, sniffLine{Seen: &sniffSeen{m.at, m.topic, m.retained, m.bytes, strings.ToValidUTF8(m.payload, "\ufffd"), t.claims}})
	}
	who := t.claimed()
	switch {
	case t.claims == nil:
		who = "?"
	case who == "":
		who = "unclaimed"
	}
	how := "fresh"
	if m.retained {
		how = "retained"
	}
	line := fmt.Sprintf("%s  %s  %s  %s  %s", clock(m.at), clean(m.topic), clean(who), how, counted(m.bytes, "byte"))
	if m.payload != "" {
		line += "  " + clean(m.payload)
	}
	if m.bytes > len(m.payload) {
		line += "…"
	}
	if s.term.width > 0 {
		line = cut(line, s.term.width-1)
	}
	return s.printf("%s\n", line)
}

// summarise prints what was heard. Who claims what is asked once more: it may be clear only now. That goes on after an
// interrupt.
func (s *sniffer) summarise() error {
	names := slices.Sorted(maps.Keys(s.topics))
	s.ask(context.WithoutCancel(s.ctx), names)
	claimed := table{columns: []column{{title: "TOPIC", shrink: true}, {title: "MESSAGES", right: true}, {title: "LAST SEEN"}, {title: "CLAIMED BY", sparse: true, shrink: true}}}
	unclaimed := table{columns: claimed.columns[:3:3]}
	end := sniffEnd{Topics: len(names), Messages: s.messages, LeftOut: s.beyond}
	for _, name := range names {
		t := s.topics[name]
		to := &claimed
		if t.claims != nil && len(t.claims) == 0 {
			to = &unclaimed
			end.Unclaimed++
		}
		if s.cmd.Unclaimed && len(t.claims) > 0 {
			continue
		}
		if s.cmd.json() {
			if err := printJSONLine(s.stdout, sniffLine{Summary: &sniffSummary{name, t.messages, t.retained, t.last, t.claims}}); err != nil {
				return err
			}
			continue
		}
		row := []cell{{text: name}, {text: count(t.messages)}, {clock(t.last), dim}, {text: t.claimed()}}
		to.add(row[:len(to.columns)]...)
	}
	if s.cmd.json() {
		return printJSONLine(s.stdout, sniffLine{End: &end})
	}
	return s.printSummary(end, claimed, unclaimed)
}

// printSummary prints it for people.
func (s *sniffer) printSummary(end sniffEnd, claimed, unclaimed table) error {
	if len(claimed.rows) > 0 {
		if err := s.printf("\n%s\n", strings.Join(claimed.lines(s.term), "\n")); err != nil {
			return err
		}
	}
	if len(unclaimed.rows) > 0 {
		if err := s.printf("\nNobody claims:\n%s\n", strings.Join(unclaimed.lines(s.term), "\n")); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("%s on %s", counted(end.Messages, "message"), counted(end.Topics, "topic"))
	if !s.silent {
		line += fmt.Sprintf(", %s of which nobody claims", count(end.Unclaimed))
	}
	if end.LeftOut > 0 {
		line += fmt.Sprintf("; %s on further topics, for which there was no room", counted(end.LeftOut, "message"))
	}
	return s.printf("\n%s\n", line)
}
