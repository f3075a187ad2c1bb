package command_test

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse/internal/command"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden goes through a file with a case on each line, "question → answer", and compares the answers. With -update it
// rewrites them: new cases are added without an answer.
func golden(t *testing.T, file string, answer func(question string) string) {
	t.Helper()
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var now bytes.Buffer
	for lines := bufio.NewScanner(bytes.NewReader(old)); lines.Scan(); {
		question, _, _ := strings.Cut(lines.Text(), " ⇒ ")
		if question != "" {
			now.WriteString(question + " ⇒ " + answer(question))
		}
		now.WriteByte('\n')
	}
	if *update {
		if err := os.WriteFile(file, now.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(string(old), "\n"), strings.Split(now.String(), "\n")); diff != "" {
		t.Errorf("%s (-want +got), rewrite with -update if it is right:\n%s", file, diff)
	}
}

// checked is what came of a request, or the error.
func checked(t testing.TB, r command.Request, err error, now string) string {
	t.Helper()
	var c command.Checked
	if err == nil {
		c, err = command.Check(r, things[r.Entity], present[now])
	}
	switch {
	case err == nil:
		return spell(t, c)
	case !errors.Is(err, command.ErrInvalid) && !errors.Is(err, command.ErrUnsupported):
		t.Errorf("%v %v: an error of another kind: %v", r.Entity, r.Action, err)
	}
	return err.Error()
}

// Each domain's words: "entity [present state] words".
func TestCheckOfWords(t *testing.T) {
	golden(t, "testdata/check.golden", func(question string) string {
		entity, rest, _ := strings.Cut(question, " [")
		now, words, ok := strings.Cut(rest, "] ")
		if !ok || now != "" && present[now] == nil {
			t.Fatalf("no case: %s", question)
		}
		r, err := command.ParseWords(entity, strings.Split(words, " "))
		return checked(t, r, err, now)
	})
}
