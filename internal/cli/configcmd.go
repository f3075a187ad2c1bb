package cli

import (
	"os"

	"github.com/statehouse/statehouse/internal/daemon"
)

// configCmd is what can be done with the configuration without running the daemon.
type configCmd struct {
	Check        configCheckCmd        `cmd:"" help:"Say whether the daemon would start with this configuration."`
	Show         configShowCmd         `cmd:"" help:"Print the configuration as it comes together: defaults, file, environment and flags."`
	HashPassword configHashPasswordCmd `cmd:"" help:"Make a password_hash for a user of the embedded broker."`
}

type configCheckCmd struct {
	daemon.Config
}

// Help implements [kong.HelpProvider].
func (*configCheckCmd) Help() string {
	return `Flags come before environment variables, those before the file, and that before the defaults. The file is --config, STATEHOUSE_CONFIG, or else statehouse/config.yaml in the user's configuration directory; unknown keys are errors.

Examples:

    statehouse config check --config /etc/statehouse.yaml
    STATEHOUSE_LOG_LEVEL=debug statehouse config check`
}

// Run implements the command.
func (c *configCheckCmd) Run(a *app) error {
	cfg := a.daemonConfig(c.Config)
	if err := cfg.Check(a.ctx); err != nil {
		return err
	}
	for _, warning := range a.warnings {
		a.notef("%s", warning)
	}
	where := "no file, so defaults, environment and flags"
	if a.file.path != "" {
		where = a.file.path
	}
	return a.printf("the configuration is good (%s); the database is %s\n", where, cfg.DB)
}

type configShowCmd struct {
	daemon.Config
}

// Help implements [kong.HelpProvider].
func (*configShowCmd) Help() string {
	return `Prints YAML that can be used as a configuration file. Passwords are not shown. What is wrong with it is said afterwards, as "config check" says it.

Examples:

    statehouse config show > config.yaml
    statehouse config show --http-address 127.0.0.1:9000`
}

// Run implements the command.
func (c *configShowCmd) Run(a *app) error {
	cfg := a.daemonConfig(c.Config)
	text, err := formatConfig(cfg)
	if err != nil {
		return err
	}
	if err := a.printf("%s", text); err != nil {
		return err
	}
	return cfg.Check(a.ctx)
}

// daemonConfig completes what kong resolved by the keys that are no flags and by the defaults.
func (a *app) daemonConfig(c daemon.Config) daemon.Config {
	a.warnings = strangeEnv(a.model, os.Environ())
	a.file.takeKeys(&c)
	c.DB = a.flags.DB
	if password, ok := os.LookupEnv(passwordEnv); ok {
		c.MQTT.Broker.Password = password
		c.MQTT.Broker.PasswordFile = ""
	}
	c.SetDefaults()
	return c
}
