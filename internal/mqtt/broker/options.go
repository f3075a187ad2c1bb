package broker

import (
	"context"
	"crypto/tls"
	"log/slog"
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
	// Now is the clock that messages are stamped with; nil means [mqtt.Now].
	Now func() time.Time
	// elapsed is a clock that nobody sets: the time since some moment. Nil means since the start.
	elapsed func() time.Duration
}

// Limits bound what peers can cost. Each field's comment names its default.
type Limits struct {
	// MaxPayload is a message's payload in bytes: 32 MiB, since 26.8 MB were seen of a very large house's bridge/devices.
	MaxPayload int
	// MaxClients is how many may be connected: 256.
	MaxClients int
	// MaxSessions is how many sessions are kept, connected or not: 1,024.
	MaxSessions int
	// MaxSubscriptions is how many filters one client may subscribe to: 1,000. One packet with more ends its connection.
	MaxSubscriptions int
	// MaxTopicBytes and MaxTopicLevels bound topics and filters: 1,024 bytes and 64 levels.
	MaxTopicBytes, MaxTopicLevels int
	// MaxClientIDBytes bounds client ids: 256.
	MaxClientIDBytes int
	// ReceiveMaximum is how many QoS 2 messages of one client may be under way to the broker: 128.
	ReceiveMaximum int
	// MaxQueued and MaxQueuedBytes bound the unacknowledged QoS 1 and 2 messages towards one session, connected or not:
	// 1,000 messages, 64 MiB. What comes beyond is not queued, which is counted and logged. Here and below, topics and MQTT 5 properties
	// count as payloads do.
	MaxQueued, MaxQueuedBytes int
	// MaxIncomingBytes is how many bytes the packets of more than 64 KiB that are being read may have, of all clients together:
	// 128 MiB, or as many as two of the largest packets have. A client that begins one for which there is no room is
	// disconnected, and may try again.
	MaxIncomingBytes int
	// MaxBacklogBytes is how many bytes may wait for all clients together, in their queues and unsent: 512 MiB. Beyond it
	// nothing more is queued, as with MaxQueuedBytes, and clients that have more than 1 MiB unsent are disconnected; what is in
	// their queues does not make it more.
	MaxBacklogBytes int
	// MaxUnsent is how many bytes may wait for a client that reads too slowly before it is disconnected: 80 MiB, or as many
	// as two of the largest packets have.
	MaxUnsent int
	// MaxRetained and MaxRetainedBytes bound the retained messages: 65,536 messages, 256 MiB. One that is no larger than what it replaces
	// is always taken.
	MaxRetained, MaxRetainedBytes int
	// ConnectTimeout is how long a connection may take until its CONNECT is here: 10 s. A later packet that has begun may take
	// as long, and a second more for every 64 KiB of it.
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
	def(&l.MaxUnsent, max(80<<20, 2*(min(l.MaxPayload, maxPayload)+packetOverhead)))
	def(&l.MaxIncomingBytes, max(128<<20, 2*(min(l.MaxPayload, maxPayload)+packetOverhead)))
	def(&l.MaxBacklogBytes, 512<<20)
	def(&l.MaxRetained, 65536)
	def(&l.MaxRetainedBytes, 256<<20)
	dur(&l.ConnectTimeout, 10*time.Second)
	dur(&l.WriteTimeout, 20*time.Second)
	dur(&l.MaxKeepAlive, 10*time.Minute)
	dur(&l.SessionExpiry, 7*24*time.Hour)
	dur(&l.CloseTimeout, 5*time.Second)
	return l
}

