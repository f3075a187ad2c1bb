package command

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	entityv1 "github.com/statehouse/statehouse/gen/statehouse/entity/v1"
	"github.com/statehouse/statehouse/state"
)

// Limits of what a person writes.
const (
	maxWords    = 64
	maxWordsAll = 16 << 10
)

// ParseWords reads what a person writes behind an entity: "on", "off brightness=50%", "50%", "open", "position=30", "21.5",
// "heat temperature=21", "eco", "color=red". The first word may be the name of any action. A word alone, where it is no
// action, is the value that it must be in this domain; name=value is an argument, by its own name or a shorter
// one. Where no action is named it is the first one that takes all that is said. A moment without a zone is one of the
// zone that the program runs in. Errors say which words there are; those of a domain that has codes do not repeat words.
func ParseWords(entity string, words []string) (Request, error) {
	name, d := domainOf(entity)
	if d == nil {
		return Request{}, refused(name)
	}
	if err := boundWords(words); err != nil {
		return Request{}, err
	}
	if len(words) == 0 {
		return Request{}, invalid("what shall %s do? %s", shown(entity), d.help())
	}
	p := &phrase{domain: d}
	if a := d.spoken(words[0]); a != nil {
		p.action, words = a, words[1:]
	}
	if err := p.read(words); err != nil {
		return Request{}, err
	}
	if p.action == nil {
		if err := p.infer(); err != nil {
			return Request{}, err
		}
	}
	return Request{Entity: entity, Action: p.action.name, Arguments: p.arguments}, nil
}

func boundWords(words []string) error {
	size := 0
	for _, w := range words {
		size += len(w)
		if !utf8.ValidString(w) {
			return invalid("a word is not UTF-8")
		}
	}
	if len(words) > maxWords || size > maxWordsAll {
		return invalid("more than %d words or %d bytes", maxWords, maxWordsAll)
	}
	return nil
}

// spoken is the action that a word says.
func (d *domain) spoken(word string) *action {
	if a := d.action(word); a != nil {
		return a
	}
	return d.action(d.words[strings.ToLower(word)])
}

// help is what there is to say.
func (d *domain) help() string {
	said := append(slices.Sorted(maps.Keys(d.words)), d.actionNames()...)
	slices.Sort(said)
	return "there are: " + listed(slices.Compact(said))
}

// secretive says that words of the domain may be a code.
func (d *domain) secretive() bool { return d.param(argCode) != nil }

// phrase is what has been read of some words.
type phrase struct {
	domain    *domain
	action    *action
	arguments []*entityv1.Field
}

// read takes the words behind the action.
func (p *phrase) read(words []string) error {
	if p.domain.whole && len(words) > 0 {
		if _, _, ok := p.named(words[0]); !ok {
			words = []string{strings.Join(words, " ")}
		}
	}
	for _, w := range words {
		name, value, ok := p.named(w)
		if !ok {
			value = w
			if name = p.bare(w); name == "" {
				return p.meaningless(w)
			}
		}
		if err := p.take(name, value); err != nil {
			return err
		}
	}
	return nil
}

// named splits name=value, where the name is one of an argument. In other words an equals sign is a letter like others,
// unless the domain has no values that stand alone as whole texts.
func (p *phrase) named(word string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(word, "=")
	if !ok {
		return "", "", false
	}
	if own, has := p.domain.names[name]; has {
		name = own
	}
	if p.domain.param(name) != nil {
		return name, value, true
	}
	_, has := p.domain.inputs[name]
	return name, value, has || !p.domain.whole
}

func (p *phrase) bare(word string) string {
	if p.domain.bare == nil {
		return ""
	}
	return p.domain.bare(word)
}

func (p *phrase) meaningless(word string) error {
	if p.domain.secretive() {
		return invalid("a word is no command for %s; %s, with code=…", p.domain.name, p.domain.help())
	}
	return invalid("%s says nothing to a %s; %s", shown(word), p.domain.name, p.domain.help())
}

// take reads one argument.
func (p *phrase) take(name, value string) error {
	var fields []*entityv1.Field
	if par := p.param(name); par != nil {
		v, err := typedWord(par, value)
		if err != nil {
			return err
		}
		fields = []*entityv1.Field{field(name, v)}
	} else if in, ok := p.domain.inputs[name]; ok {
		v, err := typedWord(&param{name: name, kind: in.kind}, value)
		if err != nil {
			return err
		}
		if fields, err = in.convert(v); err != nil {
			return err
		}
	} else {
		all := slices.Sorted(maps.Keys(p.domain.inputs))
		for _, a := range p.domain.actions {
			for i := range a.params {
				all = append(all, a.params[i].name)
			}
		}
		slices.Sort(all)
		return invalid("a %s has no %s; %s", p.domain.name, shown(name), suggest(name, slices.Compact(all)))
	}
	for _, f := range fields {
		all, err := appendArgument(p.arguments, f, name)
		if err != nil {
			return err
		}
		p.arguments = all
	}
	return nil
}

