package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateEvery is how often the files of a certificate are looked at, at most.
const certificateEvery = 5 * time.Second

// Certificate is a certificate and its key in two files, which may be replaced while it is used: connections after that get
// the new one. As long as the new files are no certificate, the one before goes on.
type Certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	current *tls.Certificate
	// changed are when the files were changed, as far as that was looked at; looked is when that was.
	changed [2]time.Time
	looked  time.Time
}

// LoadCertificate reads a certificate, which may be followed by those of its authorities, and its key, both as PEM.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	if certFile == "" || keyFile == "" {
		return nil, errors.New("TLS needs a certificate and its key; one of the two is missing")
	}
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	var err error
	if c.changed, err = c.times(); err != nil {
		return nil, err
	}
	cert, err := c.read()
	if err != nil {
		return nil, err
	}
	c.current, c.looked = cert, time.Now()
	return c, nil
}

func (c *Certificate) read() (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with the key %s: %w", c.certFile, c.keyFile, err)
	}
	return &cert, nil
}

func (c *Certificate) times() (t [2]time.Time, err error) {
	for i, file := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return t, err
		}
		t[i] = info.ModTime()
	}
	return t, nil
}

// config is what a listener does with it: TLS 1.2 and later.
func (c *Certificate) config(log *slog.Logger) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(log), nil },
	}
}

// get is the certificate as its files have it.
func (c *Certificate) get(log *slog.Logger) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < certificateEvery {
		return c.current
	}
	c.looked = time.Now()
	changed, err := c.times()
	if err == nil && changed == c.changed {
		return c.current
	}
	var cert *tls.Certificate
	if err == nil {
		cert, err = c.read()
	}
	if err != nil {
		log.Warn("the certificate cannot be read anew; the one before is used", "error", err)
		return c.current
	}
	// Only now: of two files that are replaced one after the other the first one alone is an error, and looked at again.
	c.current, c.changed = cert, changed
	log.Info("the certificate was read anew", "file", c.certFile)
	return c.current
}
