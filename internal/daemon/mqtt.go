package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/statehouse/statehouse/internal/mqtt/broker"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// statusTopic is where the daemon says, retained, whether it is there.
const (
	statusTopic   = "statehouse/status"
	statusOnline  = "online"
	statusOffline = "offline"
)

// startMQTT starts the embedded broker or the client of the user's. Messages wait until openMQTT.
func (d *Daemon) startMQTT(ctx context.Context) error {
	d.intake.Store(newIntake(d.house, d.cfg.Zigbee2MQTT, d.log))
	if d.cfg.MQTT.Broker.URL != "" {
		return d.startClient(ctx)
	}
	users, err := d.brokerUsers()
	if err != nil {
		return err
	}
	m := d.cfg.MQTT
	b, err := broker.Start(ctx, broker.Options{
		Address: m.Address, CertFile: m.TLS.Cert, KeyFile: m.TLS.Key, Users: users,
		// Beside the database, since both are one house.
		DataPath: d.cfg.DB + ".mqtt", Handler: d.intake.Load(), Logger: d.log,
		Limits: broker.Limits{
			MaxPayload: m.Limits.MaxPayload, MaxClients: m.Limits.MaxClients, MaxSessions: m.Limits.MaxSessions,
			MaxSubscriptions: m.Limits.MaxSubscriptions, MaxQueued: m.Limits.MaxQueued,
			MaxQueuedBytes: m.Limits.MaxQueuedBytes, MaxRetained: m.Limits.MaxRetained,
			MaxRetainedBytes: m.Limits.MaxRetainedBytes, SessionExpiry: m.Limits.SessionExpiry,
		},
	})
	if err != nil {
		return err
	}
	d.broker.Store(b)
	return nil
}

// startClient starts the client, which connects as soon as its broker is there.
func (d *Daemon) startClient(ctx context.Context) error {
	b := d.cfg.MQTT.Broker
	opts := client.Options{
		Endpoint: client.Endpoint{
			URL: b.URL, CAFile: b.CA, CertFile: b.Cert, KeyFile: b.Key, Username: b.Username, PasswordFile: b.PasswordFile,
		},
		ClientID: b.ClientID, Handler: d.intake.Load(), StatusTopic: statusTopic, Logger: d.log,
	}
	if b.Password != "" {
		opts.Password = func() (string, error) { return b.Password, nil }
	}
	c, err := client.New(opts)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	d.client.Store(c)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stopClient = stop
	// It ends only with its context, and has logged everything else.
	d.clientRuns.Go(func() { _ = c.Run(running) })
	return nil
}

// openMQTT lets messages in.
func (d *Daemon) openMQTT(ctx context.Context) error {
	in, b := d.intake.Load(), d.broker.Load()
	if b == nil {
		// The user's broker sends what it has retained, and the client says that it is there.
		return in.open(ctx, nil)
	}
	if err := in.open(ctx, b.Retained); err != nil {
		return err
	}
	return b.Publish(ctx, statusTopic, []byte(statusOnline), 1, true)
}

// stopMQTT takes no more messages in and returns when those that were under way are recorded or given up.
func (d *Daemon) stopMQTT(ctx context.Context) error {
	if d.stopClient != nil {
		d.stopClient()
		d.clientRuns.Wait()
	}
	b := d.broker.Load()
	if b == nil {
		return nil
	}
	var published error
	if d.started {
		published = b.Publish(ctx, statusTopic, []byte(statusOffline), 1, true)
	}
	return errors.Join(published, b.Close())
}

// notReady says what keeps the daemon, apart from its store, from being ready.
func (d *Daemon) notReady() error {
	if !d.ready.Load() {
		return errors.New("MQTT is not up")
	}
	if c := d.client.Load(); c != nil {
		if s := c.Status(); !s.Connected {
			return fmt.Errorf("not connected to the MQTT broker %s: %s", d.cfg.MQTT.Broker.URL, cmp.Or(s.LastError, "connecting"))
		}
	}
	return nil
}

// brokerUsers are the users of the embedded broker, with the passwords that are in files.
func (d *Daemon) brokerUsers() ([]broker.User, error) {
	var users []broker.User
	for i, u := range d.cfg.MQTT.Users {
		password, err := readPassword(fmt.Sprintf("mqtt.users[%d]", i), u.Password, u.PasswordFile)
		if err != nil {
			return nil, err
		}
		users = append(users, broker.User{
			Name: u.Name, Password: password, PasswordHash: u.PasswordHash, Publish: u.Publish, Subscribe: u.Subscribe,
		})
	}
	return users, nil
}
