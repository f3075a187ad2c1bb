package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// DefaultAddress is where a broker listens when no address is given.
const DefaultAddress = "127.0.0.1:1883"

// Options is what a broker is told. The zero value is a broker on 127.0.0.1:1883 for anybody on this machine, which
// keeps nothing over a restart and hands its messages to nobody.
type Options struct {
	// Address is host:port; empty means [DefaultAddress], port 0 a free one. An address that others can reach is
	// refused without TLS, users and topic rules.
	Address string
	// TLS serves TLS with this configuration. CertFile and KeyFile, PEM, are the short way to one.
	TLS               *tls.Config
	CertFile, KeyFile string
	// Users may connect, and nobody else. Without users everybody may who reaches the (loopback) address.
	Users []User
	// DataPath is the file for retained messages and sessions. Its folder is created with mode 0700, it with 0600. Empty
	// means that they are kept in memory only.
	DataPath string
	// Handler takes the messages whose topics match its filters. Nil means that nobody does.
	Handler mqtt.Handler
	// Limits bound what a peer can cost. Fields that are 0 have their defaults.
	Limits Limits
	// Logger is told what happened and why a client was sent away. Nil means silence.
	Logger *slog.Logger
	// Now is the clock that messages are stamped with; nil means time.Now.
	Now func() time.Time
}

// Limits bound what peers can cost. Each field's comment names its default.
type Limits struct {
	// MaxPayload is a message's payload in bytes: 32 MiB, since 26.8 MB were seen of a very large house's bridge/devices.
	MaxPayload int
	// MaxClients is how many may be connected: 256.
	MaxClients int
	// MaxSessions is how many sessions are kept, connected or not: 1,024.
	MaxSessions int
	// MaxSubscriptions is how many filters one client may subscribe to: 1,000.
	MaxSubscriptions int
	// MaxTopicBytes and MaxTopicLevels bound topics and filters: 1,024 bytes and 64 levels.
	MaxTopicBytes, MaxTopicLevels int
	// MaxClientIDBytes bounds client ids: 256.
	MaxClientIDBytes int
	// ReceiveMaximum is how many QoS 2 messages of one client may be under way to the broker: 128.
	ReceiveMaximum int
	// MaxQueued and MaxQueuedBytes bound the unacknowledged QoS 1 and 2 messages towards one session, connected or not:
	// 1,000 messages, 64 MiB. What comes beyond is not queued, which is counted and logged.
	MaxQueued, MaxQueuedBytes int
	// MaxUnsent is how many bytes may wait for a client that reads too slowly before it is disconnected: 80 MiB.
	MaxUnsent int
	// MaxRetained and MaxRetainedBytes bound the retained messages: 65,536 messages, 256 MiB.
	MaxRetained, MaxRetainedBytes int
	// ConnectTimeout is how long a connection may take until its CONNECT is here: 10 s.
	ConnectTimeout time.Duration
	// WriteTimeout is how long 64 KiB may take to a client: 20 s.
	WriteTimeout time.Duration
	// MaxKeepAlive is the longest keepalive that an MQTT 5 client is given: 10 min.
	MaxKeepAlive time.Duration
	// SessionExpiry is how long a session is kept after its client left, whatever the client asks: 7 days.
	SessionExpiry time.Duration
	// CloseTimeout is how long Close waits for messages that are being handled before it cancels them: 5 s.
	CloseTimeout time.Duration
}

// The protocol's own bounds on two of the limits.
const (
	maxPayload     = 268435455 - packetOverhead
	packetOverhead = 3 * 65536 // a packet's topic and properties
)

