package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
)

// The errors of this package, matched with [errors.Is].
var (
	// ErrInvalid: a word, a value or a range is wrong. The message says what would be right.
	ErrInvalid = errors.New("invalid command")
	// ErrUnsupported: this entity cannot do that, whatever the values are.
	ErrUnsupported = errors.New("the entity cannot do that")
)

// Limits of what is taken from outside.
const (
	// MaxArguments is the largest number of arguments of a request.
	MaxArguments = 32
	// MaxText is the longest text in bytes, unless the entity says otherwise.
	MaxText = 255
	// maxLongText bounds texts whose limit the entity raises, and media's addresses.
	maxLongText = 4096
)

// Request is a wish, as a door took it.
type Request struct {
	// Entity is the entity's id: "light.kitchen".
	Entity string
	// Action is what to do, as Home Assistant names the services of the entity's domain: "turn_on", "set_temperature".
	Action string
	// Arguments are how, in any order. A code is among them.
	Arguments []*entityv1.Field
}

// Checked is a request that the entity can do.
type Checked struct {
	// Domain is the entity's domain: "light".
	Domain string
	// Action is never one that depends on the present state: a toggle has become turn_on or turn_off.
	Action string
	// Arguments are sorted by name, each once, with canonical names, types and units.
	Arguments []*entityv1.Field
	// Secret are the arguments that must not be written anywhere: "code". Nil where there are none.
	Secret map[string]string
	// Expected is what the state has to say for the command to be confirmed: the part of Assumed that the source reports.
	// Nil where no state answers.
	Expected *entityv1.Attributes
	// Assumed is what the state will be, also in fields that the source never reports: what [Merge] takes for a device
	// that says nothing. Nil where that is not known, or nothing changes.
	Assumed *entityv1.Attributes
	// Timeout is how long an answer takes at most.
	Timeout time.Duration
}

// Argument is the value of an argument, false where it was not given. Secrets are not among them.
func (c Checked) Argument(name string) (*entityv1.Value, bool) {
	i, ok := slices.BinarySearchFunc(c.Arguments, name, func(f *entityv1.Field, name string) int {
		return strings.Compare(f.GetName(), name)
	})
	if !ok {
		return nil, false
	}
	return c.Arguments[i].GetValue(), true
}

// Float is an argument that is a number.
func (c Checked) Float(name string) (float64, bool) {
	v, _ := c.Argument(name)
	return numberOf(v)
}

// Int is an argument that is a whole number.
func (c Checked) Int(name string) (int64, bool) {
	v, _ := c.Argument(name)
	n, ok := v.GetKind().(*entityv1.Value_IntValue)
	if !ok {
		return 0, false
	}
	return n.IntValue, true
}

// Bool is an argument that is true or false.
func (c Checked) Bool(name string) (value, ok bool) {
	v, _ := c.Argument(name)
	return boolOf(v)
}

// String is an argument that is a text or an option.
func (c Checked) String(name string) (string, bool) {
	v, _ := c.Argument(name)
	return textOf(v)
}

// Floats is an argument that is a list of numbers: a color.
func (c Checked) Floats(name string) ([]float64, bool) {
	v, _ := c.Argument(name)
	return numbersOf(v)
}

// Code is the secret that opens a lock or disarms an alarm. It must not be written anywhere.
func (c Checked) Code() (string, bool) {
	code, ok := c.Secret[argCode]
	return code, ok
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

// shown is a text from outside as it may stand in a message.
func shown(s string) string {
	const longest = 64
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

// listed is a list of words as it may stand in a message.
func listed(words []string) string {
	const most = 30
	if len(words) == 0 {
		return "none"
	}
	short := make([]string, 0, most+1)
	for i, w := range words {
		if i == most {
			short = append(short, fmt.Sprintf("and %d more", len(words)-most))
			break
		}
		if len(w) > 64 {
			w = strings.ToValidUTF8(w[:64], "") + "…"
		}
		short = append(short, w)
	}
	return strings.Join(short, ", ")
}

// suggest is what to say of a word that is none of words: the nearest one, if it is near, and all of them.
func suggest(word string, words []string) string {
	if len(words) == 0 {
		return "it takes none"
	}
	best, distance := "", 3 // further away is another word
	for _, w := range words {
		if d := editDistance(strings.ToLower(word), strings.ToLower(w)); d < distance && d < len(w) {
			best, distance = w, d
		}
	}
	if best == "" {
		return "there are: " + listed(words)
	}
	return "did you mean " + best + "? There are: " + listed(words)
}

// editDistance is the number of letters to change, add or take away between two words; of long ones it is large.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