// check notes which limits cannot be.
func (l Limits) check(wrong *mqtt.OptionErrors) {
	for _, i := range []struct {
		key    string
		v, max int
	}{
		{"max_payload", l.MaxPayload, maxPayload}, {"max_clients", l.MaxClients, 1 << 20}, {"max_sessions", l.MaxSessions, 1 << 20},
		{"max_subscriptions", l.MaxSubscriptions, 1 << 20}, {"max_topic_bytes", l.MaxTopicBytes, 16384},
		{"max_topic_levels", l.MaxTopicLevels, 16384}, {"max_client_id_bytes", l.MaxClientIDBytes, 1024},
		{"receive_maximum", l.ReceiveMaximum, 65535}, {"max_queued", l.MaxQueued, 65535}, {"max_queued_bytes", l.MaxQueuedBytes, 1 << 30},
		{"max_unsent", l.MaxUnsent, 1 << 30}, {"max_retained", l.MaxRetained, 1 << 24}, {"max_retained_bytes", l.MaxRetainedBytes, 1 << 30},
		{"max_incoming_bytes", l.MaxIncomingBytes, 1 << 30}, {"max_backlog_bytes", l.MaxBacklogBytes, 1 << 30},
	} {
		if i.v < 1 || i.v > i.max {
			wrong.Add("limits."+i.key, "%d: write a number between 1 and %d", i.v, i.max)
		}
	}
	for _, d := range []struct {
		key    string
		v, max time.Duration
	}{
		{"connect_timeout", l.ConnectTimeout, time.Hour}, {"write_timeout", l.WriteTimeout, time.Hour},
		{"max_keep_alive", l.MaxKeepAlive, maxKeepAlive * time.Second},
		{"session_expiry", l.SessionExpiry, 10 * 365 * 24 * time.Hour}, {"close_timeout", l.CloseTimeout, time.Hour},
	} {
		if d.v <= 0 || d.v > d.max {
			wrong.Add("limits."+d.key, "%s: write a duration above 0 and up to %s", d.v, d.max)
		}
	}
	for key, v := range map[string]int{"max_unsent": l.MaxUnsent, "max_incoming_bytes": l.MaxIncomingBytes} {
		if largest := l.MaxPayload + packetOverhead; l.MaxPayload <= maxPayload && v > 0 && v < largest {
			wrong.Add("limits."+key, "%d bytes are less than the largest packet; write at least %d", v, largest)
		}
	}
}

// Check says what [Start] would refuse about the options, as [mqtt.OptionErrors], nil for nothing. It reads the files that
// they name, asks what the host of the address is, and opens nothing.
func (o Options) Check(ctx context.Context) error {
	_, _, err := o.prepare(ctx)
	return err
}

// prepare fills in the defaults, reads what is in files, and refuses what cannot be served.
func (o Options) prepare(ctx context.Context) (Options, accounts, error) {
	if o.Address == "" {
		o.Address = DefaultAddress
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = mqtt.Now
	}
	if o.elapsed == nil {
		began := time.Now()
		o.elapsed = func() time.Duration { return time.Since(began) }
	}
	var wrong mqtt.OptionErrors
	o.Limits = o.Limits.withDefaults()
	o.Limits.check(&wrong)
	o.checkAddress(ctx, &wrong)
	o.loadCertificate(&wrong)
	users := newAccounts(o.Users, &wrong)
	if o.Handler != nil {
		for _, f := range o.Handler.Filters() {
			if err := mqtt.ValidFilter(f); err != nil {
				wrong.Add("handler", "a filter: %w", err)
			}
		}
	}
	return o, users, wrong.Err()
}

// loadCertificate makes a TLS configuration of the files, if there are any.
func (o *Options) loadCertificate(wrong *mqtt.OptionErrors) {
	switch {
	case o.CertFile == "" && o.KeyFile == "":
		return
	case o.TLS != nil:
		wrong.Add("tls", "both a TLS configuration and certificate files are given; choose one")
		return
	case o.CertFile == "" || o.KeyFile == "":
		wrong.Add("tls", "give both cert and key")
		return
	}
	cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		wrong.Add("tls", "certificate %q with key %q: %w", o.CertFile, o.KeyFile, err)
		return
	}
	o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
}
