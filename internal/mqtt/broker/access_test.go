package broker_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/broker"
)

// certificate is one for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

var joe = broker.User{Name: "joe", Password: "secret", Publish: []string{"joe/#"}, Subscribe: []string{"joe/#", "all/+"}}

// TestExposed: an address that others reach needs TLS, users and rules, and the error says what is missing.
func TestExposed(t *testing.T) {
	cert, _ := certificate(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0"} {
		for name, c := range map[string]struct {
			opts broker.Options
			want []string
		}{
			"nothing":  {broker.Options{}, []string{"TLS", "users", "topic rules"}},
			"TLS only": {broker.Options{TLS: cfg}, []string{"users", "topic rules"}},
			"users":    {broker.Options{Users: []broker.User{joe}}, []string{"TLS"}},
			"no rules": {broker.Options{TLS: cfg, Users: []broker.User{{Name: "x", Password: "y"}}}, []string{"topic filters"}},
		} {
			c.opts.Address = addr
			b, err := broker.Start(context.Background(), c.opts)
			if err == nil {
				_ = b.Close()
				t.Errorf("%s on %s was accepted", name, addr)
				continue
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%s on %s: %v does not mention %s", name, addr, err, w)
				}
			}
		}
	}
	start(t, broker.Options{Address: "0.0.0.0:0", TLS: cfg, Users: []broker.User{joe}})
	start(t, broker.Options{Address: "localhost:0"})
}

// TestBadOptions: what cannot be served is refused before anything is opened, under the key of the configuration file; Check
// says the same as Start.
func TestBadOptions(t *testing.T) {
	for want, opts := range map[string]broker.Options{
		`address: "nowhere": write host:port`:    {Address: "nowhere"},
		`address: "127.0.0.1:x": "x" is no port`: {Address: "127.0.0.1:x"},
		"limits.max_clients: -1: write a number": {Limits: broker.Limits{MaxClients: -1}},
		"limits.max_payload: 268435456":          {Limits: broker.Limits{MaxPayload: 1 << 28}},
		"limits.session_expiry: -1s: write":      {Limits: broker.Limits{SessionExpiry: -time.Second}},
		"limits.max_unsent: 1000 bytes":          {Limits: broker.Limits{MaxUnsent: 1000}},
		"users[0]: give one of password":         {Users: []broker.User{{Name: "a", Password: "x", PasswordHash: "y", Publish: []string{"#"}}}},
		"users[0].password_hash: not a hash":     {Users: []broker.User{{Name: "a", PasswordHash: "y", Publish: []string{"#"}}}},
		`users[1].name: "joe" is given twice`:    {Users: []broker.User{joe, joe}},
		"users[0].publish: ":                     {Users: []broker.User{{Name: "a", Password: "x", Publish: []string{"a#"}}}},
		`users[1]: user "a" could do nothing`:    {Users: []broker.User{joe, {Name: "a", Password: "x"}}},
		"users[0].name: it is missing":           {Users: []broker.User{{Password: "x", Publish: []string{"#"}}}},
		"handler: a filter":                      {Handler: &recorder{filters: []string{"#/a"}}},
		`tls: certificate "missing.pem"`:         {CertFile: "missing.pem", KeyFile: "missing.key"},
		"tls: give both cert and key":            {KeyFile: "missing.key"},
	} {
		opts.Address = map[bool]string{true: "127.0.0.1:0", false: opts.Address}[opts.Address == ""]
		b, err := broker.Start(context.Background(), opts)
		if err == nil {
			_ = b.Close()
			t.Errorf("%s: it was accepted", want)
			continue
		}
		var wrong mqtt.OptionErrors
		if checked := opts.Check(context.Background()); !errors.As(checked, &wrong) || len(wrong) != 1 || !strings.HasPrefix(checked.Error(), want) ||
			!strings.HasSuffix(err.Error(), checked.Error()) {
			t.Errorf("want %s\ngot %v\nand at the start %v", want, checked, err)
		}
	}
	// The largest payload that the protocol has needs no other limit.
	start(t, broker.Options{Limits: broker.Limits{MaxPayload: 256<<20 - 300_000}})
	all := broker.Options{Address: "0.0.0.0:0", Limits: broker.Limits{MaxClients: -1}, Users: []broker.User{{}}}.Check(context.Background())
	if n := strings.Count(all.Error(), "\n") + 1; n != 5 {
		t.Errorf("%d things are wrong: %v", n, all)
	}
}

