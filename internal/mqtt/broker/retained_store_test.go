package broker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// anyTopic and anyFilter are made of few levels, so that they meet; what comes before and after the slash in the order of bytes is among
// them.
func anyTopic(t *rapid.T) string {
	levels := rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "a-b", "a0", "$a", "$SYS", "availability", "é"}), 1, 4).Draw(t, "levels")
	return join(levels)
}

func anyFilter(t *rapid.T) string {
	levels := rapid.SliceOfN(rapid.SampledFrom([]string{"+", "+", "", "a", "b", "a-b", "$a", "$SYS", "availability"}), 1, 4).Draw(t, "levels")
	if rapid.Bool().Draw(t, "all below") {
		levels = append(levels, "#")
	}
	return join(levels)
}

func join(levels []string) string {
	s := levels[0]
	for _, l := range levels[1:] {
		s += "/" + l
	}
	if s == "" {
		return "/"
	}
	return s
}

// TestWalk: a filter leads a cursor to what it matches, in order, however many pieces that takes and however often it seeks.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := memory{records: map[string][]byte{}}
		for range rapid.IntRange(0, 150).Draw(t, "topics") {
			m.replace(anyTopic(t), []byte("x"))
		}
		filter := anyFilter(t)
		var want, got []string
		for _, topic := range m.topics {
			if mqtt.Match(filter, topic) {
				want = append(want, topic)
			}
		}
		p, most, refuse := newPattern(filter), rapid.IntRange(1, 40).Draw(t, "most"), rapid.IntRange(2, 9).Draw(t, "refuse")
		asked := 0
		for from, more := "", true; more; more = from != "" {
			m.view(func(cur cursor) {
				from = p.walk(cur, from, most, func(topic, _ []byte) bool {
					if asked++; asked%refuse == 0 {
						return false
					}
					got = append(got, string(topic))
					return true
				})
			})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q of %q: %s", filter, m.topics, diff)
		}
	})
}

// TestWalkSeeks: what cannot match is not looked at.
func TestWalkSeeks(t *testing.T) {
	m := memory{records: map[string][]byte{}}
	for i := range 10_000 {
		m.replace(fmt.Sprintf("zigbee2mqtt/device_%05d", i), []byte("x"))
		m.replace(fmt.Sprintf("$SYS/%05d", i), []byte("x"))
	}
	m.replace("z/availability", []byte("x"))
	for filter, most := range map[string]int{"+/availability": 200, "+/device_05000": 200, "zigbee2mqtt/device_05000": 2, "zigbee2mqtt/device_05000/#": 40, "z/#": 40} {
		var next string
		m.view(func(cur cursor) {
			next = newPattern(filter).walk(cur, "", most, func(_, _ []byte) bool { return true })
		})
		if next != "" {
			t.Errorf("%s: more than %d topics were looked at", filter, most)
		}
	}
}

// TestPlainRecord: the short way of decoding decodes what it takes as the long one does, and takes what is common.
func TestPlainRecord(t *testing.T) {
	text := rapid.OneOf(rapid.SampledFrom([]string{"a", "zigbee2mqtt/bridge", `"`, `\`, "a\tb", "<é>", ",", "}", `","q":2}`}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		m := message{Topic: text.Draw(t, "topic"), QoS: rapid.ByteMax(3).Draw(t, "qos"), Retain: rapid.Bool().Draw(t, "retain"),
			Origin: text.Draw(t, "origin"), Expires: rapid.SampledFrom([]int64{0, 0, 9}).Draw(t, "expires")}
		head, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if i := rapid.IntRange(0, 3*len(head)).Draw(t, "cut"); i < len(head) {
			head = head[:i]
		}
		var short, long message
		if short.decodePlain(head) {
			if err := json.Unmarshal(head, &long); err != nil {
				t.Fatalf("%s: %v", head, err)
			}
			if diff := cmp.Diff(long, short); diff != "" {
				t.Errorf("%s: %s", head, diff)
			}
		}
	})
	for _, head := range []string{`{"t":"a/b"}`, `{"t":"a/b","q":1,"r":true,"o":"bridge"}`, `{"t":"é","r":true}`} {
		if new(message).decodePlain([]byte(head)) != true {
			t.Errorf("%s is not taken", head)
		}
	}
}

