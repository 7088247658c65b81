// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/hack/local"
)

// manager is one life of the operator, and where it can be looked into.
type manager struct {
	*local.Manager
	metrics string // address
	pprof   string // empty: it serves no profiles
}

// startManager starts the operator with its defaults, and with every call to a
// provider sent to the simulator.
func startManager(ctx context.Context, l *lab) (*manager, error) {
	m := &manager{}
	var err error
	if m.metrics, err = local.FreeAddress(ctx); err != nil {
		return nil, err
	}
	flags := append(l.wayOut(), "--metrics-bind-address="+m.metrics, "--metrics-secure=false")
	if l.profile != "" {
		if m.pprof, err = local.FreeAddress(ctx); err != nil {
			return nil, err
		}
		flags = append(flags, "--pprof-bind-address="+m.pprof)
	}
	flags = append(append(flags, l.flags...), strings.Fields(l.managerFlags)...)
	m.Manager, err = local.StartManager(ctx, l.managerBinary, filepath.Join(l.folder, "manager.log"), l.cluster.Cluster, flags...)
	return m, err
}

// dialTo connects to one address, whatever the name.
func dialTo(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

// saveProfile writes a profile that the operator serves to a file.
func (m *manager) saveProfile(ctx context.Context, path, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // profiles hold no secret
		return err
	}
	output, err := os.Create(file)
	if err != nil {
		return err
	}
	defer output.Close()
	return get(ctx, "http://"+m.pprof+"/debug/pprof/"+path, output)
}

// get writes the body of a reply with the status 200.
func get(ctx context.Context, url string, to io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return fmt.Errorf("%s says %s", url, reply.Status)
	}
	_, err = io.Copy(to, reply.Body)
	return err
}
