package cli

import (
	"github.com/statehouse/statehouse/internal/daemon"
)

// serveCmd runs the daemon.
type serveCmd struct {
	daemon.Config
}

// Help implements [kong.HelpProvider].
func (*serveCmd) Help() string {
	return `Devices report to the embedded MQTT broker, or to your own, which --mqtt-broker-url names. The state is served on http://127.0.0.1:8321. SIGTERM, Ctrl-C and the end of its terminal stop it cleanly; a second SIGTERM or Ctrl-C at once.

Each flag is also a key of the configuration file and an environment variable: --mqtt-address is mqtt.address and STATEHOUSE_MQTT_ADDRESS. "statehouse config show" prints them all.

Examples:

    statehouse serve
    statehouse serve --db /var/lib/statehouse/home.db --log-format json
    statehouse serve --mqtt-broker-url mqtts://broker.lan:8883 --mqtt-broker-username statehouse --mqtt-broker-password-file /run/secrets/mqtt`
}

// Run implements the command.
func (c *serveCmd) Run(a *app) error {
	cfg := a.daemonConfig(c.Config)
	log := cfg.Log.Logger(a.stderr)
	for _, warning := range a.warnings {
		log.Warn(warning)
	}
	return daemon.Run(a.ctx, cfg, daemon.Options{Logger: log, Out: a.stdout, Version: thisVersion().Version})
}
