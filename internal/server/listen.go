package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxSocketPath is the longest path of a unix socket: 103 bytes and an end on macOS, 107 on Linux.
const maxSocketPath = 103

// errPathTooLong: there can be no socket.
var errPathTooLong = errors.New("its path is too long for a socket")

// CheckAddress says why a server cannot listen on an address, nil for nothing; it does not listen.
func CheckAddress(address string, encrypted bool) error {
	_, err := resolve(address, encrypted)
	return err
}

// resolve is an address to listen on. One that other machines can reach is for TLS alone: a token must not go over the wire
// for everybody to read.
func resolve(address string, encrypted bool) (*net.TCPAddr, error) {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%q: write host:port, as in %s: %w", address, DefaultAddress, err)
	}
	if !addr.IP.IsLoopback() && !encrypted {
		return nil, fmt.Errorf("%s can be reached from other machines, which needs TLS: give http.tls.cert and http.tls.key, "+
			"or write 127.0.0.1 or [::1]", address)
	}
	return addr, nil
}

// listenTCP listens on an address, with TLS where there is a certificate.
func listenTCP(ctx context.Context, address string, cert *Certificate) (net.Listener, error) {
	addr, err := resolve(address, cert != nil)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	// The address that was checked, not the name that it came from.
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// allowedHosts are the hosts that a request over TCP may be for, in the form of hostOf.
func allowedHosts(opts Options) map[string]bool {
	hosts := map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, hostOf(opts.Address): true}
	for _, h := range opts.AllowedHosts {
		hosts[hostOf(h)] = true
	}
	delete(hosts, "")
	return hosts
}

// allowedHost reports whether a request may be for a host. An address of this machine cannot be another's name for it: it is
// allowed where the connection came in by it.
func (s *Server) allowedHost(r *http.Request, host string) bool {
	name := hostOf(host)
	if s.hosts[name] {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	ip, err := netip.ParseAddr(name)
	return ok && err == nil && ip.Unmap() == local.AddrPort().Addr().Unmap().WithZone("")
}

// hostOf is a Host header without its port, brackets, upper case and final dot.
func hostOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// socket is a listening unix socket at path.
type socket struct {
	net.Listener
	path string
	info fs.FileInfo // of the file as it was created
}

// listenSocket listens on a unix socket at path with mode 0600. A socket that nobody listens on is replaced; any other
// file in the place, and a socket that answers, is an error, and so is [errPathTooLong].
//
// The socket is made in a directory of its own, mode 0700, and moved to its place when its mode is right: at no time
// could anybody else connect, and there is no time at which the place is empty.
func listenSocket(path string) (_ *socket, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("unix socket %s: %w", path, err)
		}
	}()
	if err := checkStale(path); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	birth := filepath.Join(dir, "s")
	if over := max(len(path), len(birth)) - maxSocketPath; over > 0 {
		return nil, fmt.Errorf("%w, by %d bytes", errPathTooLong, over)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: birth, Net: "unix"})
	if err != nil {
		return nil, err
	}
	// It would remove the place of birth, where nothing is any more.
	l.SetUnlinkOnClose(false)
	s := &socket{Listener: l, path: path}
	if err := errors.Join(os.Chmod(birth, 0o600), os.Rename(birth, path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if s.info, err = os.Lstat(path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return s, nil
}

// checkStale says what keeps the file at path from being replaced by a socket, nil for nothing.
func checkStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is another file in its place, which is not a socket; move it away")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return nil // nobody listens: its process was killed
	}
	return errors.Join(errors.New("another process listens on it"), c.Close())
}

// remove removes the socket's file, unless it is another one's by now.
func (s *socket) remove() error {
	info, err := os.Lstat(s.path)
	if err != nil || !os.SameFile(info, s.info) {
		return nil
	}
	return os.Remove(s.path)
}
