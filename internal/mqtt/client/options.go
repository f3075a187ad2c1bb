package client

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
)

// Options is what a client is told. Endpoint.URL, ClientID and Handler are needed; everything else has a default.
type Options struct {
	Endpoint
	// ClientID names the session at the broker: it stays the same over restarts, and no other client has it, since two with
	// one id throw each other out.
	ClientID string
	// Handler takes the messages that match its filters.
	Handler mqtt.Handler
	// StatusTopic is where "online" and, by the broker when this client is gone, "offline" are retained. Empty means
	// "statehouse/status".
	StatusTopic string
	// Absent has "offline" retained there also while the client is connected: its handler takes nothing.
	Absent bool
	// KeepAlive is how often the broker hears of an idle client: 30 s. Half as much again is waited for the broker.
	KeepAlive time.Duration
	// SessionExpiry is how long the broker is asked to keep the session, with its queue, for a client that is away: 7 days.
	SessionExpiry time.Duration
	// ReceiveMaximum is how many messages the broker may send ahead of their acknowledgements: 64.
	ReceiveMaximum uint16
	// MaxPacket is the largest packet in bytes that the broker may send; it drops larger ones: 33 MiB, since 26.8 MB were seen
	// of a very large house's bridge/devices.
	MaxPacket uint32
	// MinBackoff and MaxBackoff bound the pauses between attempts, which double and are jittered: 500 ms and 60 s.
	MinBackoff, MaxBackoff time.Duration
	// Logger is told of connections and their ends. Nil means silence.
	Logger *slog.Logger
	// Now is the clock that messages are stamped with; nil means [mqtt.Now].
	Now func() time.Time
}

// prepare fills in the defaults and refuses what cannot be.
func (o Options) prepare() (Options, error) {
	if err := o.Check(); err != nil {
		return o, fmt.Errorf("mqtt client: %w", err)
	}
	if o.ClientID == "" {
		return o, errors.New("mqtt client: no client id is given")
	}
	if o.Handler == nil {
		return o, errors.New("mqtt client: no handler is given")
	}
	filters := o.Handler.Filters()
	if len(filters) == 0 {
		return o, errors.New("mqtt client: the handler has no filters: there is nothing to subscribe to")
	}
	for _, f := range filters {
		if err := mqtt.ValidFilter(f); err != nil {
			return o, fmt.Errorf("mqtt client: a filter of the handler: %w", err)
		}
	}
	if o.StatusTopic == "" {
		o.StatusTopic = "statehouse/status"
	}
	if err := mqtt.ValidTopic(o.StatusTopic); err != nil {
		return o, fmt.Errorf("mqtt client: status topic: %w", err)
	}
	if o.ReceiveMaximum == 0 {
		o.ReceiveMaximum = 64
	}
	if o.MaxPacket == 0 {
		o.MaxPacket = 33 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = mqtt.Now
	}
	for _, d := range []struct {
		name     string
		v        *time.Duration
		def, max time.Duration
	}{
		{"keep alive", &o.KeepAlive, 30 * time.Second, 65535 * time.Second},
		{"session expiry", &o.SessionExpiry, 7 * 24 * time.Hour, 100 * 365 * 24 * time.Hour},
		{"shortest pause", &o.MinBackoff, 500 * time.Millisecond, time.Hour},
		{"longest pause", &o.MaxBackoff, time.Minute, 24 * time.Hour},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
		if *d.v < 0 || *d.v > d.max {
			return o, fmt.Errorf("mqtt client: %s is %s: set it above 0 and up to %s", d.name, *d.v, d.max)
		}
	}
	if o.KeepAlive < time.Second || o.SessionExpiry < time.Second {
		return o, fmt.Errorf("mqtt client: keep alive %s and session expiry %s are counted in whole seconds: set them to at least one", o.KeepAlive, o.SessionExpiry)
	}
	o.MaxBackoff = max(o.MaxBackoff, o.MinBackoff)
	return o, nil
}
