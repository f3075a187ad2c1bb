package command_test

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/state"
)

// anyWord is what somebody may write: words of the vocabulary, values that are nearly right, and anything.
func anyWord(vocabulary []string) *rapid.Generator[string] {
	value := rapid.OneOf(
		rapid.SampledFrom([]string{"0", "1", "2", "21.5", "50", "50%", "100%", "254", "255", "-1", "1e9", "true", "off", "red", "#f80",
			"0.3,0.4", "30,80", "1,2,3", "1,2,3,4,5", "eco", "heat", "auto", "fire", "TV", "2026-01-31", "08:00", "2026-01-31T08:00:00Z", "{}", ""}),
		rapid.Map(rapid.Float64(), func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }),
		rapid.String(),
	)
	name := rapid.SampledFrom(vocabulary)
	return rapid.OneOf(name, value, rapid.Custom(func(t *rapid.T) string { return name.Draw(t, "name") + "=" + value.Draw(t, "value") }))
}

// vocabulary are the names of all actions and arguments of a domain, and some short words.
func vocabulary(domain string) []string {
	all := []string{"on", "off", "toggle", "open", "close", "stop", "color", "kelvin", "mired", "volume", "speed", "mode", "preset", "profile"}
	for _, a := range command.Domains() {
		if a.Domain != domain {
			continue
		}
		all = append(all, a.Name)
		for _, argument := range a.Arguments {
			all = append(all, argument.Name)
		}
	}
	return all
}

// anyAttributes are attributes of a domain, or of another.
func anyAttributes(t *rapid.T, domain string) *entityv1.Attributes {
	a := &entityv1.Attributes{Availability: entityv1.Availability(rapid.IntRange(0, 2).Draw(t, "availability"))}
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return a
	case 2:
		keys := slices.Sorted(maps.Keys(present))
		return present[rapid.SampledFrom(keys).Draw(t, "other")]
	}
	m := a.ProtoReflect()
	field := m.Descriptor().Oneofs().ByName("domain").Fields().ByName(protoreflect.Name(domain))
	if field == nil {
		return a
	}
	fill(t, m.Mutable(field).Message())
	return a
}

func fill(t *rapid.T, m protoreflect.Message) {
	for i, fields := 0, m.Descriptor().Fields(); i < fields.Len(); i++ {
		f := fields.Get(i)
		if f.IsList() || rapid.Bool().Draw(t, string(f.Name())) {
			continue
		}
		switch f.Kind() {
		case protoreflect.BoolKind:
			m.Set(f, protoreflect.ValueOfBool(rapid.Bool().Draw(t, "bool")))
		case protoreflect.Uint32Kind:
			m.Set(f, protoreflect.ValueOfUint32(rapid.Uint32Range(0, 300).Draw(t, "uint")))
		case protoreflect.Sint64Kind:
			m.Set(f, protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "int")))
		case protoreflect.DoubleKind:
			m.Set(f, protoreflect.ValueOfFloat64(rapid.Float64().Draw(t, "double")))
		case protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(rapid.SampledFrom([]string{"eco", "off", "Eco", "1", "TV"}).Draw(t, "text")))
		case protoreflect.EnumKind:
			m.Set(f, protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.IntRange(0, 12).Draw(t, "enum"))))
		case protoreflect.MessageKind:
			if f.Message().Name() != "Value" {
				fill(t, m.Mutable(f).Message())
			}
		}
	}
}

// oddly is an entity with limits, options and units that make little sense.
func oddly(t *rapid.T, e *entityv1.Entity) *entityv1.Entity {
	e = proto.CloneOf(e)
	limit := func(name string) *float64 {
		n := rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), -1e300, -1, 0, 0.3, 1, 1.5, 2, 2.5, 10, 50, 99, 100, 153, 254, 255, 1000, 1e300}).Draw(t, name)
		if n == 50 {
			return nil
		}
		return &n
	}
	c := e.GetCapabilities()
	if c == nil {
		return e
	}
	c.Minimum, c.Maximum, c.Step = limit("minimum"), limit("maximum"), limit("step")
	for _, f := range c.GetFeatureDetails() {
		f.Minimum, f.Maximum, f.Step = limit("minimum"), limit("maximum"), limit("step")
		f.Readable = rapid.Bool().Draw(t, "readable")
		f.Unit = rapid.SampledFrom([]string{"", "mired", "K", "°F", "%"}).Draw(t, "unit")
		if rapid.Bool().Draw(t, "options") {
			f.Options = rapid.SliceOfN(rapid.SampledFrom([]string{"off", "OFF", "eco", "1", "", "stop", "close"}), 0, 5).Draw(t, "list")
		}
	}
	return e
}

