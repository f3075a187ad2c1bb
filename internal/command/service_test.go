package command_test

import (
	"strings"
	"testing"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/state"
)

// The fields of Home Assistant's services: "entity [present state] domain.service data".
func TestCheckOfServices(t *testing.T) {
	golden(t, "testdata/service.golden", func(question string) string {
		entity, rest, _ := strings.Cut(question, " [")
		now, call, ok := strings.Cut(rest, "] ")
		if !ok || now != "" && present[now] == nil {
			t.Fatalf("no case: %s", question)
		}
		name, text, given := strings.Cut(call, " ")
		domain, service, _ := strings.Cut(name, ".")
		var data *entityv1.Value
		if given {
			var err error
			if data, err = state.ValueFromJSON([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		r, err := command.FromService(domain, service, data, entity)
		return checked(t, r, err, now)
	})
}

// Every action of Home Assistant that is listed can be called, and every argument that is listed is a field.
func TestServicesTakeWhatIsListed(t *testing.T) {
	value := func(a command.Argument) *entityv1.Value {
		text := map[command.Kind]string{
			command.KindNumber: "1", command.KindInteger: "1", command.KindBool: "true", command.KindAny: "{}",
			command.KindTexts: `["a"]`, command.KindXY: "[0.1,0.2]", command.KindHS: "[1,2]", command.KindRGB: "[1,2,3]",
			command.KindRGBW: "[1,2,3,4]", command.KindRGBWW: "[1,2,3,4,5]",
		}[a.Kind]
		if text == "" {
			text = `"2026"`
		}
		v, err := state.ValueFromJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, a := range command.Domains() {
		var fields []*entityv1.Field
		for _, argument := range a.Arguments {
			fields = append(fields, &entityv1.Field{Name: argument.Name, Value: value(argument)})
		}
		data := &entityv1.Value{Kind: &entityv1.Value_StructValue{StructValue: &entityv1.StructValue{Fields: fields}}}
		r, err := command.FromService(a.Domain, a.Name, data, a.Domain+".x")
		if err != nil || r.Action != a.Name || len(r.Arguments) != len(a.Arguments) {
			t.Errorf("%s.%s: %v, %v", a.Domain, a.Name, r, err)
		}
	}
}
