package rpc

import (
	"strings"
	"testing"

	"connectrpc.com/connect"

	statehousev1 "github.com/statehouse/statehouse/gen/statehouse/v1"
)

// TestErrorsHaveNoToken: who sends a token where none belongs gets an error that repeats it without its secret.
func TestErrorsHaveNoToken(t *testing.T) {
	r := serve(t, newHouse(t), Options{})
	const secret = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst"
	_, err := r.states("all").Get(t.Context(), &statehousev1.GetRequest{EntityId: "sth_zzzzzzzzzz_" + secret})
	d := wantCode(t, err, connect.CodeInvalidArgument, "invalid")
	if text := err.Error() + d.String(); strings.Contains(text, secret[:8]) || !strings.Contains(text, "redacted") {
		t.Error(text)
	}
}
