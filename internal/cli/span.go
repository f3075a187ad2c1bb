package cli

import (
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// toSpan is a span of the log as it goes over the wire.
func toSpan(s eventstore.Span, err error) (api.Span, error) {
	return api.Span{First: s.First, Last: s.Last}, err
}
