package hass

import (
	"context"
	"log/slog"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/access"
)

// Options say what is served, and to whom. The zero value serves nobody.
type Options struct {
	// House is the house, nil until its log is read: until then everything is answered with 503. It may be called by any
	// number of goroutines. A nil function is one that answers nil.
	House func() *statehouse.House
	// Dispatcher carries out commands; it returns nil as long as none can be taken. A nil function is one that returns nil.
	Dispatcher func() Dispatcher
	// Auth knows the tokens that WebSockets come with; nil knows none.
	Auth access.Authenticator
	// Version is the program's; clients are told [Compatible] where Home Assistant would tell its own.
	Version string
	// Logger takes what happens; nil means nothing is logged.
	Logger *slog.Logger
	// Closing ends when the server does, and every connection with it; nil never ends.
	Closing context.Context
	// OpenStream is called for each connection that stays, when it is known who it is. Its context ends when the server closes;
	// the function is called when the connection has ended. An error says that there are too many. nil sets no limit.
	OpenStream func(ctx context.Context) (context.Context, func(), error)
	// WriteTimeout is how long a client may take nothing of what is written for it; 0 means 30 seconds.
	WriteTimeout time.Duration
	// Heartbeat is the time after which a connection is asked whether it is still there; 0 means 50 seconds.
	Heartbeat time.Duration
}

// Compatible is the version of Home Assistant whose interface this is, which clients go by.
const Compatible = "2025.1.0"

func (o *Options) setDefaults() {
	if o.House == nil {
		o.House = func() *statehouse.House { return nil }
	}
	if o.Dispatcher == nil {
		o.Dispatcher = func() Dispatcher { return nil }
	}
	if o.Auth == nil {
		o.Auth = nobody{}
	}
	if o.Version == "" {
		o.Version = "unknown"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Closing == nil {
		o.Closing = context.Background()
	}
	if o.OpenStream == nil {
		o.OpenStream = unlimited
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 30 * time.Second
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = 50 * time.Second
	}
}

func unlimited(ctx context.Context) (context.Context, func(), error) { return ctx, func() {}, nil }

// nobody knows no token.
type nobody struct{}

func (nobody) Authenticate(string, string) (*access.Identity, error) { return nil, access.ErrDenied }
