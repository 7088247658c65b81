// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"strconv"
)

// The node's network is one cable: this machine at its outer end, the node at the inner
// one. Pods are on a bridge behind the node. Nothing is translated, so a pod reaches a
// server on outerAddress, and this machine reaches pods.
const (
	outerDevice  = "tokenkeeper0"
	innerDevice  = "node0"
	outerAddress = "10.213.0.1"
	nodeAddress  = "10.213.0.2"
	nodeNetwork  = "/24"
	podNetwork   = "10.213.1.0/24"
	services     = "10.213.2.0/24"
	// serviceAddress is the Service kubernetes, which pods find in their environment. It
	// is an address of the node itself: without kube-proxy, nothing else would bring a
	// pod there.
	serviceAddress = "10.213.2.1"
)

// connect makes the cable to the network namespace of a process.
func connect(ctx context.Context, pid int) error {
	return ip(ctx,
		[]string{"link", "add", outerDevice, "type", "veth", "peer", "name", innerDevice, "netns", strconv.Itoa(pid)},
		[]string{"address", "add", outerAddress + nodeNetwork, "dev", outerDevice},
		[]string{"link", "set", outerDevice, "up"},
		[]string{"route", "add", podNetwork, "via", nodeAddress, "dev", outerDevice, "onlink"},
	)
}

// disconnect removes the cable, if the end of the namespace has not yet.
func disconnect(ctx context.Context) { _ = output(ctx, "ip", "link", "delete", outerDevice) }

// connectInside sets up the inner end, from within.
func connectInside(ctx context.Context) error {
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return err
	}
	return ip(ctx,
		[]string{"link", "set", "lo", "up"},
		[]string{"address", "add", serviceAddress + "/32", "dev", "lo"},
		[]string{"address", "add", nodeAddress + nodeNetwork, "dev", innerDevice},
		[]string{"link", "set", innerDevice, "up"},
		[]string{"route", "add", "default", "via", outerAddress},
	)
}

func ip(ctx context.Context, commands ...[]string) error {
	for _, each := range commands {
		if err := output(ctx, "ip", each...); err != nil {
			return err
		}
	}
	return nil
}
