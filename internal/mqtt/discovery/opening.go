package discovery

import (
	"fmt"
	"math"
	"strings"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/internal/command"
	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/template"
)

// openingComponents are covers, valves, locks and alarm panels.
var openingComponents = []Component{coverComponent, valveComponent, lockComponent, alarmComponent}

// movement is what covers and valves have in common: words for opening, closing and stopping, and positions.
type movement struct{ open, close, stop string }

// words are those that the device takes, as [command.Check] looks for them.
func (m movement) words(c Config) []string {
	var words []string
	for _, one := range []struct{ key, otherwise, word string }{
		{"payload_open", m.open, "OPEN"}, {"payload_close", m.close, "CLOSE"}, {"payload_stop", m.stop, "STOP"},
	} {
		if isNullKey(c, one.key) || c.Word(one.key, one.otherwise) == "" {
			continue
		}
		words = append(words, one.word)
	}
	return words
}

// payload is what is sent for an action: open_cover, close_valve, stop_cover.
func (m movement) payload(c Config, cmd command.Checked) (string, error) {
	verb, _, _ := strings.Cut(cmd.Action, "_")
	otherwise := map[string]string{"open": m.open, "close": m.close, "stop": m.stop}[verb]
	key := "payload_" + verb
	payload := c.Word(key, otherwise)
	if isNullKey(c, key) || payload == "" {
		return "", cannot(cmd, "the device has no "+key)
	}
	return payload, nil
}

// openingScale is a device's own scale of a position: what it says of closed and of open. It may run the other way round.
type openingScale struct{ closed, open float64 }

func positionScale(c Config) openingScale {
	return openingScale{c.Float("position_closed", 0), c.Float("position_open", 100)}
}

// check says that a scale is none.
func (s openingScale) check(what string) error {
	if s.closed == s.open {
		return fmt.Errorf("%w: %s of closed and of open are both %v", ErrIncomplete, what, s.open)
	}
	return nil
}

// percent is the device's n as 0 (closed) to 100 (open). What lies beyond an end is that end.
func (s openingScale) percent(n float64) uint32 {
	return uint32(math.Round(min(max((n-s.closed)/(s.open-s.closed)*100, 0), 100)))
}

// own is a percentage on the device's scale, where only whole numbers are.
func (s openingScale) own(percent float64) float64 {
	return math.RoundToEven(s.closed + (s.open-s.closed)*percent/100)
}

// holds says that n lies on the scale.
func (s openingScale) holds(n float64) bool {
	return n >= min(s.closed, s.open) && n <= max(s.closed, s.open)
}

// scaleVars are the scales as templates see them.
func scaleVars(c Config) map[string]any {
	position, tilt := positionScale(c), tiltScale(c)
	vars := map[string]any{}
	for name, n := range map[string]float64{
		"position_open": position.open, "position_closed": position.closed, "tilt_min": tilt.closed, "tilt_max": tilt.open,
	} {
		vars[name], _ = wholeOrNot(n)
	}
	return vars
}

// scaledSources are sources whose templates see the scales. They are written out before the template's text, since that is all
// that a source has.
func scaledSources(c Config, topicKey, templateKey string) []Source {
	sources := c.Sources(topicKey, templateKey)
	for i, s := range sources {
		if s.Template == nil {
			continue
		}
		text := s.Template.Text()
		vars := scaleVars(c)
		for _, name := range sortedKeys(vars) { // in one order, so that equal templates stay one
			if strings.Contains(s.Template.Text(), name) {
				text = fmt.Sprintf("{%% set %s = %v %%}%s", name, vars[name], text)
			}
		}
		if t, err := template.Compile(text); err == nil {
			sources[i].Template = t
		}
	}
	return sources
}

// object is what is said where that is a JSON object, nil where it is anything else. It must not be modified. Nothing else is
// read: that would be in the writer's turn.
func (s Said) object() *Config {
	if !strings.HasPrefix(strings.TrimSpace(s.Text), "{") {
		return nil
	}
	v, err := s.JSON()
	if err != nil || v.GetStructValue() == nil {
		return nil
	}
	c := Config{}
	c.Value = v
	return &c
}

// stateWord is what a word of the state means.
type stateWord[S comparable] struct {
	word  string
	means S
}

// meaning is what the first of the words that is text means.
func meaning[S comparable](text string, words []stateWord[S]) (S, bool) {
	for _, w := range words {
		if text == w.word {
			return w.means, true
		}
	}
	var none S
	return none, false
}

// wordList is the words, for an error.
func wordList[S comparable](words []stateWord[S]) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = w.word
	}
	return "one of " + strings.Join(all, ", ")
}

// sendPosition publishes a position on the device's own scale. Templates see the scales, too, and under name the percentage.
func sendPosition(c Config, topicKey, templateKey, name string, own, percent float64) ([]mqtt.Publication, error) {
	vars := scaleVars(c)
	value, text := wholeOrNot(own)
	vars["value"] = value
	vars[name], _ = wholeOrNot(percent)
	return sendOn(c, topicKey, templateKey, text, vars)
}

// percentFeature is a feature that is 0 to 100 here, whatever scale the device has.
func percentFeature(name string, readable, writable bool) *entityv1.Feature {
	low, high := float64(0), float64(100)
	return &entityv1.Feature{Name: name, Unit: "%", Minimum: &low, Maximum: &high, Readable: readable, Writable: writable}
}
