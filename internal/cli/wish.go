package cli

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/api"
)

// wishes are the actions that people have a word for.
var wishes = map[string]string{
	"turn_on": "on", "turn_off": "off", "open_cover": "open", "close_cover": "close", "stop_cover": "stop", "open_valve": "open",
	"close_valve": "close", "stop_valve": "stop", "alarm_disarm": "disarm", "alarm_trigger": "trigger",
}

// wishWords say in a few words what is wanted, as in "on, brightness 50%".
func wishWords(action string, arguments json.RawMessage) string {
	word, known := wishes[action]
	all := argumentList(arguments)
	setting := strings.HasPrefix(action, "set_") || strings.HasPrefix(action, "select_") || action == "volume_set"
	switch {
	case known:
	case setting && len(all) > 0: // the arguments say it
	default:
		word = strings.ReplaceAll(action, "_", " ")
	}
	if word != "" {
		all = append([]string{word}, all...)
	}
	return strings.Join(all, ", ")
}

// argumentList are the arguments of a command, as in "brightness 50%", in their order.
func argumentList(arguments json.RawMessage) (all []string) {
	if len(arguments) == 0 {
		return nil
	}
	rows, err := flatAttributes(arguments)
	if err != nil {
		return nil
	}
	for _, row := range rows {
		name := strings.TrimSpace(row[0])
		if name == row[0] { // the heading
			continue
		}
		value := cut(row[1], 32)
		if n, err := strconv.ParseFloat(row[1], 64); err == nil && name == "brightness" {
			value = strconv.FormatFloat(math.Round(n*100/255), 'f', -1, 64) + "%"
		}
		if name == "value" || name == "option" {
			all = append(all, value)
			continue
		}
		all = append(all, strings.ReplaceAll(name, "_", " ")+" "+value)
	}
	return all
}

// pendingWords say what an entity was asked for and has not done yet.
func pendingWords(now time.Time, all []api.Pending) string {
	var words []string
	for _, p := range all {
		words = append(words, "→ "+wishWords(p.Action, p.Arguments)+", asked "+age(now, p.IssuedAt)+by(p.Source))
	}
	return strings.Join(words, "; ")
}

// issued is what a command_issued says.
type issued struct {
	Action    string          `json:"action"`
	Arguments json.RawMessage `json:"arguments"`
}

// commandSentence says what an event about a command says, as a sentence; empty for other events.
func commandSentence(e api.Event) string {
	switch e.Kind {
	case eventstore.KindCommandIssued:
		var said issued
		if json.Unmarshal(e.Data, &said) != nil || said.Action == "" {
			return who(e.Source) + " asked " + e.EntityID + " for something"
		}
		text := who(e.Source) + " asked " + e.EntityID + " to " + strings.ReplaceAll(said.Action, "_", " ")
		if all := argumentList(said.Arguments); len(all) > 0 {
			text += " (" + strings.Join(all, ", ") + ")"
		}
		return text
	case eventstore.KindCommandSettled:
		return joinWords(e.EntityID, settledWords(e))
	}
	return ""
}

// commandWords are commandSentence without the entity, for a table.
func commandWords(e api.Event) string {
	switch e.Kind {
	case eventstore.KindCommandIssued:
		var said issued
		if json.Unmarshal(e.Data, &said) != nil || said.Action == "" {
			return "asked for something"
		}
		return "asked: " + wishWords(said.Action, said.Arguments)
	case eventstore.KindCommandSettled:
		return settledWords(e)
	}
	return ""
}

func settledWords(e api.Event) string {
	var said struct {
		Command eventstore.Position `json:"command"`
		Outcome api.Outcome         `json:"outcome"`
		Reason  string              `json:"reason"`
	}
	if json.Unmarshal(e.Data, &said) != nil || said.Outcome == "" {
		return "the command is settled"
	}
	text := "the command @" + count(said.Command) + " " + map[api.Outcome]string{
		api.OutcomeConfirmed: "is confirmed", api.OutcomeFailed: "failed", api.OutcomeSuperseded: "is superseded by a later one",
		api.OutcomeTimedOut: "timed out",
	}[said.Outcome]
	if said.Reason != "" {
		text += ": " + said.Reason
	}
	return text
}

// who is a source as the subject of a sentence.
func who(source string) string {
	name, token := strings.CutPrefix(source, "api:")
	switch {
	case source == userSource:
		return "somebody on this machine"
	case token:
		return "token " + name
	case source == "":
		return "somebody"
	}
	return source
}