// TestOldFile: records as versions before this one wrote them are read, what is damaged is left out, and both can be replaced.
func TestOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mqtt.db")
	st, err := openStore(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	record := func(head, payload string) []byte { return append(append([]byte{byte(len(head))}, head...), payload...) }
	for topic, r := range map[string][]byte{
		"a/b": record(`{"t":"a/b","q":1,"r":true}`, "one"), "a/c": record(`{"t":"a/c","r":true,"e":1}`, "over"),
		"a/d": record(`{"t":"a/d","r":true,"p":{"c":"text"}}`, "two"), "a/e": record(`{"t":`, "bad"), "a/f": {99}, "a/g": record(`{"t":"a/x"}`, "elsewhere"),
	} {
		if err := st.write(put(bucketRetained, []byte(topic), r)); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.close(); err != nil {
		t.Fatal(err)
	}
	b, err := Start(t.Context(), Options{Address: "127.0.0.1:0", DataPath: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	got := map[string]string{}
	for m := range b.Retained("#") {
		got[m.Topic] = string(m.Payload)
	}
	if diff := cmp.Diff(map[string]string{"a/b": "one", "a/d": "two"}, got); diff != "" {
		t.Error(diff)
	}
	for _, topic := range []string{"a/b", "a/e", "a/f", "a/g"} {
		if err := b.Publish(t.Context(), topic, []byte("new"), 1, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Publish(t.Context(), "a/d", nil, 1, true); err != nil {
		t.Fatal(err)
	}
	b.expire("a/c")
	if s := b.Stats(); s.Retained != 4 || s.RetainedBytes != 4*(3+3) {
		t.Errorf("%d retained with %d bytes", s.Retained, s.RetainedBytes)
	}
}

// TestRecount: after a transaction that failed, the number of what is retained is what the file says.
func TestRecount(t *testing.T) {
	st, err := openStore(filepath.Join(t.TempDir(), "mqtt.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.close() }()
	record, err := message{Topic: "a", Payload: []byte("x")}.encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := st.retain("a", record, func(*bbolt.Tx) error { panic("a page is gone") }); err == nil {
		t.Fatal("it was written")
	}
	if n := st.retained.messages.Load(); n != 0 {
		t.Errorf("%d retained after a failure", n)
	}
	st.retained.messages.Store(7)
	if err := st.retain("a", record); err != nil {
		t.Fatal(err)
	}
	if n, size := st.retained.messages.Load(), st.retained.bytes.Load(); n != 1 || size != 2 {
		t.Errorf("%d retained with %d bytes", n, size)
	}
}

// TestCommitFails: an error of the commit itself says that the changes may be in the file, and one before it does not.
func TestCommitFails(t *testing.T) {
	st, err := openStore(filepath.Join(t.TempDir(), "mqtt.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.close() }()
	record, err := message{Topic: "a", Payload: []byte("x")}.encode()
	if err != nil {
		t.Fatal(err)
	}
	bad := errors.New("bad")
	if err := st.retain("a", record, func(*bbolt.Tx) error { return bad }); !errors.Is(err, bad) || errors.Is(err, errCommit) {
		t.Errorf("before the commit: %v", err)
	}
	if _, there, err := st.retainedSize("a"); there || err != nil {
		t.Errorf("it is there: %v", err)
	}
	written := func(tx *bbolt.Tx) error {
		tx.OnCommit(func() { panic("and nobody says so") })
		return nil
	}
	if err := st.retain("a", record, written); !errors.Is(err, errCommit) {
		t.Errorf("in the commit: %v", err)
	}
	if _, there, err := st.retainedSize("a"); !there || err != nil {
		t.Errorf("it is not there: %v", err)
	}
}

// TestMemoryCursor: without a file the same cursor is had as with one.
func TestMemoryCursor(t *testing.T) {
	m := memory{records: map[string][]byte{}}
	for _, topic := range []string{"b", "a", "c", "a"} {
		m.replace(topic, []byte(topic))
	}
	m.replace("c", nil)
	m.view(func(cur cursor) {
		var got []string
		for k, v := cur.Seek([]byte("a0")); k != nil && bytes.Equal(k, v); k, v = cur.Next() {
			got = append(got, string(k))
		}
		if !slices.Equal(got, []string{"b"}) {
			t.Errorf("%q", got)
		}
	})
}
