package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// halfOpen is how many connections may be before their CONNECT, beyond the clients that are.
const halfOpen = 64

// listener is what the library is given to listen with.
type listener struct {
	b     *Broker
	ln    net.Listener
	open  chan struct{} // closed when the broker is ready for connections
	ended chan struct{} // closed when no more connections are taken
}

// listen opens the address, which was checked.
func listen(ctx context.Context, opts Options) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", opts.Address)
	if err != nil {
		return nil, fmt.Errorf("mqtt broker: listen on %q: %w", opts.Address, err)
	}
	// What the name meant when it was looked at is not necessarily what was opened.
	if a, ok := ln.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		if err := opts.exposure(); err != nil {
			return nil, errors.Join(err, ln.Close())
		}
	}
	return ln, nil
}

// checkAddress notes what is wrong with the address. One that others can reach is refused, if anything is missing that keeps
// them in bounds.
func (o *Options) checkAddress(ctx context.Context, wrong *mqtt.OptionErrors) {
	host, port, err := net.SplitHostPort(o.Address)
	if err != nil {
		wrong.Add("address", "%q: write host:port, as in %s", o.Address, DefaultAddress)
		return
	}
	if _, err := net.DefaultResolver.LookupPort(ctx, "tcp", port); err != nil {
		wrong.Add("address", "%q: %q is no port", o.Address, port)
		return
	}
	exposed := host == ""
	if !exposed {
		ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
		if err != nil {
			wrong.Add("address", "%q: %w", o.Address, err)
			return
		}
		exposed = slices.ContainsFunc(ips, func(ip net.IPAddr) bool { return !ip.IP.IsLoopback() })
	}
	if exposed {
		if err := o.exposure(); err != nil {
			wrong.Add("address", "%w", err)
		}
	}
}

// exposure says what is missing for an address that others can reach, or nil. Users cannot be without topic rules.
func (o *Options) exposure() error {
	var missing []string
	if o.TLS == nil && o.CertFile == "" && o.KeyFile == "" {
		missing = append(missing, "TLS (mqtt.tls)")
	}
	if len(o.Users) == 0 {
		missing = append(missing, "users with passwords and topic rules (mqtt.users)")
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%s can be reached from other machines, which needs %s; or write 127.0.0.1", o.Address, strings.Join(missing, " and "))
}

// Init, ID, Address and Protocol are the library's.
func (l *listener) Init(*slog.Logger) error { return nil }
func (l *listener) ID() string              { return "statehouse" }
func (l *listener) Address() string         { return l.ln.Addr().String() }
func (l *listener) Protocol() string        { return "tcp" }

// Serve takes connections until the listener is closed.
func (l *listener) Serve(establish listeners.EstablishFn) {
	defer close(l.ended)
	<-l.open
	pause := time.Duration(0)
	for {
		nc, err := l.ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// Out of file descriptors, most likely: later there may be some.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			l.b.log.Warn("mqtt broker: accept", "error", err, "retry_in", pause)
			time.Sleep(pause)
			continue
		}
		pause = 0
		if !l.b.adopt(nc, establish) {
			l.b.stats.connectsRefused.Add(1)
			_ = nc.Close()
		}
	}
}

// Close is called by the library when all connections have ended.
func (l *listener) Close(listeners.CloseFn) {}

// handshake makes a TLS connection of it, if that is what is served.
func (b *Broker) handshake(nc net.Conn) (net.Conn, error) {
	if err := nc.SetDeadline(time.Now().Add(b.opts.Limits.ConnectTimeout)); err != nil {
		return nil, err
	}
	if b.opts.TLS == nil {
		return nc, nil
	}
	tc := tls.Server(nc, b.opts.TLS)
	if err := tc.HandshakeContext(b.ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return tc, nil
}
