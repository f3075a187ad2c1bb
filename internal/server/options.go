package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/internal/access"
	"github.com/statehouse/statehouse/internal/api"
)

// DefaultAddress is where a server listens when it is not told.
const DefaultAddress = "127.0.0.1:8321"

// Options say how a server works. The zero value is right for nearly everybody.
type Options struct {
	// House is what is served; nil means that [Server.SetHouse] tells later.
	House *statehouse.House
	// Address is host and port of the TCP listener; empty means DefaultAddress. Port 0 takes a free one. An address that is
	// not a loopback one needs TLS.
	Address string
	// SocketPath is where the unix socket goes once there is a house; empty means none. A path that is longer than
	// a socket's may be is logged, and there is none.
	SocketPath string
	// AllowedHosts are names, besides localhost, 127.0.0.1, ::1 and the host of Address, that requests may be for.
	AllowedHosts []string
	// TLS is the certificate of the TCP listener; nil means plain HTTP, which is for loopback addresses alone.
	TLS *Certificate
	// Auth knows the tokens that requests over TCP come with; nil means those of Tokens. Requests through the unix socket are
	// the owner's.
	Auth access.Authenticator
	// Tokens are the tokens that are managed through the server; nil means that [Server.SetTokens] tells later. Where there are
	// none nobody gets in.
	Tokens *access.Tokens
	// Version is what /v1/info and the metrics say of the program.
	Version string
	// Logger takes what happens; nil means nothing is logged. Requests are logged at debug level.
	Logger *slog.Logger
	// Metrics is what /metrics shows and where the server's own collectors are registered; nil means a registry of
	// the server's own.
	Metrics *prometheus.Registry
	// Ready says what keeps the daemon, apart from its store, from being ready; nil, or a nil error, means nothing.
	// It must not block.
	Ready func() error

	// Dispatcher carries out commands; it returns nil as long as none can be taken, and no pointer that is nil. nil is a function
	// that returns nil.
	Dispatcher func() Dispatcher

	// Claims says who claims an MQTT topic, for POST /v1/mqtt/claims; nil means that nobody can say. It is called by any number
	// of goroutines, once there is a house, and must not block.
	Claims func(topic string) []api.Claim

	// Verifier verifies the house; nil means that nobody does but who asks the server to.
	Verifier Verifier

	// MaxStreams is the number of streams, of changes or of the log, that may be open at once; 0 means 64.
	MaxStreams int
	// MaxConnections is the number of connections that each door has at once; further ones wait until there is room. 0 means
	// 512: each takes a file descriptor, of which the database needs some.
	MaxConnections int
	// WriteTimeout is how long a client may take nothing of what is written for it; 0 means 30 seconds.
	WriteTimeout time.Duration
	// ReadTimeout is how long a client may take for the head of its request, and again for its body; 0 means 10
	// seconds.
	ReadTimeout time.Duration
	// IdleTimeout is how long a connection may stay open without a request; 0 means two minutes.
	IdleTimeout time.Duration
	// Heartbeat is the time between two comments in a stream of changes; 0 means 15 seconds.
	Heartbeat time.Duration
}

// Verifier verifies a house. Its methods may be called by any number of goroutines.
type Verifier interface {
	// Verify is [statehouse.House.Verify].
	Verify(ctx context.Context, opts eventstore.InspectOptions) (eventstore.Inspection, error)
	// Verified is what is known of the last verification.
	Verified() api.Verified
}

// houseVerifier verifies a house and remembers nothing of it.
type houseVerifier struct{ s *Server }

func (v houseVerifier) Verify(ctx context.Context, opts eventstore.InspectOptions) (eventstore.Inspection, error) {
	return v.s.house.Load().Verify(ctx, opts)
}

func (houseVerifier) Verified() api.Verified { return api.Verified{} }

const (
	maxHeaderBytes = 32 << 10
	maxBodyBytes   = 64 << 10
)

func (o *Options) setDefaults() {
	if o.Address == "" {
		o.Address = DefaultAddress
	}
	if o.Version == "" {
		o.Version = "unknown"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	if o.Dispatcher == nil {
		o.Dispatcher = func() Dispatcher { return nil }
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.MaxStreams <= 0 {
		o.MaxStreams = 64
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = 512
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&o.WriteTimeout, 30 * time.Second},
		{&o.ReadTimeout, 10 * time.Second},
		{&o.IdleTimeout, 2 * time.Minute},
		{&o.Heartbeat, 15 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
}
