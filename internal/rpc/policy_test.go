package rpc

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
	"github.com/statehouse/statehouse/internal/access"
)

// procedures are those of our services and of the two that come with them, and whether each is a stream.
func procedures() map[string]bool {
	found := map[string]bool{
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      true,
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": true,
		"/grpc.health.v1.Health/Check":                                   false,
		"/grpc.health.v1.Health/Watch":                                   true,
	}
	protoregistry.GlobalFiles.RangeFilesByPackage(statehousev1.File_statehouse_v1_state_proto.Package(), func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				found["/"+string(service.FullName())+"/"+string(m.Name())] = m.IsStreamingServer()
			}
		}
		return true
	})
	return found
}

// statusOf is the protocol's code in an answer, empty where it is none of an error.
func statusOf(t *testing.T, answer string, stream bool) string {
	t.Helper()
	type failed struct {
		Code string `json:"code"`
	}
	var end struct {
		failed
		Error failed `json:"error"`
	}
	if stream && len(answer) > 5 {
		answer = answer[5:] // the head of the frame
	}
	if err := json.Unmarshal([]byte(answer), &end); err != nil {
		t.Errorf("%q: %v", answer, err)
	}
	return end.Code + end.Error.Code
}

// call asks a procedure with an empty message, and returns all of the answer.
func call(t *testing.T, r *rig, who, procedure string, stream bool) string {
	t.Helper()
	contentType, text := "application/json", "{}"
	if stream {
		contentType, text = "application/connect+json", "\x00\x00\x00\x00\x02{}"
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+procedure, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := r.h2(who).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// TestEveryProcedureHasItsRule: nobody, and whoever has any other scope, is kept out of everything but health.
func TestEveryProcedureHasItsRule(t *testing.T) {
	r := serve(t, newHouse(t), Options{})
	scopes := []access.Scope{access.Read, access.Write, access.Command}
	found := procedures()
	if len(found) != len(policy) || len(found) < 25 {
		t.Errorf("%d procedures and %d rules", len(found), len(policy))
	}
	for _, s := range scopes {
		r.who[s.String()] = access.NewIdentity(s.String(), s, nil, nil)
		r.who[s.String()+" of some"] = access.NewIdentity(s.String(), s, []string{"light.*"}, nil)
	}
	r.who["admin of some"] = access.NewIdentity("admin", access.Admin, []string{"light.*"}, nil)
	for procedure, stream := range found {
		rule, ok := policy[procedure]
		if !ok {
			t.Errorf("%s has no rule", procedure)
			continue
		}
		if rule.public {
			if !strings.Contains(procedure, "grpc.health") {
				t.Errorf("%s is public", procedure)
			}
			continue
		}
		if answer := call(t, r, "", procedure, stream); statusOf(t, answer, stream) != "unauthenticated" {
			t.Errorf("%s without a token: %q", procedure, answer)
		}
		for _, s := range scopes {
			if s != rule.scope {
				if answer := call(t, r, s.String(), procedure, stream); statusOf(t, answer, stream) != "permission_denied" {
					t.Errorf("%s with the scope %s: %q", procedure, s, answer)
				}
			}
		}
		if !rule.partial {
			if answer := call(t, r, rule.scope.String()+" of some", procedure, stream); statusOf(t, answer, stream) != "permission_denied" {
				t.Errorf("%s for some entities: %q", procedure, answer)
			}
		}
	}
	if err := admit(access.Owner(), "/statehouse.v1.StateService/Forgotten"); err == nil {
		t.Error("a procedure without a rule is open to the owner")
	}
}

// TestHandlersAreThoseOfThePolicy: nothing is mounted that the table does not know of.
func TestHandlersAreThoseOfThePolicy(t *testing.T) {
	known := map[string]bool{}
	for procedure := range policy {
		known[procedure[:strings.LastIndex(procedure, "/")+1]] = true
	}
	handlers := New(Options{}).Handlers()
	for prefix := range handlers {
		if !known[prefix] {
			t.Errorf("%s is in no rule", prefix)
		}
	}
	if len(handlers) != len(known) {
		t.Errorf("%d handlers, and rules for %d", len(handlers), len(known))
	}
}
