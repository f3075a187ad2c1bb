package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/access"
)

// errClosing is why streams end when the server does.
var errClosing = errors.New("the server is closing")

// closeTimeout is how long Close waits for requests under way when its context sets no limit.
const closeTimeout = 10 * time.Second

// Server serves one house over HTTP. [Start] one, and [Server.Close] it before its house.
type Server struct {
	opts    Options
	hosts   map[string]bool // that requests over TCP may be for
	house   atomic.Pointer[statehouse.House]
	tokens  atomic.Pointer[access.Tokens]
	metrics *metrics
	// crossOrigin refuses what a page of another origin would change.
	crossOrigin *http.CrossOriginProtection
	streams     chan struct{} // holds one for each open stream
	open        sync.Map      // the *streams that are open
	// verifying is held while a verification that somebody asked for is under way.
	verifying sync.Mutex
	// compacting is held while somebody has history removed.
	compacting sync.Mutex

	// closing ends when the server closes, and the streams with it.
	closing context.Context
	close   context.CancelCauseFunc

	tcp     net.Listener
	serving sync.WaitGroup

	mu     sync.Mutex // guards the rest; nothing else is locked under it
	doors  []*door
	socket *socket // nil where there is none
}

// door is a listener and the HTTP server behind it.
type door struct {
	http  *http.Server
	fresh sync.Map // the net.Conns that have not sent a byte yet
}

// Start listens, and returns when requests are answered. The context ends the start and nothing after it.
func Start(ctx context.Context, opts Options) (*Server, error) {
	opts.setDefaults()
	s := &Server{opts: opts, streams: make(chan struct{}, opts.MaxStreams), crossOrigin: http.NewCrossOriginProtection()}
	s.SetTokens(opts.Tokens)
	if s.opts.Verifier == nil {
		s.opts.Verifier = houseVerifier{s}
	}
	s.closing, s.close = context.WithCancelCause(context.WithoutCancel(ctx))
	var err error
	if s.metrics, err = newMetrics(s, opts.Metrics); err != nil {
		return nil, err
	}
	if s.tcp, err = listenTCP(ctx, opts.Address, opts.TLS); err != nil {
		s.close(err)
		s.metrics.unregister()
		return nil, err
	}
	s.hosts = allowedHosts(opts)
	s.serve(s.tcp, s.handler(routes(s), doorTCP), opts.TLS)
	if opts.House != nil {
		if err := s.SetHouse(opts.House); err != nil {
			return nil, errors.Join(err, s.Close(ctx))
		}
	}
	return s, nil
}

// SetTokens says which tokens there are, from here on. They are read when the database is locked: before, somebody else may
// change them.
func (s *Server) SetTokens(t *access.Tokens) { s.tokens.Store(t) }

// SetHouse says what is served from here on, and opens the unix socket, for which the house must be open: its lock
// makes sure that no other daemon's socket is in the place. It may be called once.
func (s *Server) SetHouse(h *statehouse.House) error {
	if s.house.Load() != nil {
		return errors.New("the server has a house already")
	}
	if err := s.openSocket(); err != nil {
		return err
	}
	s.house.Store(h)
	return nil
}

func (s *Server) openSocket() error {
	if s.opts.SocketPath == "" {
		return nil
	}
	socket, err := listenSocket(s.opts.SocketPath)
	if errors.Is(err, errPathTooLong) {
		s.opts.Logger.Warn("there is no socket; everybody needs a token until the database has a shorter path", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.socket = socket
	s.mu.Unlock()
	s.serve(socket, s.handler(append(routes(s), profileRoutes()...), doorSocket), nil)
	return nil
}

// serve answers the requests that come through a listener until the server closes.
func (s *Server) serve(l net.Listener, h http.Handler, cert *Certificate) {
	l = newLimited(l, s.opts.MaxConnections)
	d := &door{}
	d.http = &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            s.opts.ReadTimeout,
		IdleTimeout:                  s.opts.IdleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		Protocols:                    protocols(cert != nil),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxHTTP2Streams, SendPingTimeout: s.opts.Heartbeat, PingTimeout: s.opts.ReadTimeout,
			WriteByteTimeout: s.opts.WriteTimeout,
		},
		ErrorLog: slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
		// Neither a ReadTimeout nor a WriteTimeout of the whole: both would end streams. Deadlines are set where
		// something is read or written.
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateNew {
				d.fresh.Store(c, nil)
			} else {
				d.fresh.Delete(c)
			}
		},
	}
	s.mu.Lock()
	s.doors = append(s.doors, d)
	s.mu.Unlock()
	s.serving.Go(func() {
		serve := d.http.Serve
		if cert != nil {
			d.http.TLSConfig = cert.config(s.opts.Logger)
			serve = func(l net.Listener) error { return d.http.ServeTLS(l, "", "") }
		}
		if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.opts.Logger.Error("the HTTP listener failed", "address", l.Addr().String(), "error", err)
		}
	})
}

// maxHTTP2Streams is how many requests one HTTP/2 connection may have open at once.
const maxHTTP2Streams = 32

// protocols are those of a door: gRPC wants HTTP/2, also where nothing is encrypted.
func protocols(encrypted bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(encrypted)
	p.SetUnencryptedHTTP2(!encrypted)
	return p
}

// Addr is where the server listens for TCP.
func (s *Server) Addr() net.Addr { return s.tcp.Addr() }

// URL is [Server.Addr] as the beginning of a URL: "http://127.0.0.1:8321".
func (s *Server) URL() string {
	scheme := "http"
	if s.opts.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + s.tcp.Addr().String()
}

// SocketPath is where the unix socket is, empty where there is none.
func (s *Server) SocketPath() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket == nil {
		return ""
	}
	return s.socket.path
}

// Close stops listening, ends the streams at once, and waits for the other requests until ctx ends, for ten seconds if
// it has no deadline; what is left then is cut off, which is an error. Close may be called again.
func (s *Server) Close(ctx context.Context) error {
	s.close(errClosing)
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeTimeout)
		defer cancel()
	}
	s.mu.Lock()
	doors, socket := s.doors, s.socket
	s.doors, s.socket = nil, nil
	s.mu.Unlock()
	var errs []error
	for _, d := range doors {
		if err := d.close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close the HTTP server: %w", err))
		}
	}
	if socket != nil {
		errs = append(errs, socket.remove())
	}
	s.serving.Wait()
	s.metrics.unregister()
	return errors.Join(errs...)
}

func (d *door) close(ctx context.Context) error {
	// Shutdown would wait for seconds for connections that never asked anything.
	d.fresh.Range(func(c, _ any) bool {
		_ = c.(net.Conn).Close()
		return true
	})
	err := d.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, d.http.Close())
	}
	return err
}
