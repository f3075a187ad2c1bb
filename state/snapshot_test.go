package state

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/statehouse/statehouse/eventstore"
	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/immutable"
)

func drawState(t *rapid.T) State {
	nanos := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64())
	s := State{
		EntityID:  rapid.StringMatching(`[a-z]{1,9}\.[a-z0-9_]{1,30}`).Draw(t, "id"),
		UpdatedAt: time.Unix(0, nanos.Draw(t, "updated")).UTC(), ChangedAt: time.Unix(0, nanos.Draw(t, "changed")).UTC(),
		UpdatedBy: rapid.SampledFrom([]string{"", "zigbee2mqtt", "ä"}).Draw(t, "source"),
		Position:  eventstore.Position(rapid.Uint64().Draw(t, "position")),
	}
	switch rapid.IntRange(0, 3).Draw(t, "attributes") {
	case 0: // removed
	case 1:
		s.Attributes = &entityv1.Attributes{}
	case 2:
		s.Attributes = &entityv1.Attributes{Domain: &entityv1.Attributes_Sensor{Sensor: &entityv1.Sensor{
			Value: &entityv1.Sensor_Number{Number: rapid.Float64().Draw(t, "number")},
		}}}
	case 3:
		s.Attributes = &entityv1.Attributes{Domain: &entityv1.Attributes_Text{Text: &entityv1.Text{
			Value: proto.String(strings.Repeat("x", rapid.SampledFrom([]int{0, 20, 121, 122, 123, 124, 20_000}).Draw(t, "length"))),
		}}}
	}
	return s
}

// A record is the bytes of its message, and is taken apart into what the general decoder finds in it.
func TestRecordsAreTheirMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(s.record())
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.appendRecord([]byte("before"))
		if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Fatalf("%x instead of %x, %v", got, want, err)
		}
		sameFields(t, want)
	})
}

// sameFields fails unless both decoders make the same of a record, or refuse it.
func sameFields(t interface {
	Helper()
	Fatalf(string, ...any)
}, raw []byte,
) {
	t.Helper()
	var f fields
	d := newDecoder(nil)
	err := f.parse(raw)
	var s State
	if err == nil {
		s, err = d.state(&f)
	}
	var want entityv1.StateRecord
	wantErr := proto.Unmarshal(raw, &want)
	if (err == nil) != (wantErr == nil) {
		// An id's bytes are checked later, and more closely than by the general decoder.
		if err == nil && eventstore.CheckEntityID(string(f.id)) != nil {
			return
		}
		t.Fatalf("%x: %v, by the general decoder %v", raw, err, wantErr)
	}
	if err != nil {
		return
	}
	attributes := want.GetAttributes()
	if attributes == nil {
		attributes = &entityv1.Attributes{}
	}
	if string(f.id) != want.GetEntityId() || s.UpdatedBy != want.GetUpdatedBy() || s.UpdatedAt.UnixNano() != want.GetUpdatedAt() ||
		s.ChangedAt.UnixNano() != want.GetChangedAt() || uint64(s.Position) != want.GetPosition() || f.removed != want.GetRemoved() ||
		!proto.Equal(s.Attributes, attributes) {
		t.Fatalf("%x: %q %+v %v, want %v", raw, f.id, s, f.removed, &want)
	}
}