func TestUsers(t *testing.T) {
	hash, err := broker.HashPassword("hush")
	if err != nil {
		t.Fatal(err)
	}
	h := &recorder{}
	log, lines := logger()
	b := start(t, broker.Options{Handler: h, Logger: log, Users: []broker.User{joe,
		{Name: "ann", PasswordHash: hash, Publish: []string{"#"}, Subscribe: []string{"#"}}}})
	eachVersion(t, func(t *testing.T, v byte) {
		denied, badLogin := map[byte]byte{4: 5, 5: 0x87}[v], map[byte]byte{4: 4, 5: 0x86}[v]
		for _, c := range []struct {
			h    hello
			code byte
		}{
			{hello{id: "1"}, badLogin}, {hello{id: "1", user: "joe", password: "wrong"}, badLogin}, {hello{id: "1", user: "eve", password: "secret"}, badLogin},
			{hello{id: "1", user: "ann", password: "wrong"}, badLogin}, {hello{id: "1", user: "ann", password: "hush"}, 0},
			{hello{id: "2", user: "joe", password: "secret", will: "ann/x", willPayload: "x"}, denied},
		} {
			c.h.version = v
			w := dial(t, b)
			if code, _ := w.connect(c.h); code != c.code {
				t.Errorf("%+v: CONNACK %#x, want %#x", c.h, code, c.code)
			}
			if c.code != 0 {
				w.expectClosed()
			}
		}
		w := dial(t, b)
		w.join(hello{version: v, id: "j", user: "joe", password: "secret", kept: true})
		for i, c := range []struct {
			filter string
			ok     bool
		}{{"joe/+/x", true}, {"all/+", true}, {"all/#", false}, {"#", false}, {"$share/g/joe/x", true}, {"$share/g/#", false}} {
			if code := w.subscribe(uint16(i+1), c.filter, 1); (code < 3) != c.ok {
				t.Errorf("SUBSCRIBE %s: %#x", c.filter, code)
			}
		}
		w.publish("joe/x", "mine", 1, 1, 0)
		for range 2 { // its acknowledgement, and itself: joe/+/x does not match, the shared joe/x does
			if _, _, err := w.read(5 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		w.publish("ann/x", "not mine", 0, 0, 0)
		w.publish("ann/x", "not mine", 1, 2, 0)
		if v == 5 {
			if _, body := w.expect(tPuback); len(body) < 3 || body[2] != 0x87 {
				t.Errorf("PUBACK % x", body)
			}
		} else {
			w.expectClosed()
		}
		// A client id is not a way to somebody else's messages.
		thief := dial(t, b)
		if code, _ := thief.connect(hello{version: v, id: "j", user: "ann", password: "hush", kept: true}); code != denied {
			t.Errorf("another user's session: CONNACK %#x", code)
		}
		end := dial(t, b)
		end.join(hello{version: v, id: "j", user: "joe", password: "secret"})
	})
	for _, p := range h.payloads() {
		if p == "not mine" {
			t.Error("handled what no rule allows")
		}
	}
	for _, secret := range []string{"secret", "hush", "wrong"} {
		if lines.contains(secret) {
			t.Errorf("the password %q is in the log", secret)
		}
	}
}

// TestClientIDOfTwoUsers: of two users who connect with one new client id, the first one gets it, also while its session is not there yet.
func TestClientIDOfTwoUsers(t *testing.T) {
	ann := broker.User{Name: "ann", Password: "hush", Publish: []string{"#"}, Subscribe: []string{"#"}}
	b := start(t, broker.Options{Users: []broker.User{joe, ann}})
	release := b.HoldDelivery()
	first, second := dial(t, b), dial(t, b)
	first.version = 5
	first.send(hello{version: 5, id: "shared", kept: true, keepalive: 60, user: "joe", password: "secret"}.encode())
	eventually(t, "the first one is admitted", func() bool { return b.Stats().Connected == 1 })
	second.version = 5
	second.send(hello{version: 5, id: "shared", kept: true, keepalive: 60, user: "ann", password: "hush"}.encode())
	kind, body, err := second.read(2 * time.Second)
	release()
	if err != nil || kind>>4 != tConnack || body[1] != 0x87 {
		t.Errorf("the second one: packet type %d (% x), %v", kind>>4, body, err)
	}
	if _, body := first.expect(tConnack); body[1] != 0 {
		t.Errorf("the first one: CONNACK % x", body)
	}
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	b := start(t, broker.Options{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Limits: broker.Limits{ConnectTimeout: 300 * time.Millisecond}})
	c, err := tls.Dial("tcp", b.Addr().String(), &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, c: c, r: bufio.NewReader(c)}
	w.join(hello{id: "tls"})
	w.publish("a", strings.Repeat("x", 1_000_000), 1, 1, 0)
	w.expect(tPuback)
	_ = c.Close()
	plain := dial(t, b)
	plain.send(hello{version: 4, id: "x"}.encode())
	plain.expectClosed()
	idle := dial(t, b)
	idle.expectClosed()
}

// TestEmptyPassword: a password may be empty, as many devices send one that have none.
func TestEmptyPassword(t *testing.T) {
	eachVersion(t, func(t *testing.T, v byte) {
		w := dial(t, start(t, broker.Options{}))
		w.join(hello{version: v, id: "p", user: "u"})
		b := start(t, broker.Options{Users: []broker.User{{Name: "u", Password: "p", Publish: []string{"#"}}}})
		if code, _ := dial(t, b).connect(hello{version: v, id: "p", user: "u"}); code == 0 {
			t.Error("let in without the password")
		}
	})
}

// TestSessionOfNoUser: a session that was kept for a user who is none any more, or from before there were users, keeps nobody out and is nobody
// else's; nor is it in the file.
func TestSessionOfNoUser(t *testing.T) {
	users := []broker.User{{Name: "new", Password: "p", Subscribe: []string{"#"}}}
	for name, later := range map[string][]broker.User{"the broker": users, "the file": nil} {
		t.Run(name, func(t *testing.T) {
			path := dataPath(t)
			b := start(t, broker.Options{DataPath: path})
			for id, user := range map[string]string{"before": "", "renamed": "old", "same": "new"} {
				w := dial(t, b)
				w.join(hello{id: id, kept: true, user: user})
				w.subscribe(1, "t", 1)
				w.leave(b)
			}
			say(t, b, "secret", 1, false)
			for _, users := range [][]broker.User{users, later} {
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				b = start(t, broker.Options{DataPath: path, Users: users})
			}
			for id, want := range map[string]bool{"before": false, "renamed": false, "same": true} {
				w := dial(t, b)
				if present := w.join(hello{id: id, kept: true, user: "new", password: "p"}); present != want {
					t.Errorf("%s: session present %t", id, present)
				}
				if got := w.came(); (len(got) == 1) != want {
					t.Errorf("%s: %+v came", id, got)
				}
			}
		})
	}
}
