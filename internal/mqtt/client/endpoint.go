package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// Endpoint is where a broker is and how to get in.
type Endpoint struct {
	// URL is mqtt://host[:1883] or mqtts://host[:8883]. It has no user and no password: those have fields of their own, and
	// URLs are logged.
	URL string
	// CAFile, PEM, is who may have signed the broker's certificate; empty means the system's authorities.
	CAFile string
	// CertFile and KeyFile, PEM, are the client's own certificate, where the broker wants one.
	CertFile, KeyFile string
	// TLS is used instead of the files, where it is given.
	TLS *tls.Config
	// Username and the password: by function, or the first line of a file, asked at every connection.
	Username     string
	Password     func() (string, error)
	PasswordFile string
	// DialTimeout bounds connecting, TLS and the broker's CONNACK together; 0 means 15 s.
	DialTimeout time.Duration
}

// address is host and port, and whether TLS is spoken there.
func (e Endpoint) address() (addr, host string, secure bool, err error) {
	u, err := url.Parse(e.URL)
	if err != nil {
		return "", "", false, errors.New("mqtt client: the broker's URL cannot be read: write mqtt://host:1883 or mqtts://host:8883")
	}
	port := map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme]
	switch {
	case port == "":
		return "", "", false, fmt.Errorf("mqtt client: broker URL %q: scheme %q is not known: use mqtt:// or mqtts://", u.Redacted(), u.Scheme)
	case u.Hostname() == "":
		return "", "", false, fmt.Errorf("mqtt client: broker URL %q has no host: write %s://host:%s", u.Redacted(), u.Scheme, port)
	case u.User != nil:
		return "", "", false, fmt.Errorf("mqtt client: broker URL %q contains a user: give user name and password by themselves, URLs are logged", u.Redacted())
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return "", "", false, fmt.Errorf("mqtt client: broker URL %q has more than host and port", u.Redacted())
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port), u.Hostname(), u.Scheme == "mqtts", nil
}

// check says what is wrong without connecting.
func (e Endpoint) check() error {
	_, host, secure, err := e.address()
	if err != nil {
		return err
	}
	if !secure {
		if e.CAFile != "" || e.CertFile != "" || e.KeyFile != "" || e.TLS != nil {
			return fmt.Errorf("mqtt client: broker URL %q speaks no TLS, but certificates are given: use mqtts://", e.URL)
		}
		return nil
	}
	_, err = e.tlsConfig(host)
	return err
}

// tlsConfig reads the files.
func (e Endpoint) tlsConfig(host string) (*tls.Config, error) {
	if e.TLS != nil {
		cfg := e.TLS.Clone()
		if cfg.ServerName == "" {
			cfg.ServerName = host
		}
		return cfg, nil
	}
	cfg := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if e.CAFile != "" {
		pem, err := os.ReadFile(e.CAFile)
		if err != nil {
			return nil, fmt.Errorf("mqtt client: CA file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("mqtt client: CA file %q contains no certificate in PEM", e.CAFile)
		}
	}
	if e.CertFile != "" || e.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(e.CertFile, e.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("mqtt client: certificate %q with key %q: %w", e.CertFile, e.KeyFile, err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return cfg, nil
}

// password asks for it.
func (e Endpoint) password() (string, bool, error) {
	if e.Password != nil {
		p, err := e.Password()
		if err != nil {
			return "", false, fmt.Errorf("mqtt client: password: %w", err)
		}
		return p, true, nil
	}
	if e.PasswordFile == "" {
		return "", false, nil
	}
	b, err := os.ReadFile(e.PasswordFile)
	if err != nil {
		return "", false, fmt.Errorf("mqtt client: password file: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSuffix(line, "\r"), true, nil
}

// dial opens the connection.
func (e Endpoint) dial(ctx context.Context) (net.Conn, error) {
	addr, host, secure, err := e.address()
	if err != nil {
		return nil, err
	}
	d := net.Dialer{KeepAlive: 30 * time.Second}
	if !secure {
		nc, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("mqtt client: connect to %s: %w", e.URL, err)
		}
		return nc, nil
	}
	cfg, err := e.tlsConfig(host)
	if err != nil {
		return nil, err
	}
	nc, err := (&tls.Dialer{NetDialer: &d, Config: cfg}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("mqtt client: connect to %s: %w", e.URL, err)
	}
	return nc, nil
}
