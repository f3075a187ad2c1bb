// Package regex compiles regular expressions that strangers write, within bounds: a short one may stand for a large program,
// as a{1000} does, and it is the program that costs time and memory.
//
// Patterns are Go's (RE2), which take time in proportion to the text and to the program; [Regex.Cost] is that. What a
// [Budget] has left depends on the patterns alone and not on a clock, so that a pattern that is refused is refused everywhere.
package regex

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"strings"
)

// What the patterns of one [Budget] may take together.
const (
	// MaxLength is how many bytes they may have.
	MaxLength = 1000
	// MaxProgram is how many instructions they may compile to.
	MaxProgram = 2000
	// MaxClasses is how many classes of Unicode they may name, as \pL: to parse one takes as long as a hundred letters.
	MaxClasses = 20
)

// ErrTooLarge says that a pattern goes beyond the bounds. The message says which.
var ErrTooLarge = errors.New("the regular expression is too large")

// Regex is a pattern that was compiled. It may be used by any number of goroutines.
type Regex struct {
	*regexp.Regexp
	// Size is how many instructions it has.
	Size int
	// Context says that it looks at the character before a match: ^, \b and the like.
	Context bool
}

// Budget is what patterns have taken. The zero Budget is nothing.
type Budget struct{ length, program, classes int }

// Compile compiles a pattern, with flags before it that do not count as its length, as in (?i). A pattern that is too large
// for the budget is [ErrTooLarge], which may leave less of it; other errors are those of [syntax.Parse].
func (b *Budget) Compile(flags, text string) (*Regex, error) {
	if b.length += len(text); b.length > MaxLength {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are possible", ErrTooLarge, b.length, MaxLength)
	}
	if b.classes += strings.Count(text, `\p`) + strings.Count(text, `\P`); b.classes > MaxClasses {
		return nil, fmt.Errorf("%w: %d classes as \\pL, at most %d are possible", ErrTooLarge, b.classes, MaxClasses)
	}
	source := text
	if flags != "" {
		source = flags + "(?:" + text + ")"
	}
	parsed, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return nil, err
	}
	// Before it is compiled, since to find out that it is too large would take what the bound is there to save.
	if err := b.instructions(instructions(parsed)); err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if err := b.instructions(len(program.Inst)); err != nil {
		return nil, err
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, err
	}
	b.program += len(program.Inst)
	r := &Regex{Regexp: re, Size: len(program.Inst)}
	for _, inst := range program.Inst {
		r.Context = r.Context || inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(inst.Arg)&^(syntax.EmptyEndLine|syntax.EmptyEndText) != 0
	}
	return r, nil
}

// instructions says whether n more instructions are possible.
func (b *Budget) instructions(n int) error {
	if b.program+n > MaxProgram {
		return fmt.Errorf("%w: %d instructions, at most %d are possible", ErrTooLarge, b.program+n, MaxProgram)
	}
	return nil
}

// instructions is about how many instructions a tree compiles to, for which it is not compiled. It stops counting a little
// beyond [MaxProgram].
func instructions(tree *syntax.Regexp) int {
	n := 0
	for _, sub := range tree.Sub {
		if n += instructions(sub); n > MaxProgram {
			return n
		}
	}
	switch tree.Op {
	case syntax.OpLiteral:
		return n + len(tree.Rune)
	case syntax.OpCapture:
		return n + 2
	case syntax.OpConcat:
		return n
	case syntax.OpAlternate:
		return n + len(tree.Sub) - 1
	case syntax.OpRepeat:
		return n * max(tree.Min, tree.Max) // Max is -1 for no end
	default:
		return n + 1
	}
}

// Cost is what a search through n bytes costs: one for each 64 of its instructions that look at a byte.
func (r *Regex) Cost(n int) int {
	return int(min(int64(n)*int64(r.Size)/64+1, math.MaxInt32))
}
