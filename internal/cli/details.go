package cli

import (
	"encoding/json"
	"strings"
)

// stateAttributes are the attributes that the state itself says.
var stateAttributes = map[string]bool{
	"on": true, "number": true, "state": true, "text": true, "timestamp": true, "occurred": true, "pressed": true, "activated": true,
}

// details says which attributes differ between two states, apart from what the state itself says, and which of its kinds a
// momentary event was, also where it is of the same kind as the one before; at most a few.
func details(before, after json.RawMessage) string {
	if len(before) == 0 || len(after) == 0 {
		return ""
	}
	old := map[string]string{}
	rows, err := flatAttributes(before)
	if err != nil {
		return ""
	}
	for _, row := range rows {
		old[row[0]] = row[1]
	}
	if rows, err = flatAttributes(after); err != nil {
		return ""
	}
	var words []string
	for _, row := range rows {
		key := strings.TrimSpace(row[0])
		if stateAttributes[key] || key == row[0] { // the state, or the heading
			continue
		}
		if row[1] != old[row[0]] || key == "event_type" {
			words = append(words, key+"="+cut(row[1], 32))
		}
	}
	if len(words) > 4 {
		words = append(words[:4], "…")
	}
	return strings.Join(words, " ")
}
