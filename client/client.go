package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/statehouse/statehouse/gen/statehouse/v1/statehousev1connect"
)

const (
	// maxMessageBytes is the largest message that is taken, decompressed: what the server sends at most.
	maxMessageBytes = 32 << 20
	// maxTokenBytes is the largest file that may hold a token.
	maxTokenBytes = 4 << 10
	// dialTimeout is how long a connection may take.
	dialTimeout = 10 * time.Second
)

// Client is a house in another process. [Client.Close] gives back what it takes.
type Client struct {
	transport *http.Transport
	states    statehousev1connect.StateServiceClient
	log       statehousev1connect.LogServiceClient
	timeline  statehousev1connect.TimelineServiceClient
	registry  statehousev1connect.RegistryServiceClient
	commands  statehousev1connect.CommandServiceClient
	admin     statehousev1connect.AdminServiceClient
	// silence is how long a server that sends heartbeats may be silent, and backoff the first and the longest pause before
	// another try.
	silence             time.Duration
	backoff, maxBackoff time.Duration
}

// Option is what Dial is told beside the address.
type Option func(*options)

type options struct {
	token func(ctx context.Context) (string, error)
	tls   *tls.Config
}

// WithTokenFile sends the token that a file holds, alone in it but for white space around it. The file is read at each
// request, so that a token which was rotated is taken. One that is not there, or cannot be read, is an error of the request, as
// with [WithToken]; nobody waits for it.
func WithTokenFile(path string) Option {
	return WithToken(func(context.Context) (string, error) {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		text, err := io.ReadAll(io.LimitReader(f, maxTokenBytes+1))
		if err != nil {
			return "", err
		}
		if len(text) > maxTokenBytes {
			return "", fmt.Errorf("%s has more than %d bytes, and is no file of a token", path, maxTokenBytes)
		}
		return string(text), nil
	})
}

// WithToken sends the token that a function returns, which is called at each request. Its error is one of the request, which is
// [ErrUnauthenticated] too, and ends [Client.Watch], unless it matches [eventstore.ErrUnavailable]: then Watch tries again.
func WithToken(token func(ctx context.Context) (string, error)) Option {
	return func(o *options) { o.token = token }
}

// WithTLS is what certificates a server at an https URL is asked for; without it, the system's.
func WithTLS(config *tls.Config) Option { return func(o *options) { o.tls = config } }

// Dial is a client of the server at a URL, as in http://127.0.0.1:8321. A token is not sent in clear to another machine: that
// needs https.
func Dial(address string, opts ...Option) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("dial: the address is no URL of a server, as in http://127.0.0.1:8321") // it may hold a password
	}
	o := newOptions(opts)
	if o.token != nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("dial %s: a token would be sent in clear to another machine; use https", u.Host)
	}
	return newClient(strings.TrimSuffix(u.String(), "/"), o, (&net.Dialer{Timeout: dialTimeout}).DialContext), nil
}

// DialSocket is a client of the server behind a unix socket, as in home.db.sock. Whoever may open it needs no token.
func DialSocket(path string, opts ...Option) (*Client, error) {
	if path == "" {
		return nil, errors.New("dial: the path of the socket is missing")
	}
	d := &net.Dialer{Timeout: dialTimeout}
	return newClient("http://localhost", newOptions(opts), func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "unix", path)
	}), nil
}

func newOptions(opts []Option) (o options) {
	for _, set := range opts {
		set(&o)
	}
	return o
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func newClient(base string, o options, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Client {
	c := &Client{silence: time.Minute, backoff: 100 * time.Millisecond, maxBackoff: 10 * time.Second}
	c.transport = &http.Transport{DialContext: dial, TLSClientConfig: o.tls, TLSHandshakeTimeout: dialTimeout, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}
	h := &http.Client{
		Transport: authorized{c.transport, o.token},
		// A token is for this server and no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	limit := connect.WithReadMaxBytes(maxMessageBytes)
	c.states = statehousev1connect.NewStateServiceClient(h, base, limit)
	c.log = statehousev1connect.NewLogServiceClient(h, base, limit)
	c.timeline = statehousev1connect.NewTimelineServiceClient(h, base, limit)
	c.registry = statehousev1connect.NewRegistryServiceClient(h, base, limit)
	c.commands = statehousev1connect.NewCommandServiceClient(h, base, limit)
	c.admin = statehousev1connect.NewAdminServiceClient(h, base, limit)
	return c
}

// Close closes connections that nothing uses any more. Streams that are open end with their contexts.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// authorized sends a token with each request.
type authorized struct {
	next  http.RoundTripper
	token func(ctx context.Context) (string, error)
}

// RoundTrip implements [http.RoundTripper].
func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.token == nil {
		return a.next.RoundTrip(r)
	}
	token, err := a.token(r.Context())
	if err == nil && strings.ContainsFunc(strings.TrimSpace(token), func(c rune) bool { return c <= ' ' || c > '~' }) {
		err = errors.New("it has characters that no token has") // net/http would name it in its error
	}
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, &tokenError{err}
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	return a.next.RoundTrip(r)
}
