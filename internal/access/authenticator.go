package access

// Authenticator finds out who has a token.
type Authenticator interface {
	// Authenticate is the identity of a token that came from an address, as host:port of a connection. It fails with an
	// error that matches [ErrDenied], or with a [*TooManyError]. It may be called by any number of goroutines.
	Authenticate(remoteAddr, token string) (*Identity, error)
}
