package faults

import (
	"net/http"
	"os"
	"strings"
)

// Bearer sends requests with the token of a file, which the program writes when it starts for the first time.
type Bearer struct {
	*http.Transport
	File string
}

// RoundTrip implements [http.RoundTripper].
func (b Bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.Token()
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return b.Transport.RoundTrip(r)
}

// Token is the token in the file.
func (b Bearer) Token() (string, error) {
	text, err := os.ReadFile(b.File)
	return strings.TrimSpace(string(text)), err
}

// TokenFile is where the program leaves the first token of a database.
func TokenFile(db string) string { return db + ".admin-token" }
