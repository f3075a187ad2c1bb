package discovery

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
	"github.com/statehouse/statehouse/internal/template"
	"github.com/statehouse/statehouse/state"
)

// part is one entity, without the house around it.
type part struct {
	testing.TB
	component  Component
	config     Config
	entity     *entityv1.Entity
	attributes *entityv1.Attributes
	unfit      error // of the last message
}

// config reads a configuration, with full names.
func config(t testing.TB, text string) Config {
	t.Helper()
	v, err := state.ValueFromJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Config{dialect.Node{Value: v}}
}

// newPart makes an entity of a component and its configuration.
func newPart(t testing.TB, c Component, text string) *part {
	t.Helper()
	p := &part{TB: t, component: c, config: config(t, text), attributes: &entityv1.Attributes{}, entity: &entityv1.Entity{
		Id: c.Domain + ".x", DeviceClass: config(t, text).Str("device_class"), Unit: config(t, text).Str("unit_of_measurement"),
		Capabilities: &entityv1.Capabilities{},
	}}
	if err := c.Check(p.config); err != nil {
		t.Fatal(err)
	}
	c.Describe(p.config, p.entity)
	return p
}

var moment = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// say hands a message in and returns the state that follows, as JSON.
func (p *part) say(topic, payload string) string {
	p.Helper()
	a := proto.CloneOf(p.attributes)
	said := template.NewPayload([]byte(payload))
	p.unfit = nil
	for _, in := range p.component.Inputs(p.config) {
		for _, s := range in.Sources {
			if s.Topic != topic {
				continue
			}
			text := payload
			if s.Template != nil {
				var err error
				if text, err = s.Template.Render(said, nil); err != nil {
					p.unfit = errors.Join(p.unfit, err)
					continue
				}
			}
			before := proto.CloneOf(a)
			if err := in.Set(a, Said{Text: text, Payload: said, At: moment}); err != nil {
				if !errors.Is(err, ErrUnfit) || !proto.Equal(before, a) {
					p.Errorf("%v, and the attributes are %v", err, a)
				}
				p.unfit = errors.Join(p.unfit, err)
			}
		}
	}
	if p.component.Finish != nil {
		p.component.Finish(p.config, a)
	}
	p.attributes = a
	text, err := state.JSON(a)
	if err != nil {
		p.Fatal(err)
	}
	return string(text)
}

// ask has the entity do something and returns what is published for it, a line each: topic, a blank, payload.
func (p *part) ask(words ...string) string {
	p.Helper()
	r, err := command.ParseWords(p.entity.GetId(), words)
	if err != nil {
		return err.Error()
	}
	c, err := command.Check(r, p.entity, p.attributes)
	if err != nil {
		return err.Error()
	}
	all, err := p.component.Command(p.config, c, p.attributes)
	if err != nil {
		return err.Error()
	}
	lines := ""
	for _, one := range all {
		lines += one.Topic + " " + string(one.Payload) + "\n"
	}
	return lines
}
