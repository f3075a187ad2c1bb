package mqtt

import (
	"fmt"
	"os"
	"strings"
)

// OptionError says that an option of a broker or a client cannot be.
type OptionError struct {
	// Key is the option as the configuration file names it, below the key of the broker or the client itself:
	// "limits.max_payload", "users[0].password_hash".
	Key string
	// Err says what is wrong and what would be right.
	Err error
}

func (e *OptionError) Error() string { return e.Key + ": " + e.Err.Error() }
func (e *OptionError) Unwrap() error { return e.Err }

// OptionErrors are everything that is wrong with the options of a broker or a client.
type OptionErrors []*OptionError

func (e OptionErrors) Error() string {
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "\n")
}

func (e OptionErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, one := range e {
		errs[i] = one
	}
	return errs
}

// Add notes what is wrong with an option, by [fmt.Errorf].
func (e *OptionErrors) Add(key, format string, args ...any) {
	*e = append(*e, &OptionError{Key: key, Err: fmt.Errorf(format, args...)})
}

// Err is all that was added as one error, nil if nothing was.
func (e OptionErrors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// ReadPassword is the password that a file holds: its first line, which must not be empty.
func ReadPassword(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("the first line of %s is empty; write the password there", path)
	}
	return line, nil
}
