package eventstore

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func drawEvent(t *rapid.T) Event {
	e := Event{
		Source:        rapid.StringN(0, 20, MaxName).Draw(t, "source"),
		Entity:        rapid.StringMatching(`[a-z0-9_]{1,8}\.[a-z0-9_]{1,20}`).Draw(t, "entity"),
		CausePosition: Position(rapid.Uint64Range(0, uint64(MaxPosition)).Draw(t, "cause")),
	}
	if rapid.Bool().Draw(t, "with correlation") {
		e.CorrelationID = rapid.StringMatching(`[A-Z0-9]{1,26}`).Draw(t, "correlation")
	}
	if rapid.Bool().Draw(t, "with timestamp") {
		e.Timestamp = time.Unix(0, rapid.Int64Range(1, 1<<62).Draw(t, "timestamp"))
	}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		e.Payload = &eventv1.Payload{Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}}}
	case 1:
		e.Payload = &eventv1.Payload{Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{
			Kind:  rapid.StringMatching(`[a-z]{1,10}\.[a-z_]{1,10}`).Draw(t, "custom kind"),
			Value: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "value"),
		}}}
	default:
		e.Payload = &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{
			Attributes: &entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{
				Value: &entityv1.Sensor_Number{Number: rapid.Float64().Draw(t, "number")},
			}}},
		}}}
	}
	return e
}

// What is encoded is decoded to the same event; what the store assigns depends on position and batch alone.
func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		index := rapid.IntRange(0, 1000).Draw(t, "index")
		if err := e.check(); err != nil {
			t.Fatal(err)
		}
		raw, _, err := encodeRecord(nil, &e, index, 0)
		if err != nil {
			t.Fatal(err)
		}
		r, err := decodeRecord(raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		at, recorded := Position(index)+rapid.Custom(func(t *rapid.T) Position {
			return Position(rapid.Uint64Range(1, 1<<40).Draw(t, "first"))
		}).Draw(t, "position"), int64(77)
		got, err := r.event(at, recorded)
		if err != nil {
			t.Fatal(err)
		}
		want := e
		want.Position, want.RecordedAt, want.Kind = at, time.Unix(0, recorded).UTC(), KindOf(e.Payload)
		if e.Timestamp.IsZero() {
			want.Timestamp = want.RecordedAt
		} else {
			want.Timestamp = e.Timestamp.UTC()
		}
		if e.CorrelationID == "" {
			want.CorrelationID = fmt.Sprintf("@%d", at-Position(index))
		}
		if !proto.Equal(got.Payload, want.Payload) {
			t.Fatalf("payload %v, want %v", got.Payload, want.Payload)
		}
		got.Payload, want.Payload = nil, nil
		if got != want {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
		if r.kind() != want.Kind {
			t.Fatalf("kind %q, want %q", r.kind(), want.Kind)
		}
	})
}

// drawFields draws encoded fields of a payload: whole kinds, also ones whose tag takes a byte more than it has to, and what is
// none.
func drawFields(t *rapid.T) []byte {
	kinds := []*eventv1.Payload{
		{Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{Attributes: &entityv1.Attributes{}}}},
		{Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}}},
		{Kind: &eventv1.Payload_EntityUnregistered{EntityUnregistered: &eventv1.EntityUnregistered{}}},
		{Kind: &eventv1.Payload_EntityRenamed{EntityRenamed: &eventv1.EntityRenamed{NewId: "sensor.b"}}},
		{Kind: &eventv1.Payload_System{System: &eventv1.System{What: "started"}}},
		{Kind: &eventv1.Payload_HistoryRemoved{HistoryRemoved: &eventv1.HistoryRemoved{Through: 1}}},
		{Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{Kind: "acme.x"}}},
		{Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{Kind: "acme.y", Value: []byte{1}}}},
		{Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{}}},
	}
	var fields []byte
	for range rapid.IntRange(0, 4).Draw(t, "fields") {
		switch number := rapid.SampledFrom([]protowire.Number{1, 2, 12, 14, 15, 16, 900}).Draw(t, "number"); rapid.IntRange(0, 5).Draw(t, "form") {
		case 0:
			fields = protowire.AppendVarint(protowire.AppendTag(fields, number, protowire.VarintType), 7)
		case 1:
			fields = protowire.AppendFixed32(protowire.AppendTag(fields, number, protowire.Fixed32Type), 7)
		case 2:
			fields = protowire.AppendTag(protowire.AppendTag(fields, number, protowire.StartGroupType), number, protowire.EndGroupType)
		case 3:
			fields = protowire.AppendBytes(protowire.AppendTag(fields, number, protowire.BytesType), rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "bytes"))
		default:
			whole, err := proto.Marshal(rapid.SampledFrom(kinds).Draw(t, "kind"))
			if err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 3).Draw(t, "long") == 0 {
				whole = slices.Concat([]byte{whole[0] | 0x80, 0}, whole[1:])
			}
			fields = append(fields, whole...)
		}
	}
	return fields
}

