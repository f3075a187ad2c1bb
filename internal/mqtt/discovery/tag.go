package discovery

import (
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/mqtt/dialect"
)

// tagComponent is a scanner of tags: an event that says which.
var tagComponent = Component{
	Name: "tag", Domain: "event", KeepsExtra: true,
	Check:    needsAll("tag", "topic"),
	Describe: func(_ Config, e *entityv1.Entity) { describeEvent(e, tagScanned) },
	Inputs: func(c Config) []Input {
		return eventInput(c.Sources("topic", "value_template"), func(s Said) (string, []*entityv1.Field, error) {
			if s.Unknown() {
				return "", nil, ErrIgnored
			}
			id := strings.TrimSpace(s.Text)
			if len(id) > maxTagID {
				return "", nil, unfit(s, "the id of a tag")
			}
			return tagScanned, []*entityv1.Field{{Name: "tag_id", Value: dialect.StringValue(id)}}, nil
		})
	},
}

const (
	tagScanned = "scanned"
	maxTagID   = 1024
)
