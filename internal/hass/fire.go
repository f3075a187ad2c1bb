package hass

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/statehouse/statehouse/eventstore"
	eventv1 "github.com/statehouse/statehouse/gen/statehouse/event/v1"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// maxEventType is the longest name of an event, in bytes; the limit is Home Assistant's.
const maxEventType = 64

// jsonObject is a JSON object, or nil.
type jsonObject json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (o *jsonObject) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*o = nil
		return nil
	}
	if len(data) == 0 || data[0] != '{' {
		return errors.New("the data of an event is an object")
	}
	*o = bytes.Clone(data)
	return nil
}

// fire records an event that somebody fires. Its data is an object, or nothing.
func (v *view) fire(ctx context.Context, who *access.Identity, name string, data jsonObject) (eventContext, error) {
	if err := v.changeable(); err != nil {
		return eventContext{}, err
	}
	if err := checkEventType(name); err != nil {
		return eventContext{}, err
	}
	if len(data) == 0 {
		data = jsonObject("{}")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return eventContext{}, invalid("the data of an event is an object: %s", err)
	}
	e := eventstore.Event{Source: who.Source(), Payload: &eventv1.Payload{Kind: &eventv1.Payload_Custom{
		Custom: &eventv1.Custom{Kind: api.FiredPrefix + name, TypeUrl: "application/json", Value: compact.Bytes()},
	}}}
	span, err := v.house.Append(ctx, e)
	if err != nil {
		return eventContext{}, fmt.Errorf("fire %s: %w", name, err)
	}
	contexts, err := v.origins.contextsOf(ctx, who, []eventstore.Position{span.First})
	if err != nil {
		return eventContext{}, err
	}
	return contexts.context(span.First, contexts.found[span.First]), nil
}

// checkEventType fails for what is no name of an event that somebody may fire.
func checkEventType(name string) error {
	switch {
	case name == "" || len(name) > maxEventType || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return invalid("the type of an event is text of 1 to %d bytes", maxEventType)
	case slices.Contains(ownEvents, name):
		return invalid("%s follows from what happens and cannot be fired", name)
	}
	return nil
}