// FuzzStateRecord: whatever a record holds, it is decoded as the general decoder does it.
func FuzzStateRecord(f *testing.F) {
	s := State{EntityID: "light.a", UpdatedAt: time.Unix(1, 2), UpdatedBy: "x", Attributes: &entityv1.Attributes{}, Position: 300, ChangedAt: time.Unix(0, 1)}
	raw, err := s.appendRecord(nil)
	if err != nil {
		f.Fatal(err)
	}
	for i := range raw {
		f.Add(raw[:i])
	}
	s.Attributes = nil
	gone, _ := s.appendRecord(nil)
	f.Add(append([]byte{tagEntityID, 1, 0xff}, raw...))
	f.Add(append([]byte{tagUpdatedBy, 1, 0xff}, raw...))
	for _, more := range [][]byte{nil, raw, gone, {tagAttributes, 2, 8, 1}, {tagPosition, 0x80, 0}, {tagRemoved, 2}, {0x7a, 1, 'x'},
		{tagUpdatedBy, 1, 0xff}, {tagEntityID, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, {tagUpdatedBy | 0x80, 0}} {
		f.Add(append(slices.Clone(raw), more...))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { sameFields(t, raw) })
}

// States are sorted by id, however long and alike these are.
func TestSortedOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.SampledFrom([]int{0, 1, 2, 100, 10_000}).Draw(t, "count")
		stems := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,3}\.[a-b_]{0,20}`), 1, 5).Draw(t, "stems")
		entities := immutable.NewBuilder[EntityID, State]()
		for i := range count {
			id := stems[i%len(stems)]
			if i >= len(stems) {
				id += fmt.Sprint(i * 7919 % 10007)
			}
			entities.Set(id, State{EntityID: id})
		}
		states := Revision{Entities: entities.Map()}
		var got []string
		for _, s := range states.Sorted() {
			got = append(got, s.EntityID)
		}
		want := slices.Collect(states.Entities.Keys())
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%d ids are not sorted", len(got))
		}
	})
}

// Equal attributes become one message, unless somebody looks for who modifies them.
func TestEqualAttributesAreShared(t *testing.T) {
	raw, err := proto.Marshal(&entityv1.Attributes{Availability: entityv1.Availability_AVAILABILITY_ONLINE})
	if err != nil {
		t.Fatal(err)
	}
	for _, watched := range []*detector{nil, {}} {
		d := newDecoder(watched)
		a, errA := d.attributesOf(raw)
		none, errNone := d.attributesOf(nil)
		b, errB := d.attributesOf(bytes.Clone(raw))
		if errA != nil || errNone != nil || errB != nil || !proto.Equal(a, b) || proto.Equal(a, none) || (a == b) != (watched == nil) {
			t.Errorf("%p %p, %v %v %v", a, b, errA, errNone, errB)
		}
	}
}

// Every type that the oneof of attributes can hold is what heldMessage takes it for.
func TestHeldMessage(t *testing.T) {
	fields := (&entityv1.Attributes{}).ProtoReflect().Descriptor().Oneofs().ByName("domain").Fields()
	for i := range fields.Len() {
		a := &entityv1.Attributes{}
		message := a.ProtoReflect().NewField(fields.Get(i))
		a.ProtoReflect().Set(fields.Get(i), message)
		held := reflect.ValueOf(a.Domain).Elem()
		if held.NumField() != 1 || held.Field(0).Kind() != reflect.Pointer || held.Field(0).Type().Elem().Size() < unsafe.Sizeof(uintptr(0)) ||
			unsafe.Pointer(heldMessage(unsafe.Pointer(&a.Domain))) != held.Field(0).UnsafePointer() {
			t.Errorf("%T", a.Domain)
		}
	}
	empty := &entityv1.Attributes{Domain: &entityv1.Attributes_Light{}}
	if fields.Len() < 28 || heldMessage(unsafe.Pointer(&empty.Domain)) != nil {
		t.Error("a oneof that holds no message")
	}
	entities := immutable.New[EntityID, State]()
	for i, a := range []*entityv1.Attributes{nil, {}, empty, {Domain: &entityv1.Attributes_Light{Light: &entityv1.Light{}}}} {
		id := fmt.Sprint("light.", i)
		entities = entities.Set(id, State{EntityID: id, Attributes: a})
	}
	fetch(sorted(entities.Set("", State{}), runtime.Gosched))
}

// A delta has what changed and what is gone, sorted together, and nothing else.
func TestDelta(t *testing.T) {
	at := func(p eventstore.Position, ids ...string) Revision {
		b := immutable.NewBuilder[EntityID, State]()
		for i, id := range ids {
			b.Set(id, State{EntityID: id, Position: p - eventstore.Position(i), Attributes: &entityv1.Attributes{}})
		}
		return Revision{Position: p, Entities: b.Map()}
	}
	before := at(5, "light.a", "light.c", "light.b")
	after := Revision{Position: 9, Entities: before.Entities.Delete("light.c").
		Set("light.a", State{EntityID: "light.a", Position: 9, Attributes: &entityv1.Attributes{}}).
		Set("light.d", State{EntityID: "light.d", Position: 8, Attributes: &entityv1.Attributes{}})}
	var got []string
	for m := range (capture{after}).Delta(capture{before}, runtime.Gosched).Messages() {
		r := m.(*entityv1.StateRecord)
		got = append(got, fmt.Sprintf("%s %d %v", r.GetEntityId(), r.GetPosition(), r.GetRemoved()))
	}
	if want := []string{"light.a 9 false", "light.c 0 true", "light.d 8 false"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if n := (capture{after}).Delta(capture{after}, runtime.Gosched).Count; n != 0 {
		t.Errorf("%d records of no change", n)
	}
}
