package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// configHashPasswordCmd makes what stands for a password in the configuration.
type configHashPasswordCmd struct{}

// Help implements [kong.HelpProvider].
func (*configHashPasswordCmd) Help() string {
	return `Asks for a password, without showing it, and prints what to write as password_hash of a user of the embedded broker. Where the input is no terminal its first line is the password. A password is never an argument: other users of the machine could read it.

Examples:

    statehouse config hash-password
    statehouse config hash-password < /run/secrets/zigbee2mqtt`
}

// Run implements the command.
func (*configHashPasswordCmd) Run(a *app) error {
	password, err := a.readPassword()
	if err != nil {
		return err
	}
	hash, err := broker.HashPassword(password)
	if err != nil {
		return err
	}
	return a.printf("%s\n", hash)
}

// maxPassword is how many bytes a password may have in MQTT.
const maxPassword = 65535

// readPassword takes a password from a person or from what is piped in.
func (a *app) readPassword() (password string, err error) {
	if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		password, err = a.askPassword(f)
	} else {
		password, err = bufio.NewReader(io.LimitReader(a.stdin, maxPassword+2)).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		password = strings.TrimSuffix(strings.TrimSuffix(password, "\n"), "\r")
	}
	switch {
	case err != nil:
		return "", err
	case password == "":
		return "", usagef("the password is empty; write one, as the first line of the input")
	case len(password) > maxPassword:
		return "", usagef("the password has more than %d bytes, which MQTT does not allow", maxPassword)
	}
	return password, nil
}

// askPassword asks twice at a terminal. It takes the keys as they are, so that Ctrl-C ends the question and the terminal
// echoes again afterwards.
func (a *app) askPassword(f *os.File) (string, error) {
	before, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	restore := func() { _ = term.Restore(int(f.Fd()), before) }
	defer restore()
	// A signal from elsewhere does not end the reading; a second one ends the process.
	defer context.AfterFunc(a.ctx, restore)()
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{f, a.stderr}, "")
	password, err := t.ReadPassword("Password: ")
	if err == nil && password != "" {
		var again string
		again, err = t.ReadPassword("Again: ")
		if err == nil && again != password {
			return "", usagef("the two passwords differ; nothing was made")
		}
	}
	if errors.Is(err, io.EOF) {
		return "", context.Canceled
	}
	return password, err
}
