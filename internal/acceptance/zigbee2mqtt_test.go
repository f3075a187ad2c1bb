//go:build acceptance

package acceptance

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// zigbee2mqtt is the real one, with a radio that is not.
type zigbee2mqtt struct {
	node, scripts, data string
	process             *process
}

// newZigbee2MQTT fetches the program, if it is not there, and makes its house.
func newZigbee2MQTT(t *testing.T, broker string) *zigbee2mqtt {
	t.Helper()
	z := &zigbee2mqtt{node: need(t, "install Node.js 20 or later", "node"), data: t.TempDir()}
	npm := need(t, "install npm, which comes with Node.js", "npm")
	var err error
	if z.scripts, err = filepath.Abs("../../acceptance/zigbee2mqtt"); err != nil {
		t.Fatal(err)
	}
	if z.installed(t) != z.pinned(t) {
		t.Log("fetching Zigbee2MQTT", z.pinned(t))
		z.run(t, exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"))
	}
	_, port, err := net.SplitHostPort(broker)
	if err != nil {
		t.Fatal(err)
	}
	z.run(t, exec.CommandContext(t.Context(), z.node, "house.js", z.data, port))
	return z
}

// pinned is the version that is wanted.
func (z *zigbee2mqtt) pinned(t *testing.T) string {
	t.Helper()
	var wanted struct{ Dependencies struct{ Zigbee2MQTT string } }
	readJSON(t, filepath.Join(z.scripts, "package.json"), &wanted)
	return wanted.Dependencies.Zigbee2MQTT
}

// installed is the version that is there, empty for none.
func (z *zigbee2mqtt) installed(t *testing.T) string {
	t.Helper()
	path := filepath.Join(z.scripts, "node_modules", "zigbee2mqtt", "package.json")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	var there struct{ Version string }
	readJSON(t, path, &there)
	return there.Version
}

func (z *zigbee2mqtt) run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Dir = z.scripts
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

// start starts it; its devices are silent.
func (z *zigbee2mqtt) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(z.node, "-r", "./radio.js", "node_modules/zigbee2mqtt/index.js")
	// Where it finds a git repository around itself it takes that for its own, and wants to be built.
	cmd.Dir, cmd.Env = z.scripts, append(os.Environ(), "ZIGBEE2MQTT_DATA="+z.data, "RADIO_RATE=20", "GIT_DIR="+z.data)
	z.process = startProcess(t, "Zigbee2MQTT", cmd)
}

// chatter has the devices report, or be silent again.
func (z *zigbee2mqtt) chatter(t *testing.T) {
	t.Helper()
	z.process.gone(t)
	if err := z.process.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
}

// states are what a Zigbee2MQTT that has stopped knows of its devices, by address.
func (z *zigbee2mqtt) states(t *testing.T) map[string]map[string]any {
	t.Helper()
	var all map[string]map[string]any
	readJSON(t, filepath.Join(z.data, "state.json"), &all)
	return all
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
