package registry

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// sharing decodes entries so that what is equal in many of them is in memory once: the forty thousand entities of a large
// house have a few hundred different capabilities, and the definitions of those that announce themselves differ in a few
// fields each. That is three quarters of what a registry takes, and to find a part by its bytes is quicker than to decode it.
//
// What was found lately is known, and memory is bounded: see recent. The zero value is ready; it belongs to one goroutine.
type sharing struct {
	capabilitiesOf recent[*entityv1.Capabilities]
	features       recent[*entityv1.Feature]
	fields         recent[*entityv1.Field]
	texts          recent[string]
	rest           []byte // used again
}

const (
	// sharedBytes is the longest encoding that is looked for: what is longer is hardly equal to anything, as a whole.
	sharedBytes = 1 << 10
	// sharedText is the longest text that is shared.
	sharedText = 255
	// sharedDepth is how deeply nested values are shared.
	sharedDepth = 8
	// sharedRecently is how many entries a generation has.
	sharedRecently = 1024
)

// recent knows the last things that were put or found, some thousand: when one generation is full, it becomes the old one,
// and what nobody asked for meanwhile is forgotten.
type recent[T any] struct{ young, old map[string]T }

// find is what was put under a key, if that was not long ago.
func find[T any, K string | []byte](r *recent[T], key K) (T, bool) {
	found, ok := r.young[string(key)]
	if !ok {
		if found, ok = r.old[string(key)]; ok {
			r.put(string(key), found)
		}
	}
	return found, ok
}

func (r *recent[T]) put(key string, what T) {
	if r.young == nil || len(r.young) >= sharedRecently {
		r.young, r.old = make(map[string]T), r.young
	}
	r.young[key] = what
}

// The numbers of the fields that parts are in.
const (
	recordEntity       = protowire.Number(1)
	entityCapabilities = protowire.Number(15)
	capabilitiesDetail = protowire.Number(8)
	capabilitiesValue  = protowire.Number(9)
	valueStruct        = protowire.Number(9)
	structField        = protowire.Number(1)
	fieldValue         = protowire.Number(2)
)

var errEncoding = errors.New("not the encoding of a message")

// entity is an entry like e that shares what it can; e is not modified.
func (s *sharing) entity(e *entityv1.Entity) *entityv1.Entity {
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
	if err != nil {
		return e
	}
	shared, err := s.decodeEntity(encoded)
	if err != nil {
		return e
	}
	return shared
}

// record decodes a record of a snapshot.
func (s *sharing) record(b []byte) (*entityv1.RegistryRecord, error) {
	record := &entityv1.RegistryRecord{}
	entity, ok, err := s.split(b, recordEntity, record)
	if err != nil {
		return nil, err
	}
	switch {
	case !ok || record.GetEntry() != nil: // of several the last one counts
		record = &entityv1.RegistryRecord{}
		if err := proto.Unmarshal(b, record); err != nil {
			return nil, err
		}
	case entity != nil:
		e, err := s.decodeEntity(entity)
		if err != nil {
			return nil, err
		}
		record.Entry = &entityv1.RegistryRecord_Entity{Entity: e}
	}
	if d := record.GetDevice(); d != nil {
		s.shareTexts(&d.Manufacturer, &d.Model, &d.ModelId, &d.SoftwareVersion, &d.HardwareVersion, &d.AreaId, &d.ViaDevice, &d.Source)
	}
	return record, nil
}

func (s *sharing) decodeEntity(b []byte) (*entityv1.Entity, error) {
	e := &entityv1.Entity{}
	capabilities, ok, err := s.split(b, entityCapabilities, e)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		e = &entityv1.Entity{}
		if err := proto.Unmarshal(b, e); err != nil {
			return nil, err
		}
	case capabilities != nil:
		if e.Capabilities, err = part(&s.capabilitiesOf, capabilities, s.capabilities); err != nil {
			return nil, err
		}
	}
	s.shareTexts(&e.DeviceId, &e.Name, &e.AreaId, &e.DeviceClass, &e.Unit, &e.Property, &e.Source)
	return e, nil
}