// Whatever is accepted is of one kind: the one that a record's first field says, by which a replay folds it and a read filters
// it, is the one of what is decoded, by which it was folded when it was appended. Nothing else is refused for its fields.
func TestOneKind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		e.Entity, e.CorrelationID = rapid.SampledFrom([]string{"", "sensor.a"}).Draw(t, "about"), ""
		if rapid.Bool().Draw(t, "no kind") {
			e.Payload = &eventv1.Payload{}
		}
		e.Payload.ProtoReflect().SetUnknown(drawFields(t))
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(e.Payload)
		if err != nil {
			t.Fatal(err)
		}
		decoded := e
		decoded.Payload = &eventv1.Payload{}
		valid := proto.Unmarshal(raw, decoded.Payload) == nil && decoded.check() == nil
		kind := KindOf(decoded.Payload)
		same := (&record{payload: raw}).kind() == kind

		batch, err := prepare([]Event{e}, true)
		if accepted := err == nil; accepted != (valid && same) || !accepted && !errors.Is(err, ErrInvalid) {
			t.Fatalf("%x, of the kind %q: %v, valid %t, of one kind %t", raw, kind, err, valid, same)
		}
		if err != nil {
			return
		}
		r, err := decodeRecord(batch[0].record, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.event(1, 1)
		if err != nil || again.Kind != kind || batch[0].event.Kind != kind || r.kind() != kind || !proto.Equal(again.Payload, batch[0].event.Payload) {
			t.Fatalf("%x is %q and %v, and is read as %q, %q and %v, %v", raw, batch[0].event.Kind, batch[0].event.Payload, r.kind(), again.Kind, again.Payload, err)
		}
	})
}

// An event has one correlation id, and is found by that alone.
func TestCorrelatedBy(t *testing.T) {
	own, given := record{index: 2}, record{index: 2, correlation: "x"}
	for _, id := range []string{"@5", "@05", "@+5", "@", "5", "", "@7", "x"} {
		if got := own.correlatedBy(id, 7); got != (id == batchCorrelation(5)) {
			t.Errorf("%q, of the batch's own: %t", id, got)
		}
		if got := given.correlatedBy(id, 7); got != (id == "x") {
			t.Errorf("%q, of one that was given: %t", id, got)
		}
	}
}

// A golden chain: the records and chain values of a few events are what every version since the first has written.
func TestGoldenChain(t *testing.T) {
	on := true
	events := []Event{
		{
			Entity: "light.kitchen", Source: "zigbee2mqtt", Timestamp: time.Unix(1_700_000_000, 5),
			Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateChanged{StateChanged: &eventv1.StateChanged{
				Attributes: &entityv1.Attributes{Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{On: &on}}},
			}}},
		},
		{Payload: &eventv1.Payload{Kind: &eventv1.Payload_System{System: &eventv1.System{What: "started"}}}},
		{
			Entity: "sensor.a", Source: "api:alice", CorrelationID: "01HF7YAT00", CausePosition: 1,
			Payload: &eventv1.Payload{Kind: &eventv1.Payload_Custom{Custom: &eventv1.Custom{Kind: "acme.x", Value: []byte{0, 1}}}},
		},
	}
	var out strings.Builder
	c := genesis([]byte("0123456789abcdef"))
	fmt.Fprintf(&out, "genesis %x\n", c)
	for i := range events {
		raw, _, err := encodeRecord(nil, &events[i], i, 0)
		if err != nil {
			t.Fatal(err)
		}
		at, recorded := Position(i+1), 1_700_000_000_000_000_000+int64(i)
		c = c.next(at, recorded, sha256.Sum256(raw))
		fmt.Fprintf(&out, "%d %d %x\n  %x\n", at, recorded, raw, c)
	}
	const golden = "testdata/chain.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte("\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x03a.b\x01s\x00\x05\x02\x12\x00"))
	f.Add([]byte("\x80\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := decodeRecord(raw, nil)
		if err != nil {
			return
		}
		e, err := r.event(Position(r.index)+1, 1)
		if err != nil || e.check() != nil {
			return
		}
		if len(r.correlation) == 0 {
			e.CorrelationID = ""
		}
		if r.timestamp == 0 {
			e.Timestamp = time.Time{}
		}
		again, _, err := encodeRecord(nil, &e, int(r.index), 0)
		if err != nil {
			t.Fatal(err)
		}
		// Numbers and payloads may be written in longer ways: what they say must come back.
		back, err := decodeRecord(again, nil)
		if err != nil {
			t.Fatalf("%x becomes %x: %v", raw, again, err)
		}
		e2, err := back.event(Position(r.index)+1, 1)
		if err != nil || !proto.Equal(e2.Payload, e.Payload) {
			t.Fatalf("%x becomes %x: the payload is %v: %v", raw, again, e2.Payload, err)
		}
		if back.payload = r.payload; !reflect.DeepEqual(back, r) {
			t.Fatalf("%x becomes %x: %+v and not %+v", raw, again, back, r)
		}
	})
}

