package rpc

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse/internal/api"
)

// TestPageHasThePolicy: docs/rpc.md has each procedure with its scope, and no other.
func TestPageHasThePolicy(t *testing.T) {
	page := readPage(t)
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Za-z0-9.]+/[A-Za-z]+)` \\| ([^|]+) \\|").FindAllStringSubmatch(page, -1) {
		name := row[1]
		if !strings.Contains(name, ".") {
			name = "statehouse.v1." + name
		}
		documented["/"+name] = row[2]
	}
	// These two are named in the rows of others.
	documented["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"] = documented["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]
	documented["/grpc.health.v1.Health/Watch"] = documented["/grpc.health.v1.Health/Check"]
	for procedure, rule := range policy {
		want := rule.scope.String()
		if rule.public {
			want = "none"
		} else if !rule.partial {
			want += ", for everything"
		}
		if got := documented[procedure]; got != want {
			t.Errorf("%s: the page says %q, and the policy %q", procedure, got, want)
		}
	}
	if len(documented) != len(policy) {
		t.Errorf("%d procedures in the page, %d in the policy", len(documented), len(policy))
	}
}

// TestPageHasTheCodes: docs/rpc.md has the status of each code.
func TestPageHasTheCodes(t *testing.T) {
	page := readPage(t)
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z_`, ]+) \\| (`[a-z_]+`.*) \\|$").FindAllStringSubmatch(page, -1) {
		for _, status := range regexp.MustCompile("[a-z_]+").FindAllString(row[1], -1) {
			rows[status] = row[2]
		}
	}
	check := func(status connect.Code, code api.Code) {
		if !strings.Contains(rows[status.String()], "`"+string(code)+"`") {
			t.Errorf("%s does not have %s: %q", status, code, rows[status.String()])
		}
	}
	for _, f := range failures {
		check(f.status, f.code)
	}
	check(connect.CodeInternal, api.CodeInternal)
	check(connect.CodePermissionDenied, api.CodeForbidden)
	check(connect.CodeUnavailable, api.CodeNotReady)
}

func readPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/rpc.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}
