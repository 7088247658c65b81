// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// apps are the two that all credentials share: one whose refresh tokens may be
// sent again, one whose work once.
//
//nolint:gosec // they work nowhere but in this simulator
var apps = []simulator.App{
	{Vendor: simulator.MCS, Key: "bench-mcs", Secret: "bench-mcs-secret"},
	{Vendor: simulator.Xiaomi, Key: "2882303761517000042", Secret: "bench-xiaomi-secret==", RedirectURI: "https://bench.example.com/callback"},
}

func appOf(vendor simulator.Vendor) simulator.App {
	for _, app := range apps {
		if app.Vendor == vendor {
			return app
		}
	}
	return simulator.App{}
}

// provider is the simulator, in a process of its own so that its processor time
// can be told from that of the rest.
type provider struct {
	command *exec.Cmd
	address string
	caFile  string
	client  *http.Client
}

var listening = regexp.MustCompile(`listens on (\S+)`)

// startSimulator starts the simulator with tokens that live for an hour.
func startSimulator(ctx context.Context, binary, folder string) (*provider, error) {
	p := &provider{caFile: filepath.Join(folder, "providers-ca.pem")}
	p.command = exec.Command(binary, "--address=127.0.0.1:0", "--demo=false", "--log=false", //nolint:noctx // stop ends it, whatever becomes of the context
		"--ca-file="+p.caFile, "--access-token-lifetime=1h")
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is not for it
	output, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start the simulator (go build -o bin/simulator ./cmd/simulator): %w", err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if match := listening.FindStringSubmatch(line); match != nil {
		p.address = match[1]
	} else {
		p.stop()
		return nil, fmt.Errorf("the simulator does not say where it listens, but %q (%w)", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, output) }()
	transport, err := p.transport()
	if err != nil {
		p.stop()
		return nil, err
	}
	p.client = &http.Client{Transport: transport, Timeout: time.Minute}
	return p, ctx.Err()
}

// transport reaches the simulator under whatever name it is called.
func (p *provider) transport() (*http.Transport, error) {
	pem, err := os.ReadFile(p.caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", p.caFile)
	}
	return &http.Transport{
		DialContext:         dialTo(p.address),
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(64)},
		MaxIdleConnsPerHost: 64,
	}, nil
}

func (p *provider) stop() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}

// control speaks to the control interface.
func (p *provider) control(ctx context.Context, method, path string, send, into any) error {
	body, err := json.Marshal(send)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "https://simulator.example.com/_simulator/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	reply, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != http.StatusOK {
		return errors.Join(err, fmt.Errorf("the simulator says %s to %s %s: %.200s", reply.Status, method, path, text))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

func (p *provider) seed(ctx context.Context, apps []simulator.App, grants []simulator.Grant) ([]simulator.Grant, error) {
	var made []simulator.Grant
	err := p.control(ctx, http.MethodPost, "seed", simulator.Seed{Apps: apps, Grants: grants}, &made)
	return made, err
}

// setLifetime is that of Xiaomi's access tokens from now on; MCS states none.
func (p *provider) setLifetime(ctx context.Context, lifetime time.Duration) error {
	return p.control(ctx, http.MethodPatch, "options",
		map[string]any{"xiaomi": map[string]string{"accessTokenLifetime": lifetime.String()}}, nil)
}

// setUnavailable lets every call fail with 503, or work again.
func (p *provider) setUnavailable(ctx context.Context, unavailable bool) error {
	return p.control(ctx, http.MethodPut, "unavailable",
		map[string]any{"match": simulator.Match{}, "unavailable": unavailable}, nil)
}

// misbehave has the provider do the same wrong at every call that matches, until
// behave ends it.
func (p *provider) misbehave(ctx context.Context, match simulator.Match, fault simulator.Fault) error {
	return p.control(ctx, http.MethodPost, "faults", map[string]any{"match": match, "next": math.MaxInt32, "fault": fault}, nil)
}

func (p *provider) behave(ctx context.Context) error {
	return p.control(ctx, http.MethodDelete, "faults", nil, nil)
}

// calls is how many calls have come, and how many of them brought a token.
type calls struct {
	all       float64
	refreshes float64
	reuses    float64
	faulty    float64 // met a fault that was asked for
}

func (p *provider) counts(ctx context.Context) (calls, error) {
	var counted struct {
		Calls  map[string]simulator.Count `json:"calls"`
		Totals simulator.Totals           `json:"totals"`
	}
	err := p.control(ctx, http.MethodGet, "counts", nil, &counted)
	sum := calls{refreshes: float64(counted.Totals.Refreshes), reuses: float64(counted.Totals.Reuses)}
	for _, count := range counted.Calls {
		sum.all += float64(count.Calls)
		sum.faulty += float64(count.Faulty)
	}
	return sum, err
}

// attempts are how often each grant's refresh token was sent, by the grant's
// identifier; those that were refused as unknown are no grant's.
func (p *provider) attempts(ctx context.Context) (map[string]int, error) {
	var grants []simulator.GrantState
	if err := p.control(ctx, http.MethodGet, "grants", nil, &grants); err != nil {
		return nil, err
	}
	counted := make(map[string]int, len(grants))
	for _, grant := range grants {
		counted[grant.ID] = grant.Refreshes + grant.Reuses
	}
	return counted, nil
}

// resolve sends the providers' hosts here, as --egress-resolve takes it.
func (p *provider) resolve() []string {
	var all []string
	for _, host := range append(simulator.Hosts(), hostileHost) {
		all = append(all, host+":443="+p.address)
	}
	return all
}