func (s *sharing) capabilities(b []byte) (*entityv1.Capabilities, error) {
	c := &entityv1.Capabilities{}
	var details, values [][]byte
	if err := s.cut(b, c, func(n protowire.Number, content []byte) bool {
		switch n {
		case capabilitiesDetail:
			details = append(details, content)
		case capabilitiesValue:
			values = append(values, content)
		default:
			return false
		}
		return true
	}); err != nil {
		return nil, err
	}
	if len(values) > 1 { // they are one, put together
		c = &entityv1.Capabilities{}
		return c, proto.Unmarshal(b, c)
	}
	if len(details) > 0 {
		c.FeatureDetails = make([]*entityv1.Feature, len(details))
	}
	for i, content := range details {
		var err error
		if c.FeatureDetails[i], err = part(&s.features, content, decodeFeature); err != nil {
			return nil, err
		}
	}
	for _, content := range values {
		var err error
		if c.Definition, err = s.value(content, 0); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// value decodes a value; the fields of one that has fields are shared.
func (s *sharing) value(b []byte, depth int) (*entityv1.Value, error) {
	var fields [][]byte
	v := &entityv1.Value{}
	content, ok, err := s.split(b, valueStruct, v)
	if err != nil {
		return nil, err
	}
	if !ok || content == nil || v.GetKind() != nil || depth > sharedDepth {
		v = &entityv1.Value{}
		return v, proto.Unmarshal(b, v)
	}
	list := &entityv1.StructValue{}
	if err := s.cut(content, list, func(n protowire.Number, content []byte) bool {
		if n == structField {
			fields = append(fields, content)
		}
		return n == structField
	}); err != nil {
		return nil, err
	}
	if len(fields) > 0 {
		list.Fields = make([]*entityv1.Field, len(fields))
	}
	for i, content := range fields {
		var err error
		if list.Fields[i], err = part(&s.fields, content, func(b []byte) (*entityv1.Field, error) {
			return s.field(b, depth+1)
		}); err != nil {
			return nil, err
		}
	}
	v.Kind = &entityv1.Value_StructValue{StructValue: list}
	return v, nil
}

func (s *sharing) field(b []byte, depth int) (*entityv1.Field, error) {
	f := &entityv1.Field{}
	value, ok, err := s.split(b, fieldValue, f)
	if err != nil {
		return nil, err
	}
	if !ok {
		f = &entityv1.Field{}
		return f, proto.Unmarshal(b, f)
	}
	s.shareTexts(&f.Name)
	if value != nil {
		f.Value, err = s.value(value, depth)
	}
	return f, err
}

// part is the message of an encoding, one for equal encodings.
func part[M proto.Message](known *recent[M], b []byte, decode func([]byte) (M, error)) (M, error) {
	if len(b) > sharedBytes {
		return decode(b)
	}
	m, ok := find(known, b)
	if ok {
		return m, nil
	}
	m, err := decode(b)
	if err == nil {
		known.put(string(b), m)
	}
	return m, err
}

func decodeFeature(b []byte) (*entityv1.Feature, error) {
	f := &entityv1.Feature{}
	return f, proto.Unmarshal(b, f)
}

// split decodes a message but for the field of that number, whose content it answers, nil where there is none. It is not ok
// where there are several: then they are to be put together.
func (s *sharing) split(b []byte, number protowire.Number, into proto.Message) (content []byte, ok bool, err error) {
	found := 0
	err = s.cut(b, into, func(n protowire.Number, c []byte) bool {
		if n == number {
			found++
			content = c
		}
		return n == number
	})
	return content, found <= 1, err
}

// cut decodes a message but for the fields that take takes, which are messages.
func (s *sharing) cut(b []byte, into proto.Message, take func(n protowire.Number, content []byte) bool) error {
	rest := s.rest[:0]
	for left := b; len(left) > 0; {
		number, kind, n := protowire.ConsumeTag(left)
		if n < 0 {
			return errEncoding
		}
		size := protowire.ConsumeFieldValue(number, kind, left[n:])
		if size < 0 {
			return errEncoding
		}
		taken := false
		if kind == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(left[n:])
			taken = take(number, content)
		}
		if !taken {
			rest = append(rest, left[:n+size]...)
		}
		left = left[n+size:]
	}
	s.rest = rest
	if len(rest) == 0 {
		return nil
	}
	return proto.Unmarshal(rest, into)
}

// shareTexts has equal texts share their memory.
func (s *sharing) shareTexts(texts ...*string) {
	for _, text := range texts {
		if *text == "" || len(*text) > sharedText {
			continue
		}
		known, ok := find(&s.texts, *text)
		if !ok {
			known = *text
			s.texts.put(known, known)
		}
		*text = known
	}
}
