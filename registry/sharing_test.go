package registry

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

func text(s string) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_StringValue{StringValue: s}}
}

func object(fields ...*entityv1.Field) *entityv1.Value {
	return &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: &entityv1.StructValue{Fields: fields}}}
}

// sensorEntry is an entry like that of one sensor of many.
func sensorEntry(n int) *entityv1.Entity {
	device := fmt.Sprintf("climate_%05d", n/5)
	name := []string{"battery", "humidity", "illuminance", "pressure", "temperature"}[n%5]
	return &entityv1.Entity{
		Id: "sensor." + device + "_" + name, UniqueId: "source/" + device + "/" + name, DeviceId: "source/" + device, Name: name, Source: "source",
		DeviceClass: name, Unit: "%", Property: name, Capabilities: &entityv1.Capabilities{
			Readable: true, Features: []string{"value"},
			FeatureDetails: []*entityv1.Feature{{Name: "value", Property: name, Readable: true}},
			Definition: object(
				&entityv1.Field{Name: "device", Value: object(&entityv1.Field{Name: "name", Value: text(device)}, &entityv1.Field{Name: "manufacturer", Value: text("Aqara")})},
				&entityv1.Field{Name: "state_topic", Value: text("sensors/" + device)},
				&entityv1.Field{Name: "unique_id", Value: text(device + "_" + name)},
				&entityv1.Field{Name: "value_template", Value: text("{{ value_json." + name + " }}")},
			),
		},
	}
}

func TestSharing(t *testing.T) {
	var s sharing
	a, b, c := s.entity(sensorEntry(0)), s.entity(sensorEntry(1)), s.entity(sensorEntry(5))
	for n, e := range map[int]*entityv1.Entity{0: a, 1: b, 5: c} {
		if d := cmp.Diff(sensorEntry(n), e, protocmp.Transform()); d != "" {
			t.Errorf("entry %d is another one (-want +got):\n%s", n, d)
		}
	}
	fields := func(e *entityv1.Entity) []*entityv1.Field {
		return e.GetCapabilities().GetDefinition().GetStructValue().GetFields()
	}
	if fields(a)[0] != fields(b)[0] || fields(a)[1] != fields(b)[1] || fields(a)[0] == fields(c)[0] {
		t.Error("two entities of one device do not share what their definitions say of it, or those of two devices do")
	}
	if a.GetCapabilities().GetFeatureDetails()[0] != c.GetCapabilities().GetFeatureDetails()[0] {
		t.Error("two batteries do not share a feature")
	}
	plain := func(id string) *entityv1.Entity {
		e := sensorEntry(0)
		e.Id, e.Capabilities.Definition = id, nil
		return s.entity(e)
	}
	if plain("sensor.a").GetCapabilities() != plain("sensor.b").GetCapabilities() {
		t.Error("two entities that can do the same do not share that")
	}
}

// drawValue draws a value in which some fields say the same.
func drawValue(t *rapid.T, depth int) *entityv1.Value {
	switch rapid.IntRange(0, 6).Draw(t, "kind of value") {
	case 0:
		return nil
	case 1:
		return &entityv1.Value{}
	case 2:
		return &entityv1.Value{Kind: &entityv1.Value_ListValue{ListValue: &entityv1.ListValue{Values: []*entityv1.Value{{}, text("a")}}}}
	case 3, 4:
		if depth == 0 {
			return text("deep")
		}
		var fields []*entityv1.Field
		for range rapid.IntRange(0, 3).Draw(t, "fields") {
			fields = append(fields, &entityv1.Field{Name: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "name"), Value: drawValue(t, depth-1)})
		}
		return object(fields...)
	default:
		return text(rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "text"))
	}
}