// Whatever a segment's row holds, reading it ends with events or with ErrCorrupt.
func FuzzSegment(f *testing.F) {
	f.Add(uint64(1), uint64(1), int64(5), int64(5), int64(1), []byte{7, 0, 0, 0, 0, 0, 0, 0})
	f.Add(uint64(1), uint64(9), int64(5), int64(6), int64(1), []byte{})
	f.Add(uint64(3), uint64(1<<62), int64(5), int64(5), int64(1), []byte{0, 0, 0})
	f.Add(uint64(1), uint64(2), int64(5), int64(5), int64(2), []byte{200, 200, 200, 1})
	f.Fuzz(func(t *testing.T, first, last uint64, a, b, encoding int64, body []byte) {
		s := segment{
			first: Position(first), last: Position(last), firstRecorded: a, lastRecorded: b,
			encoding: encoding, body: append(make([]byte, 4), body...),
		}
		r := newRun()
		if err := r.open(&s, nil); err == nil || !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a segment without its checksum: %v", err)
		}
		s.sum()
		if err := r.open(&s, nil); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v is not ErrCorrupt", err)
			}
			return
		}
		if len(r.records) != int(last-first)+1 {
			t.Fatalf("%d events from %d to %d", len(r.records), first, last)
		}
		for i := range r.records {
			if r.recorded[i] < a || r.recorded[i] > b {
				t.Fatalf("position %d at %d", r.position(i), r.recorded[i])
			}
			if _, err := r.event(i); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
		}
	})
}

// Every flipped bit of a segment's row is found before anything of it is used.
func TestEveryFlippedBitIsFound(t *testing.T) {
	e := Event{Entity: "sensor.a", Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}}}}
	raw, _, err := encodeRecord(nil, &e, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	make1 := func() *segment {
		s := &segment{first: 4, last: 4, firstRecorded: 9, lastRecorded: 9, encoding: encodingPlain}
		s.body = append(append(make([]byte, 4), byte(len(raw))), raw...)
		s.chain = chain{1, 2, 3}
		s.sum()
		return s
	}
	ok := func(s *segment) bool {
		return newRun().open(s, nil) == nil
	}
	if !ok(make1()) {
		t.Fatal("the segment is bad as it is")
	}
	for bit := range 64 {
		for _, flip := range []func(s *segment){
			func(s *segment) { s.first ^= 1 << bit }, func(s *segment) { s.last ^= 1 << bit },
			func(s *segment) { s.firstRecorded ^= 1 << bit }, func(s *segment) { s.lastRecorded ^= 1 << bit },
			func(s *segment) { s.encoding ^= 1 << bit },
		} {
			s := make1()
			if flip(s); ok(s) {
				t.Errorf("bit %d of a column", bit)
			}
		}
	}
	for bit := range 8 * len(make1().body) {
		s := make1()
		if s.body[bit/8] ^= 1 << (bit % 8); ok(s) {
			t.Errorf("bit %d of the body", bit)
		}
	}
	for bit := range 8 * len(chain{}) {
		s := make1()
		if s.chain[bit/8] ^= 1 << (bit % 8); ok(s) {
			t.Errorf("bit %d of the chain", bit)
		}
	}
}

// Who rewrites an event, with a checksum that fits, is found by the chain; so is one who moves it in time or place.
func TestChainCatchesARewrite(t *testing.T) {
	build := func(entity string, at Position, recorded int64, before chain) *segment {
		e := Event{Entity: entity, Payload: &eventv1.Payload{Kind: &eventv1.Payload_StateReported{StateReported: &eventv1.StateReported{}}}}
		raw, _, err := encodeRecord(nil, &e, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		s := &segment{first: at, last: at, firstRecorded: recorded, lastRecorded: recorded, encoding: encodingPlain}
		s.body = append(append(make([]byte, 4), byte(len(raw))), raw...)
		s.chain = before.next(at, recorded, sha256.Sum256(raw))
		s.sum()
		return s
	}
	verify := func(s *segment, before chain) error {
		r := newRun()
		if err := r.open(s, nil); err != nil {
			return err
		}
		return r.chainFrom(before, nil)
	}
	start := genesis([]byte("0123456789abcdef"))
	honest := build("light.a", 1, 5, start)
	if err := verify(honest, start); err != nil {
		t.Fatal(err)
	}
	for name, forged := range map[string]*segment{
		"content": build("light.b", 1, 5, start), "time": build("light.a", 1, 6, start),
		"position": build("light.a", 2, 5, start),
	} {
		forged.chain = honest.chain
		forged.sum()
		if err := verify(forged, start); !errors.Is(err, ErrCorrupt) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if err := verify(honest, chain{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another history: %v", err)
	}
}
