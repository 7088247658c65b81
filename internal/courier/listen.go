// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"
)

// scheme of a socket's address, as in unix:/courier/socket.
const scheme = "unix:"

// Path of the socket that a flag names.
func Path(address string) (string, error) {
	path, found := strings.CutPrefix(address, scheme)
	if !found || path == "" {
		return "", fmt.Errorf("%q is no address of a courier; write it like unix:/courier/socket", address)
	}
	return path, nil
}

// Listen listens at a socket, and takes the place of one that a courier has left which is
// gone. One that still listens keeps it.
func Listen(ctx context.Context, path string, log *slog.Logger) (net.Listener, error) {
	if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("another courier listens at %s", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket == 0 {
		return nil, fmt.Errorf("%s is there, and is no socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the socket that an earlier courier has left cannot be removed: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return peersOnly{listener, log}, nil
}

// peersOnly takes connections of processes of the same user alone. The mode of the socket
// says so too, where the system heeds it.
type peersOnly struct {
	net.Listener
	log *slog.Logger
}

// Accept implements net.Listener.
func (p peersOnly) Accept() (net.Conn, error) {
	for {
		conn, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := checkPeer(conn); err != nil {
			p.log.Warn("a connection is refused", "why", err.Error())
			_ = conn.Close()
			continue
		}
		return conn, nil
	}
}

// errPeer: the other side is not who it should be.
var errPeer = errors.New("the process at the other end of the socket runs as another user")
