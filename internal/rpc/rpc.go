package rpc

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/eventstore"
	"github.com/statehouse/statehouse/gen/statehouse/v1/statehousev1connect"
	"github.com/statehouse/statehouse/internal/api"
)

// Options say how a service works. House is required; the zero value of the rest is right for nearly everybody.
type Options struct {
	// House is what is served; it returns nil until the log is replayed.
	House func() *statehouse.House
	// Dispatcher carries out commands; it returns nil as long as none can be taken. nil is a function that returns nil.
	Dispatcher func() Dispatcher
	// Verifier verifies the house; nil means that the house does it itself.
	Verifier Verifier
	// Version is what Stats say of the program; empty means "unknown".
	Version string
	// Logger takes what happens; nil means nothing is logged.
	Logger *slog.Logger
	// OpenStream is called at the beginning of each stream that may go on for long. The context that it returns ends with the
	// one that it is given, or with a cause of the server's: [ErrClosing] when that closes. The function is called at the end
	// of the stream. Where there are too many its error matches [ErrTooManyStreams]. nil means that nobody counts.
	OpenStream func(ctx context.Context) (context.Context, func(), error)
	// WriteTimeout is how long a client may take nothing of what is written for it; 0 means 30 seconds.
	WriteTimeout time.Duration
	// Heartbeat is the time after which a stream of changes in which nothing comes says that it lives; 0 means 15 seconds.
	Heartbeat time.Duration
}

// Verifier verifies a house. It may be called by any number of goroutines.
type Verifier interface {
	// Verify is [statehouse.House.Verify].
	Verify(ctx context.Context, opts eventstore.InspectOptions) (eventstore.Inspection, error)
}

const (
	// maxRequestBytes is the largest request, decompressed.
	maxRequestBytes = 64 << 10
	// maxAppendBytes is that of Append: one event of the largest size, and the rest of the request.
	maxAppendBytes = eventstore.MaxEventBytes + maxRequestBytes
	// maxAnswerBytes is the largest message that is sent: more than a few events of the largest size.
	maxAnswerBytes = 32 << 20
)

// Service serves a house. All it does is done in its handlers.
type Service struct {
	opts Options
	// verifying is held while a verification is under way, compacting while history is removed.
	verifying, compacting sync.Mutex
}

// New is a service.
func New(opts Options) *Service {
	if opts.Version == "" {
		opts.Version = "unknown"
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Dispatcher == nil {
		opts.Dispatcher = func() Dispatcher { return nil }
	}
	if opts.OpenStream == nil {
		opts.OpenStream = func(ctx context.Context) (context.Context, func(), error) { return ctx, func() {}, nil }
	}
	if opts.WriteTimeout <= 0 {
		opts.WriteTimeout = 30 * time.Second
	}
	if opts.Heartbeat <= 0 {
		opts.Heartbeat = 15 * time.Second
	}
	return &Service{opts: opts}
}

// services are the names of those that reflection and health tell of.
var services = []string{
	statehousev1connect.StateServiceName, statehousev1connect.LogServiceName, statehousev1connect.TimelineServiceName,
	statehousev1connect.RegistryServiceName, statehousev1connect.CommandServiceName, statehousev1connect.AdminServiceName,
}

// Handlers are the handlers by the prefixes of their paths, as [http.ServeMux] takes them.
func (s *Service) Handlers() map[string]http.Handler {
	handlers := map[string]http.Handler{}
	mount := func(prefix string, h http.Handler) { handlers[prefix] = s.wire(h) }
	options := func(readMax int) []connect.HandlerOption {
		return []connect.HandlerOption{
			connect.WithRequestGate(gate), connect.WithInterceptors(around{s}),
			connect.WithReadMaxBytes(readMax), connect.WithSendMaxBytes(maxAnswerBytes),
		}
	}
	small, large := options(maxRequestBytes), options(maxAppendBytes)
	mount(statehousev1connect.NewStateServiceHandler(stateService{s}, small...))
	mount(statehousev1connect.NewTimelineServiceHandler(timelineService{s}, small...))
	mount(statehousev1connect.NewRegistryServiceHandler(registryService{s}, small...))
	mount(statehousev1connect.NewCommandServiceHandler(commandService{s}, small...))
	mount(statehousev1connect.NewAdminServiceHandler(adminService{s}, small...))
	// Its other procedures take no more than a list of names; so much does no harm there.
	mount(statehousev1connect.NewLogServiceHandler(logService{s}, large...))
	reflector := grpcreflect.NewStaticReflector(append(services[:len(services):len(services)], grpchealth.HealthV1ServiceName)...)
	mount(grpcreflect.NewHandlerV1(reflector, small...))
	mount(grpcreflect.NewHandlerV1Alpha(reflector, small...))
	mount(grpchealth.NewHandler(health{s}, small...))
	return handlers
}

// house is what is served.
func (s *Service) house() (*statehouse.House, error) {
	if h := s.opts.House(); h != nil {
		return h, nil
	}
	return nil, &failure{connect.CodeUnavailable, api.CodeNotReady, "the log is being read; try again soon"}
}
