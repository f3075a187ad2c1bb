//go:build acceptance

package acceptance

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// mosquitto is a broker that keeps sessions and retained messages over restarts.
type mosquitto struct {
	path, config, address string
	process               *process
}

func newMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	path := need(t, "apt-get install mosquitto", "mosquitto", "/usr/sbin/mosquitto")
	dir := t.TempDir()
	m := &mosquitto{path: path, config: filepath.Join(dir, "mosquitto.conf"), address: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	_, port, _ := net.SplitHostPort(m.address)
	text := "listener " + port + " 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location " + dir + "/\nmax_queued_messages 0\n"
	if os.Getuid() == 0 {
		text += "user root\n" // else it becomes a user that may not write there
	}
	if err := os.WriteFile(m.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// start returns when it listens.
func (m *mosquitto) start(t *testing.T) {
	t.Helper()
	m.process = startProcess(t, "mosquitto", exec.Command(m.path, "-c", m.config))
	until(t, "mosquitto listens on "+m.address, func() error {
		m.process.gone(t)
		c, err := net.Dial("tcp", m.address)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
}

func (m *mosquitto) url() string { return "mqtt://" + m.address }
