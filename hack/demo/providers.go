// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// devicesHost is that of the sample provider which is described in YAML alone.
const devicesHost = "eu.devices.example.com"

// devices is what that provider knows, beside the simulator's own demo. It
// speaks as MCS does; config/samples uses the same values.
func devices() simulator.Seed {
	const app = "demo-devices-app"
	return simulator.Seed{
		Apps: []simulator.App{{Vendor: simulator.MCS, Key: app, Secret: "demo-devices-secret"}},
		//nolint:gosec // it works nowhere but in this simulator
		Grants: []simulator.Grant{{ID: "demo-devices", Vendor: simulator.MCS, App: app, RefreshToken: "demo-devices-refresh-token"}},
	}
}

// providers is the simulator, listening.
type providers struct {
	*simulator.Simulator
	server *simulator.Server
	caFile string
}

// startProviders starts the simulator with access tokens of the given lifetime.
func startProviders(folder string, lifetime time.Duration) (*providers, error) {
	options := simulator.DemoOptions(simulator.Duration(lifetime))
	// MCS states no lifetime, and the operator counts on the hour of its
	// documentation: so the tokens live for an hour.
	options.MCS.AccessTokenLifetime = simulator.Hour
	p := &providers{Simulator: simulator.New(options), caFile: filepath.Join(folder, "providers-ca.pem")}
	for _, seed := range []simulator.Seed{simulator.Demo(), devices()} {
		if _, err := p.Add(seed); err != nil {
			return nil, err
		}
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