// Whatever is accepted is in one spelling, is confirmed by the state that it asks for, and asked for again is the same.
func TestWhatIsAcceptedHolds(t *testing.T) {
	ids := slices.Sorted(maps.Keys(things))
	accepted := 0
	property := func(t *rapid.T) {
		id := rapid.SampledFrom(ids).Draw(t, "entity")
		domain, _, _ := strings.Cut(id, ".")
		said := rapid.SliceOfN(anyWord(vocabulary(domain)), 1, 4).Draw(t, "words")
		now := anyAttributes(t, domain)
		before := proto.CloneOf(now)
		r, err := command.ParseWords(id, said)
		if err != nil {
			mustBeOurs(t, err)
			return
		}
		e := things[id]
		if rapid.Bool().Draw(t, "odd") {
			e = oddly(t, e)
		}
		c, err := command.Check(r, e, now)
		if !state.Equal(before, now) && now != nil {
			t.Fatal("Check modified the state")
		}
		if err != nil {
			mustBeOurs(t, err)
			return
		}
		accepted++
		holds(t, e, c, now, anyAttributes(t, domain))
	}
	const rounds = 100 // a round is few cases where time is short, and most cases are refused
	for range rounds {
		if rapid.Check(t, property); accepted > 0 {
			return
		}
	}
	t.Error("nothing was accepted, so that nothing was tested")
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func mustBeOurs(t failer, err error) {
	t.Helper()
	if errors.Is(err, command.ErrInvalid) == errors.Is(err, command.ErrUnsupported) || len(err.Error()) > 4000 {
		t.Fatalf("an error of no kind, or too long: %.200v", err)
	}
}

// holds checks what is promised of all that is checked.
func holds(t failer, e *entityv1.Entity, c command.Checked, now, x *entityv1.Attributes) {
	t.Helper()
	id := e.GetId()
	if c.Timeout <= 0 || c.Timeout > 2*time.Hour {
		t.Fatalf("%s %s: a timeout of %v", id, c.Action, c.Timeout)
	}
	if !slices.IsSortedFunc(c.Arguments, func(a, b *entityv1.Field) int { return strings.Compare(a.GetName(), b.GetName()) }) {
		t.Fatalf("%s %s: arguments are not sorted: %v", id, c.Action, c.Arguments)
	}
	size := 0
	for i, f := range c.Arguments {
		size += proto.Size(f)
		if i > 0 && c.Arguments[i-1].GetName() == f.GetName() || f.GetName() == "code" {
			t.Fatalf("%s %s: %v", id, c.Action, c.Arguments)
		}
	}
	if size > 32<<10 {
		t.Fatalf("%s %s: arguments of %d bytes", id, c.Action, size)
	}
	for _, want := range []*entityv1.Attributes{c.Expected, c.Assumed} {
		before := proto.CloneOf(x)
		merged := command.Merge(want, x)
		if want != nil && !command.Answers(want, merged) {
			t.Fatalf("%s %s: %v does not answer %v", id, c.Action, merged, want)
		}
		if want != nil && x != nil && !state.Equal(before, x) {
			t.Fatalf("Merge modified the state")
		}
	}
	if command.Answers(nil, x) {
		t.Fatalf("nothing was expected, and %v answers", x)
	}
	second, err := command.Check(again(id, c), e, now)
	if err != nil {
		t.Fatalf("%s %s %v: accepted once and not twice: %v", id, c.Action, c.Arguments, err)
	}
	if diff := cmp.Diff(c, second, protocmp.Transform()); diff != "" {
		t.Fatalf("%s %s: asked for again it is another (-first +second):\n%s", id, c.Action, diff)
	}
}
