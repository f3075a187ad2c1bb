package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/statehouse/statehouse"
	"github.com/statehouse/statehouse/internal/api"
	"github.com/statehouse/statehouse/internal/daemon"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
	httpserver "github.com/statehouse/statehouse/internal/server"
)

// sniffable is a broker with retained messages, and a daemon of which the topics below z2m are claimed.
func sniffable(t *testing.T, retained map[string]string) (url, db string) {
	t.Helper()
	b, err := broker.Start(t.Context(), broker.Options{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	for _, topic := range slices.Sorted(maps.Keys(retained)) {
		if err := b.Publish(t.Context(), topic, []byte(retained[topic]), 1, true); err != nil {
			t.Fatal(err)
		}
	}
	db = filepath.Join(t.TempDir(), "h.db")
	house, err := statehouse.OpenContext(t.Context(), db, statehouse.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := httpserver.Start(t.Context(), httpserver.Options{House: house, Address: "127.0.0.1:0", SocketPath: daemon.SocketPath(db), Claims: func(topic string) []api.Claim {
		name, ok := strings.CutPrefix(topic, "z2m/")
		if !ok {
			return nil
		}
		claim := api.Claim{Dialect: "z2m/default", Note: "report"}
		for i := range len(name) {
			claim.Entities = append(claim.Entities, fmt.Sprintf("light.%s_%d", name, i))
		}
		return []api.Claim{claim}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close(context.Background())
		_ = house.Close()
	})
	return "mqtt://" + b.Addr().String(), db
}

// sniff runs the command, and returns what it prints.
func sniff(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := Run(t.Context(), append([]string{"mqtt", "sniff"}, args...), nil, &out, &errs); code != want {
		t.Errorf("%q exits %d: %s", args, code, errs.String())
	}
	return out.String(), errs.String()
}

// TestSniff: a line for each topic with who claims it, and the summary, the topics that nobody claims at last.
func TestSniff(t *testing.T) {
	url, db := sniffable(t, map[string]string{"z2m/a": "{\"on\":true}", "z2m/longest": strings.Repeat("x", 300), "other/\u202eb": "\x1b[31mred\nline"})
	out, errs := sniff(t, exitOK, "--url", url, "-d", db, "-n", "3")
	for _, want := range []string{
		"  z2m/a  z2m/default: light.a_0 (report)  retained  11 bytes  {\"on\":true}\n",
		"  other/·b  unclaimed  retained  13 bytes  ·[31mred line\n",
		"light.longest_4 and 2 more (report)  retained  300 bytes  " + strings.Repeat("x", 256) + "…\n",
		"TOPIC        MESSAGES  LAST SEEN     CLAIMED BY\nz2m/a               1  ",
		"\nNobody claims:\nTOPIC     MESSAGES  LAST SEEN\nother/·b         1  ",
		"\n3 messages on 3 topics, 1 of which nobody claims\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if errs != "" {
		t.Errorf("%s", errs)
	}
	out, _ = sniff(t, exitOK, "--url", url, "-d", db, "-n", "3", "--unclaimed")
	if strings.Contains(out, "z2m") || strings.Count(out, "other/") != 2 {
		t.Errorf("%s", out)
	}
	out, _ = sniff(t, exitOK, "z2m/+", "--url", url, "-d", db, "--for", "300ms")
	if strings.Contains(out, "other") || !strings.Contains(out, "2 messages on 2 topics, 0 of which") {
		t.Errorf("%s", out)
	}
}

// TestSniffJSON: one object a line, of which each has one field.
func TestSniffJSON(t *testing.T) {
	url, db := sniffable(t, map[string]string{"z2m/a": "1", "<x>": "\xff"})
	out, _ := sniff(t, exitOK, "--url", url, "-d", db, "-n", "2", "-o", "json")
	claims := map[string][]api.Claim{"z2m/a": {{Topic: "z2m/a", Dialect: "z2m/default", Entities: []string{"light.a_0"}, Note: "report"}}, "<x>": {}}
	var seen, summed []string
	var end *sniffEnd
	for line := range strings.Lines(out) {
		var l sniffLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch {
		case l.Seen != nil:
			seen = append(seen, l.Seen.Topic+" "+l.Seen.Payload)
			if diff := cmp.Diff(claims[l.Seen.Topic], l.Seen.Claims); diff != "" || !l.Seen.Retained || l.Seen.Bytes != 1 {
				t.Errorf("%s%s", line, diff)
			}
		case l.Summary != nil:
			summed = append(summed, l.Summary.Topic)
			if diff := cmp.Diff(claims[l.Summary.Topic], l.Summary.Claims); diff != "" || l.Summary.Messages != 1 || l.Summary.Retained != 1 {
				t.Errorf("%s%s", line, diff)
			}
		default:
			end = l.End
		}
	}
	slices.Sort(seen)
	if diff := cmp.Diff([][]string{{"<x> \ufffd", "z2m/a 1"}, {"<x>", "z2m/a"}}, [][]string{seen, summed}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&sniffEnd{Topics: 2, Unclaimed: 1, Messages: 2}, end); diff != "" {
		t.Error(diff)
	}
}

// TestSniffAsks: however many topics and however long, the questions are such as the daemon answers.
func TestSniffAsks(t *testing.T) {
	retained := map[string]string{"z2m/" + strings.Repeat("\u0080", 500): "x"}
	for i := range 1500 {
		retained[fmt.Sprintf("z2m/%d", i)] = "x"
	}
	for i := range 200 {
		retained[fmt.Sprintf("z2m/%d/%s", i, strings.Repeat("<", 1000))] = "x" // six bytes each in JSON
	}
	url, db := sniffable(t, retained)
	out, errs := sniff(t, exitOK, "--url", url, "-d", db, "-n", fmt.Sprint(len(retained)))
	if !strings.Contains(out, "1,701 messages on 1,701 topics, 0 of which nobody claims") || errs != "" || strings.Contains(out, "  ?  ") {
		t.Errorf("%s\n%s", errs, out[max(0, len(out)-200):])
	}
}

// TestSniffBounded: topics beyond the bounds are counted and not kept.
func TestSniffBounded(t *testing.T) {
	var out, errs bytes.Buffer
	a := &app{ctx: t.Context(), stdout: &out, stderr: &errs}
	s := &sniffer{app: a, cmd: &sniffCmd{Unclaimed: true}, topics: map[string]*sniffed{}, silent: true}
	for i := range maxSniffed + 10 {
		if err := s.take(heardMessage{topic: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.topics) != maxSniffed || s.beyond != 10 || len(s.fresh) >= api.MaxClaimTopics {
		t.Errorf("%d topics, %d beyond, %d not shown", len(s.topics), s.beyond, len(s.fresh))
	}
	s = &sniffer{app: a, cmd: &sniffCmd{Count: 1000}, topics: map[string]*sniffed{}, silent: true}
	var err error
	for i := 0; err == nil; i++ {
		err = s.take(heardMessage{topic: fmt.Sprint(i) + strings.Repeat("x", 60_000)})
	}
	if s.messages != 1000 || s.bytes > maxSniffedBytes || s.beyond == 0 {
		t.Errorf("%d messages, %d bytes of topics, %d beyond", s.messages, s.bytes, s.beyond)
	}
	out.Reset()
	if err := s.summarise(); err != nil || !strings.Contains(out.String(), "on further topics, for which there was no room") {
		t.Errorf("%v %s", err, out.String()[max(0, out.Len()-200):])
	}
}

// TestSniffEndpoint: which broker is listened to, with which credentials; those of the configuration go to no other one.
func TestSniffEndpoint(t *testing.T) {
	own := daemon.MQTT{Broker: daemon.Broker{URL: "mqtt://own", Username: "house", Password: "secret"}}
	for name, c := range map[string]struct {
		cmd      sniffCmd
		cfg      daemon.MQTT
		env      map[string]string
		want     string
		password string
	}{
		"nothing":       {want: "mqtt://127.0.0.1:1883"},
		"address":       {cfg: daemon.MQTT{Address: "0.0.0.0:1884"}, want: "mqtt://127.0.0.1:1884"},
		"any address":   {cfg: daemon.MQTT{Address: ":1884"}, want: "mqtt://127.0.0.1:1884"},
		"host":          {cfg: daemon.MQTT{Address: "10.0.0.1:1884"}, want: "mqtt://10.0.0.1:1884"},
		"tls":           {cfg: daemon.MQTT{TLS: daemon.TLS{Cert: "x"}}, want: "mqtts://127.0.0.1:1883"},
		"broker":        {cfg: own, want: "house@mqtt://own", password: "secret"},
		"environment":   {cfg: own, env: map[string]string{"STATEHOUSE_MQTT_BROKER_URL": "mqtt://env", passwordEnv: "other"}, want: "house@mqtt://env", password: "other"},
		"another":       {cmd: sniffCmd{URL: "mqtt://there"}, cfg: own, env: map[string]string{passwordEnv: "other"}, want: "mqtt://there"},
		"another, user": {cmd: sniffCmd{URL: "mqtt://there", Username: "me"}, cfg: own, env: map[string]string{passwordEnv: "mine"}, want: "me@mqtt://there", password: "mine"},
		"other user":    {cmd: sniffCmd{Username: "me"}, cfg: own, want: "me@mqtt://own"},
	} {
		t.Run(name, func(t *testing.T) {
			for key, value := range c.env {
				t.Setenv(key, value)
			}
			ep, err := c.cmd.endpoint(&app{file: &configFile{config: daemon.Config{MQTT: c.cfg}}})
			if err != nil {
				t.Fatal(err)
			}
			got, password := ep.URL, ""
			if ep.Username != "" {
				got = ep.Username + "@" + got
			}
			if ep.Password != nil {
				password, _ = ep.Password()
			}
			if got != c.want || password != c.password {
				t.Errorf("%s with the password %q", got, password)
			}
		})
	}
}
