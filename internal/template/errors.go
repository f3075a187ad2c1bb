package template

import (
	"errors"
	"fmt"
)

var (
	// ErrSyntax is a text that is no template.
	ErrSyntax = errors.New("template syntax")
	// ErrFailed is a run that failed.
	ErrFailed = errors.New("template failed")
	// ErrUndefined is a run that failed since it needed what is not defined; it comes with ErrFailed. Home Assistant takes
	// the payload itself, unchanged, for the value then.
	ErrUndefined = errors.New("undefined")
	// ErrTooLarge is a text, an output, a string or a number over its bound.
	ErrTooLarge = errors.New("template too large")
	// ErrTooLong is a run that took more steps than one may.
	ErrTooLong = errors.New("template took too long")
)

// failf is an error of a run, in the manner of Python's exceptions.
func failf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFailed}, args...)...)
}

// errUndefined is an error of a run that needed the undefined value u.
func errUndefined(u *undefined) error {
	return fmt.Errorf("%w: %w: %s", ErrFailed, ErrUndefined, u.hint)
}

// errNoDefault is what Home Assistant says where it cannot convert and was given no default.
func errNoDefault(r *run, function string, v any) error {
	text, err := r.str(v)
	if err != nil {
		return err
	}
	if len(text) > 100 {
		text = clip(text, 100) + "…"
	}
	return failf("%s got invalid input '%s', but no default was specified", function, text)
}

// clip is the start of s, of at most n bytes, without cutting a character.
func clip(s string, n int) string {
	for n > 0 && n < len(s) && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:min(n, len(s))]
}

// beyond says that an error is of a run that got over a bound.
func beyond(err error) bool { return errors.Is(err, ErrTooLarge) || errors.Is(err, ErrTooLong) }

// failBound is an error of a run that would get over a bound.
func failBound(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrTooLarge}, args...)...)
}
