// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// What config/samples/tokenkeeper_v1alpha1_clustertokenprovider.yaml uses beside
// the simulator's own demo: a provider that the operator does not know, which
// speaks as MCS does.
const (
	devicesHost         = "eu.devices.example.com"
	devicesAppKey       = "demo-devices-app"
	devicesAppSecret    = "demo-devices-secret"
	devicesRefreshToken = "demo-devices-refresh-token"
)

// providers is the simulator, listening.
type providers struct {
	*simulator.Simulator
	server *simulator.Server
	caFile string
}

// startProviders starts the simulator with access tokens of the given lifetime,
// in seconds' precision.
func startProviders(folder string, lifetime time.Duration) (*providers, error) {
	options := simulator.DemoOptions(simulator.Duration(lifetime))
	// MCS states no lifetime, and the operator counts on the hour of its
	// documentation: so the tokens live for an hour.
	options.MCS.AccessTokenLifetime = simulator.Hour
	p := &providers{Simulator: simulator.New(options), caFile: filepath.Join(folder, "providers-ca.pem")}
	seed := simulator.Demo()
	seed.Apps = append(seed.Apps, simulator.App{Vendor: simulator.MCS, Key: devicesAppKey, Secret: devicesAppSecret})
	seed.Grants = append(seed.Grants, simulator.Grant{ID: "demo-devices", Vendor: simulator.MCS, App: devicesAppKey, RefreshToken: devicesRefreshToken})
	if _, err := p.Add(seed); err != nil {
		return nil, err
	}
	server, err := p.Start("")
	if err != nil {
		return nil, err
	}
	p.server = server
	return p, os.WriteFile(p.caFile, server.CAPEM(), 0o600)
}

// resolve sends every host of the samples to the simulator, as the flag
// --egress-resolve takes it.
func (p *providers) resolve() []string {
	return p.server.Resolve(append(simulator.Hosts(), devicesHost)...)
}