// param is the argument of that name in the action, or in any where none is named yet, or that one has no such.
func (p *phrase) param(name string) *param {
	if p.action != nil {
		if par := p.action.param(name); par != nil {
			return par
		}
	}
	return p.domain.param(name)
}

// infer finds the first action that takes all arguments.
func (p *phrase) infer() error {
	for i := range p.domain.actions {
		a := &p.domain.actions[i]
		if !slices.ContainsFunc(p.arguments, func(f *entityv1.Field) bool { return a.param(f.GetName()) == nil }) {
			p.action = a
			return nil
		}
	}
	names := make([]string, len(p.arguments))
	for i, f := range p.arguments {
		names[i] = f.GetName()
	}
	return invalid("no one command of a %s takes %s; send several", p.domain.name, listed(names))
}

// typedWord is a word as the value of an argument.
func typedWord(p *param, s string) (*entityv1.Value, error) {
	switch p.kind {
	case KindNumber, KindInteger:
		return numberWord(p, s)
	case KindBool:
		b, ok := parseBool(s)
		if !ok {
			return nil, invalid("%s is true or false, not %s", p.name, shown(s))
		}
		return boolean(b), nil
	case KindTexts:
		return textList(s), nil
	case KindAny:
		if v, err := state.ValueFromJSON([]byte(s)); err == nil {
			return v, nil
		}
	case KindXY, KindHS, KindRGB, KindRGBW, KindRGBWW:
		var all []float64
		for part := range strings.SplitSeq(strings.Trim(s, "[]()"), ",") {
			n, ok := parseNumber(part)
			if !ok || len(all) == 5 {
				return nil, invalid("%s is %s, with commas between", p.name, channelText(channels[p.kind]))
			}
			all = append(all, n)
		}
		return numbers(all...), nil
	case KindDateTime:
		return coerced(KindDateTime, text(s)), nil
	}
	return text(s), nil
}

// numberWord reads a number and the unit that may stand behind it.
func numberWord(p *param, s string) (*entityv1.Value, error) {
	digits, percent := strings.CutSuffix(s, "%")
	switch p.unit {
	case unitSeconds:
		digits = strings.TrimSuffix(digits, "s")
	case unitTemperature:
		digits = strings.TrimSuffix(digits, "°")
	}
	if p.name == argKelvin || p.name == "kelvin" {
		digits = strings.TrimRight(digits, "kK")
	}
	n, ok := parseNumber(digits)
	if !ok {
		return nil, invalid("%s is a number, not %s", p.name, shown(s))
	}
	switch {
	case !percent:
	case p.name == argBrightness || p.name == argWhite:
		n = brightness(n)
	case p.name == argVolume:
		n /= 100
	case p.unit != unitPercent && p.name != "brightness_pct" && p.name != argValue:
		return nil, invalid("%s is no percentage", p.name)
	}
	return number(n), nil
}

// What a word that stands alone is, by domain.

func always(name string) func(string) string { return func(string) string { return name } }

func numeric(word string) bool {
	_, ok := parseNumber(strings.TrimSuffix(strings.TrimSuffix(word, "%"), "°"))
	return ok
}

func bareLight(word string) string {
	if _, ok := parseColor(word); ok {
		return "color"
	}
	if strings.HasSuffix(word, "%") && numeric(word) {
		return argBrightness
	}
	if digits := strings.TrimRight(word, "kK"); digits != word && numeric(digits) {
		return "kelvin"
	}
	return ""
}

func barePosition(word string) string {
	if numeric(word) {
		return argPosition
	}
	return ""
}

func bareVolume(word string) string {
	if strings.HasSuffix(word, "%") && numeric(word) {
		return argVolume
	}
	return ""
}

// bareMode is a number, or the word for a mode.
func bareMode(amount, mode string) func(string) string {
	return func(word string) string {
		if numeric(word) {
			return amount
		}
		return mode
	}
}

func bareClimate(word string) string {
	if numeric(word) {
		return argTemperature
	}
	if _, ok := enumNumber((*entityv1.Climate)(nil).ProtoReflect().Descriptor().Fields().ByName(argHvacMode).Enum(), word); ok {
		return argHvacMode
	}
	return argPreset
}
