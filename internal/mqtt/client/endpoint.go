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

	"github.com/statehouse/statehouse/internal/mqtt"
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
	const form = "write mqtt://host:1883 or mqtts://host:8883"
	u, err := url.Parse(e.URL)
	if err != nil {
		return "", "", false, errors.New("it cannot be read; " + form) // what url.Parse says may quote a password
	}
	port := map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme]
	switch {
	case strings.Contains(e.URL, "@"): // also where the slashes are missing
		return "", "", false, errors.New("it contains a user, and URLs are logged; give the user name and the password by themselves")
	case port == "":
		return "", "", false, fmt.Errorf("%q: %s", e.URL, form)
	case u.Hostname() == "":
		return "", "", false, fmt.Errorf("%q has no host; %s", e.URL, form)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return "", "", false, fmt.Errorf("%q has more than host and port; %s", e.URL, form)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port), u.Hostname(), u.Scheme == "mqtts", nil
}

// Check says what [New] would refuse about the endpoint, as [mqtt.OptionErrors], nil for nothing. It reads the files that are
// named, and does not connect.
func (e Endpoint) Check() error {
	var wrong mqtt.OptionErrors
	_, host, secure, err := e.address()
	switch {
	case err != nil:
		wrong.Add("url", "%w", err)
	case secure:
		if _, err := e.tlsConfig(host); err != nil {
			wrong = append(wrong, err)
		}
	case e.CAFile != "" || e.CertFile != "" || e.KeyFile != "" || e.TLS != nil:
		wrong.Add("url", "%q speaks no TLS, but certificates are given; write mqtts://", e.URL)
	}
	if e.Password != nil && e.PasswordFile != "" {
		wrong.Add("password", "give one of password and password_file")
	} else if _, _, err := e.password(); err != nil {
		wrong = append(wrong, err)
	}
	return wrong.Err()
}

// tlsConfig reads the files.
func (e Endpoint) tlsConfig(host string) (*tls.Config, *mqtt.OptionError) {
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
			return nil, &mqtt.OptionError{Key: "ca", Err: err}
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &mqtt.OptionError{Key: "ca", Err: fmt.Errorf("%s contains no certificate in PEM", e.CAFile)}
		}
	}
	switch {
	case e.CertFile == "" && e.KeyFile == "":
	case e.CertFile == "" || e.KeyFile == "":
		return nil, &mqtt.OptionError{Key: "cert", Err: errors.New("give both cert and key")}
	default:
		cert, err := tls.LoadX509KeyPair(e.CertFile, e.KeyFile)
		if err != nil {
			return nil, &mqtt.OptionError{Key: "cert", Err: fmt.Errorf("%s with key %s: %w", e.CertFile, e.KeyFile, err)}
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return cfg, nil
}

// password asks for it.
func (e Endpoint) password() (password string, given bool, _ *mqtt.OptionError) {
	var err error
	switch {
	case e.Password != nil:
		if password, err = e.Password(); err != nil {
			return "", false, &mqtt.OptionError{Key: "password", Err: err}
		}
	case e.PasswordFile != "":
		if password, err = mqtt.ReadPassword(e.PasswordFile); err != nil {
			return "", false, &mqtt.OptionError{Key: "password_file", Err: err}
		}
	default:
		return "", false, nil
	}
	return password, true, nil
}

// dial opens the connection.
func (e Endpoint) dial(ctx context.Context) (net.Conn, error) {
	addr, host, secure, err := e.address()
	if err != nil {
		return nil, fmt.Errorf("mqtt client: broker URL: %w", err)
	}
	d := net.Dialer{KeepAlive: 30 * time.Second}
	if !secure {
		nc, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("mqtt client: connect to %s: %w", e.URL, err)
		}
		return nc, nil
	}
	cfg, wrong := e.tlsConfig(host)
	if wrong != nil {
		return nil, fmt.Errorf("mqtt client: %w", wrong)
	}
	nc, err := (&tls.Dialer{NetDialer: &d, Config: cfg}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("mqtt client: connect to %s: %w", e.URL, err)
	}
	return nc, nil
}
