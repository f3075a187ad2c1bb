package template

import (
	"strings"
	"sync"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/state"
)

// Payload is one payload as templates see it: value is its text, value_json its JSON. It is safe for concurrent use.
type Payload struct {
	text   string
	binary bool

	once sync.Once
	json *entityv1.Value
	err  error
}

// NewPayload makes a payload of text. What is not UTF-8 in it is U+FFFD in value. Data is not kept. The caller limits its
// size.
func NewPayload(data []byte) *Payload {
	return &Payload{text: strings.ToValidUTF8(string(data), "\uFFFD")}
}

// NewBinaryPayload makes a payload whose value is bytes, as Home Assistant gives them to an entity of encoding "".
func NewBinaryPayload(data []byte) *Payload {
	return &Payload{text: string(data), binary: true}
}

// Text is the payload as it is, but for what NewPayload puts in the place of what is not UTF-8.
func (p *Payload) Text() string { return p.text }

// JSON is the payload's JSON, read at the first call. Nobody may change the result. If it fails value_json is undefined.
func (p *Payload) JSON() (*entityv1.Value, error) {
	p.once.Do(func() { p.json, p.err = state.ValueFromJSON([]byte(p.text)) })
	return p.json, p.err
}

// value is what templates see as value.
func (p *Payload) value() any {
	if p.binary {
		return pyBytes(p.text)
	}
	return p.text
}

// valueJSON is what templates see as value_json.
func (p *Payload) valueJSON() any {
	v, err := p.JSON()
	if err != nil {
		return &undefined{hint: "'value_json' is undefined, since the payload is not JSON"}
	}
	return fromValue(v)
}
