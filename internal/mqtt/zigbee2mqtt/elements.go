package zigbee2mqtt

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

// The lists of a bridge are the largest messages that there are, and most of what they say of a device (its endpoints,
// clusters and bindings) is of no use here. Hence they are checked once, as a whole, and then walked by their brackets
// and quotes alone: a json.Decoder reads every byte four times until an element's fields are there, in a multiple of
// the time, and copies each.

// eachElement calls take with every element of a JSON array. They share payload's memory.
func eachElement(payload []byte, take func(json.RawMessage)) error {
	if !json.Valid(payload) {
		return json.Unmarshal(payload, &struct{}{}) // says where
	}
	at := skipSpace(payload, 0)
	if payload[at] != '[' {
		return errors.New("not a JSON array")
	}
	for at = skipSpace(payload, at+1); payload[at] != ']'; {
		end := skipValue(payload, at)
		take(payload[at:end:end])
		at = nextElement(payload, end)
	}
	return nil
}

// pick is the JSON object raw with none but the fields of these names, and raw itself where it is no object. Raw is
// valid JSON.
func pick(raw json.RawMessage, names []string) json.RawMessage {
	at := skipSpace(raw, 0)
	if raw[at] != '{' {
		return raw
	}
	picked := []byte{'{'}
	for at = skipSpace(raw, at+1); raw[at] != '}'; {
		start, colon := at, skipSpace(raw, skipValue(raw, at))
		end := skipValue(raw, skipSpace(raw, colon+1))
		if name := raw[start+1 : skipValue(raw, start)-1]; slices.Contains(names, string(name)) {
			if len(picked) > 1 {
				picked = append(picked, ',')
			}
			picked = append(picked, raw[start:end]...)
		}
		at = nextElement(raw, end)
	}
	return append(picked, '}')
}

// nextElement is where the next element or field begins, or the closing bracket, after one that ends at at.
func nextElement(valid []byte, at int) int {
	at = skipSpace(valid, at)
	if valid[at] == ',' {
		at = skipSpace(valid, at+1)
	}
	return at
}

func skipSpace(valid []byte, at int) int {
	for at < len(valid) && (valid[at] == ' ' || valid[at] == '\n' || valid[at] == '\t' || valid[at] == '\r') {
		at++
	}
	return at
}

// skipValue is where the value that begins at at ends.
func skipValue(valid []byte, at int) int {
	switch valid[at] {
	case '"':
		return skipString(valid, at)
	case '{', '[':
	default: // a number or a word
		for at < len(valid) && !bytes.ContainsRune([]byte(",]} \n\t\r"), rune(valid[at])) {
			at++
		}
		return at
	}
	for depth := 0; ; {
		switch valid[at] {
		case '"':
			at = skipString(valid, at)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
		at++
	}
}

func skipString(valid []byte, at int) int {
	for at++; valid[at] != '"'; at++ {
		if valid[at] == '\\' {
			at++
		}
	}
	return at + 1
}
