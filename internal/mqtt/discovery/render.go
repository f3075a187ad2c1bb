package discovery

import (
	"fmt"

	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// Render implements [dialect.Dialect].
func (e *Engine) Render(t dialect.Target, c command.Checked) (dialect.Rendered, error) {
	d, err := parseDefinition(definitionOf(t.Entity))
	if err != nil {
		return dialect.Rendered{}, fmt.Errorf("%s: %w", t.Entity.GetId(), err)
	}
	if d.component.Command == nil {
		return dialect.Rendered{}, fmt.Errorf("%w: nothing can be asked of a %s", command.ErrUnsupported, d.component.Name)
	}
	publications, err := d.component.Command(d.config, c, t.State)
	if err != nil {
		return dialect.Rendered{}, fmt.Errorf("%s: %w", t.Entity.GetId(), err)
	}
	for _, p := range publications {
		if err := mqtt.ValidTopic(p.Topic); err != nil {
			return dialect.Rendered{}, fmt.Errorf("%s: %w", t.Entity.GetId(), err)
		}
	}
	return dialect.Rendered{Publications: publications, Answers: d.answers()}, nil
}
