package broker_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// large are 40,000 bytes of properties and a little.
func large() []byte { return userProperty("k", strings.Repeat("v", 40_000)) }

// TestPropertiesCount: what a message has beside its payload counts in the limits of queues and of what is retained.
func TestPropertiesCount(t *testing.T) {
	const most = 100_000
	long := strings.Repeat("l", 1000)
	for name, c := range map[string]struct {
		topic string // with a %d
		props []byte
		taken int // of the retained ones, at most
	}{
		"a user property":           {"t/%d", large(), 2},
		"empty user properties":     {"t/%d", bytes.Repeat(userProperty("", ""), 1000), 3},
		"content type":              {"t/%d", append([]byte{3}, str(strings.Repeat("c", 40_000))...), 2},
		"response topic":            {"t/%d", append([]byte{8}, str(strings.Repeat("r", 40_000))...), 2},
		"correlation data":          {"t/%d", append([]byte{9}, str(strings.Repeat("d", 40_000))...), 2},
		"topics":                    {long + "/%d", nil, most / 1000},
		"nothing but what is small": {"t/%d", nil, 120},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, broker.Options{DataPath: dataPath(t), Limits: broker.Limits{MaxQueuedBytes: most, MaxRetainedBytes: most}})
			away := dial(t, b)
			away.join(hello{version: 5, id: "away", kept: true})
			away.subscribe(1, "#", 1)
			_ = away.c.Close()
			eventually(t, "the subscriber is away", func() bool { return b.Stats().Connected == 0 })
			p := dial(t, b)
			p.join(hello{version: 5, id: "p"})
			taken := 0
			for i := range 120 {
				topic := fmt.Sprintf(c.topic, i)
				if code := p.publish5(topic, "x", uint16(i+1), retain, c.props); code == 0 {
					taken++
				}
				if code := p.publish5(topic, "x", uint16(i+1), 0, c.props); code != 0 {
					t.Fatalf("code %#x", code)
				}
			}
			if taken > c.taken || taken < c.taken*9/10 {
				t.Errorf("%d retained messages were taken, want %d", taken, c.taken)
			}
			if n := b.Backlog(); n > most || n < most/4 && c.taken < 120 {
				t.Errorf("%d bytes are queued, at most %d may be", n, most)
			}
			if n := b.Stats().RetainedBytes; n > most {
				t.Errorf("%d bytes are retained, at most %d may be", n, most)
			}
		})
	}
}

// TestMoreThanLimits: a file may have more than the limits allow, since they were changed or counted otherwise. Nothing of it is lost: it is
// delivered, and a retained message can be replaced by one that is no larger, or removed.
func TestMoreThanLimits(t *testing.T) {
	path := dataPath(t)
	b := start(t, broker.Options{DataPath: path})
	away := dial(t, b)
	away.join(hello{version: 5, id: "away", kept: true})
	away.subscribe(1, "#", 1)
	_ = away.c.Close()
	eventually(t, "the subscriber is away", func() bool { return b.Stats().Connected == 0 })
	p := dial(t, b)
	p.join(hello{version: 5, id: "p"})
	for i := range 5 {
		if code := p.publish5(fmt.Sprint("t/", i), "first", uint16(i+1), retain, large()); code != 0 {
			t.Fatalf("code %#x", code)
		}
	}
	size := b.Stats().RetainedBytes
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	b = start(t, broker.Options{DataPath: path, Limits: broker.Limits{MaxQueuedBytes: 50_000, MaxRetainedBytes: 50_000}})
	if got := b.Backlog(); got != size { // what is queued is what is retained
		t.Errorf("%d bytes are queued after the start, want %d", got, size)
	}
	if s := b.Stats(); s.Retained != 5 || s.RetainedBytes != size {
		t.Errorf("%d retained with %d bytes after the start, want 5 with %d", s.Retained, s.RetainedBytes, size)
	}
	p = dial(t, b)
	p.join(hello{version: 5, id: "p"})
	for i, c := range []struct {
		topic, payload string
		props          []byte
		code           byte
	}{{"t/0", "other", large(), 0}, {"t/1", "x", nil, 0}, {"t/2", "larger", large(), 0x97}, {"t/3", "", nil, 0}, {"new", "x", nil, 0x97}} {
		if code := p.publish5(c.topic, c.payload, uint16(i+1), retain, c.props); code != c.code {
			t.Errorf("%s: code %#x, want %#x", c.topic, code, c.code)
		}
	}
	away = dial(t, b)
	away.join(hello{version: 5, id: "away", kept: true})
	for i := range 5 {
		m := away.message()
		if m.topic != fmt.Sprint("t/", i) || m.payload != "first" {
			t.Errorf("queued message %d is %+v", i, m)
		}
		away.idPacket(tPuback, m.id)
	}
	eventually(t, "the queue is empty", func() bool { return b.Backlog() == 0 })
}
