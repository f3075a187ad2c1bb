package server

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/statehouse/statehouse/internal/api"
)

// TestPageHasTheCodes: docs/http.md has the status of each code.
func TestPageHasTheCodes(t *testing.T) {
	page, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([0-9, ]+) \| (.*) \|$`).FindAllStringSubmatch(string(page), -1) {
		for _, status := range regexp.MustCompile("[0-9]+").FindAllString(row[1], -1) {
			rows[status] = row[2]
		}
	}
	check := func(status int, code api.Code) {
		if row := rows[strconv.Itoa(status)]; !strings.Contains(row, "`"+string(code)+"`") {
			t.Errorf("%d does not have %s: %q", status, code, row)
		}
	}
	for _, f := range failures {
		check(f.status, f.code)
	}
	for _, err := range []error{
		invalid(""), notFound(""), unauthenticated(""), forbidden(""), methodNotAllowed("", ""), errNotReady, errTooManyStreams, os.ErrInvalid,
	} {
		f := failureOf(err)
		check(f.status, f.code)
	}
}