// What shares is what general decoding makes of the same bytes, whatever was decoded before.
func TestSharingChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s sharing
		for range rapid.IntRange(1, 6).Draw(t, "entries") {
			e := sensorEntry(rapid.IntRange(0, 9).Draw(t, "sensor"))
			e.Capabilities.Definition = drawValue(t, 3+rapid.IntRange(0, sharedDepth).Draw(t, "depth"))
			if rapid.Bool().Draw(t, "none") {
				e.Capabilities = nil
			}
			if rapid.Bool().Draw(t, "unknown") {
				e.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 7))
				if c := e.GetCapabilities(); c != nil {
					c.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 901, protowire.VarintType), 8))
				}
			}
			for _, r := range []*entityv1.RegistryRecord{
				entityRecord(e), formerEntityRecord(e), {Entry: entityRecord(e).GetEntry(), Removed: true}, deviceRecord(&entityv1.Device{Id: "d", Source: "s"}),
			} {
				b, err := proto.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				checkRecord(t, &s, b)
			}
		}
	})
}

func checkRecord(t rapid.TB, s *sharing, b []byte) {
	want := &entityv1.RegistryRecord{}
	wrong := proto.Unmarshal(b, want)
	got, err := s.record(b)
	if (err == nil) != (wrong == nil) {
		t.Fatalf("%v, and the general decoder says %v", err, wrong)
	}
	if err != nil {
		return
	}
	m := proto.MarshalOptions{Deterministic: true}
	x, errX := m.Marshal(got)
	y, errY := m.Marshal(want)
	if errX != nil || errY != nil || string(x) != string(y) {
		t.Fatalf("%v %v: %v, want %v", errX, errY, got, want)
	}
}

// Whatever the bytes are: two encodings of one field are put together, and what is cut off is an error.
func FuzzSharing(f *testing.F) {
	whole, err := proto.Marshal(entityRecord(sensorEntry(3)))
	if err != nil {
		f.Fatal(err)
	}
	capabilities := func(c *entityv1.Capabilities) []byte {
		b, err := proto.Marshal(&entityv1.Entity{Id: "sensor.a", Capabilities: c})
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	twice := append(capabilities(&entityv1.Capabilities{Readable: true}), capabilities(&entityv1.Capabilities{Writable: true})...)
	definition := func(v *entityv1.Value) []byte {
		b, err := proto.Marshal(&entityv1.Capabilities{Definition: v})
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	values := append(definition(object(&entityv1.Field{Name: "a"})), definition(text("b"))...)
	inside := protowire.AppendBytes(protowire.AppendTag(nil, entityCapabilities, protowire.BytesType), values)
	for _, b := range [][]byte{
		whole, whole[:len(whole)-1], append(whole[:len(whole):len(whole)], whole...),
		protowire.AppendBytes(protowire.AppendTag(nil, recordEntity, protowire.BytesType), twice),
		protowire.AppendBytes(protowire.AppendTag(nil, recordEntity, protowire.BytesType), inside),
		{},
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &sharing{}
		checkRecord(t, s, b)
		checkRecord(t, s, b)
	})
}

// BenchmarkRecords decodes the records of a house of 40,000 sensors and says how much of it stays in memory.
func BenchmarkRecords(b *testing.B) {
	const count = 40_000
	records := make([][]byte, count)
	for i := range records {
		var err error
		if records[i], err = proto.Marshal(entityRecord(sensorEntry(i))); err != nil {
			b.Fatal(err)
		}
	}
	for name, decode := range map[string]func(s *sharing, b []byte) (*entityv1.RegistryRecord, error){
		"sharing": func(s *sharing, b []byte) (*entityv1.RegistryRecord, error) { return s.record(b) },
		"plain": func(_ *sharing, b []byte) (*entityv1.RegistryRecord, error) {
			r := &entityv1.RegistryRecord{}
			return r, proto.Unmarshal(b, r)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var kept uint64
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				entities := make([]*entityv1.Entity, count)
				var s sharing
				for i, record := range records {
					r, err := decode(&s, record)
					if err != nil {
						b.Fatal(err)
					}
					entities[i] = r.GetEntity()
				}
				s = sharing{}
				runtime.GC()
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(entities)
				kept = after.HeapAlloc - before.HeapAlloc
			}
			b.ReportMetric(float64(kept)/count, "B/entity")
		})
	}
}