// withDefaults fills in what is 0.
func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	dur := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.MaxPayload, 32<<20)
	def(&l.MaxClients, 256)
	def(&l.MaxSessions, 1024)
	def(&l.MaxSubscriptions, 1000)
	def(&l.MaxTopicBytes, 1024)
	def(&l.MaxTopicLevels, 64)
	def(&l.MaxClientIDBytes, 256)
	def(&l.ReceiveMaximum, 128)
	def(&l.MaxQueued, 1000)
	def(&l.MaxQueuedBytes, 64<<20)
	def(&l.MaxUnsent, 80<<20)
	def(&l.MaxRetained, 65536)
	def(&l.MaxRetainedBytes, 256<<20)
	dur(&l.ConnectTimeout, 10*time.Second)
	dur(&l.WriteTimeout, 20*time.Second)
	dur(&l.MaxKeepAlive, 10*time.Minute)
	dur(&l.SessionExpiry, 7*24*time.Hour)
	dur(&l.CloseTimeout, 5*time.Second)
	return l
}

// check says which limit cannot be.
func (l Limits) check() error {
	ints := []struct {
		name   string
		v, max int
	}{
		{"MaxPayload", l.MaxPayload, maxPayload}, {"MaxClients", l.MaxClients, 1 << 20}, {"MaxSessions", l.MaxSessions, 1 << 20},
		{"MaxSubscriptions", l.MaxSubscriptions, 1 << 20}, {"MaxTopicBytes", l.MaxTopicBytes, 16384},
		{"MaxTopicLevels", l.MaxTopicLevels, 16384}, {"MaxClientIDBytes", l.MaxClientIDBytes, 1024},
		{"ReceiveMaximum", l.ReceiveMaximum, 65535}, {"MaxQueued", l.MaxQueued, 65535}, {"MaxQueuedBytes", l.MaxQueuedBytes, 1 << 30},
		{"MaxUnsent", l.MaxUnsent, 1 << 30}, {"MaxRetained", l.MaxRetained, 1 << 24}, {"MaxRetainedBytes", l.MaxRetainedBytes, 1 << 30},
	}
	for _, i := range ints {
		if i.v < 1 || i.v > i.max {
			return fmt.Errorf("mqtt broker: limit %s is %d: set it between 1 and %d", i.name, i.v, i.max)
		}
	}
	durations := []struct {
		name   string
		v, max time.Duration
	}{
		{"ConnectTimeout", l.ConnectTimeout, time.Hour}, {"WriteTimeout", l.WriteTimeout, time.Hour},
		{"MaxKeepAlive", l.MaxKeepAlive, maxKeepAlive * time.Second},
		{"SessionExpiry", l.SessionExpiry, 10 * 365 * 24 * time.Hour}, {"CloseTimeout", l.CloseTimeout, time.Hour},
	}
	for _, d := range durations {
		if d.v <= 0 || d.v > d.max {
			return fmt.Errorf("mqtt broker: limit %s is %s: set it above 0 and up to %s", d.name, d.v, d.max)
		}
	}
	if l.MaxUnsent < l.MaxPayload+packetOverhead {
		return fmt.Errorf("mqtt broker: limit MaxUnsent is %d bytes, less than the largest packet: set it to at least MaxPayload + %d = %d",
			l.MaxUnsent, packetOverhead, l.MaxPayload+packetOverhead)
	}
	return nil
}

// prepare fills in the defaults and refuses what cannot be served.
func (o Options) prepare() (Options, error) {
	if o.Address == "" {
		o.Address = DefaultAddress
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Limits = o.Limits.withDefaults()
	if err := o.Limits.check(); err != nil {
		return o, err
	}
	if _, _, err := net.SplitHostPort(o.Address); err != nil {
		return o, fmt.Errorf("mqtt broker: address %q: %w: write host:port", o.Address, err)
	}
	if o.CertFile != "" || o.KeyFile != "" {
		if o.TLS != nil {
			return o, errors.New("mqtt broker: both a TLS configuration and certificate files are given: choose one")
		}
		cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return o, fmt.Errorf("mqtt broker: certificate %q with key %q: %w", o.CertFile, o.KeyFile, err)
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	if o.Handler != nil {
		for _, f := range o.Handler.Filters() {
			if err := mqtt.ValidFilter(f); err != nil {
				return o, fmt.Errorf("mqtt broker: a filter of the handler: %w", err)
			}
		}
	}
	return o, nil
}
