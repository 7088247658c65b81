// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package courier

import "net"

// checkPeer leaves it to the mode of the socket, where the system does not tell who is at
// the other end.
func checkPeer(net.Conn) error { return nil }
