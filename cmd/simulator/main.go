// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command simulator runs the provider simulators alone, on loopback over TLS,
// with the demo's credentials. It prints the flags that send the manager's
// calls to it, and each call as it comes; tokens are shortened there.
//
//	simulator --address=127.0.0.1:8443 --access-token-lifetime=30s --ca-file=/tmp/ca.pem
//
// Drive it through /_simulator/; see the package comment of internal/simulator.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "simulator:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	address string
	caFile  string
	seed    bool
	log     bool
	options simulator.Options
}

func parse(arguments []string, output io.Writer) (settings, error) {
	given := settings{}
	lifetime := 30 * simulator.Second
	flags := flag.NewFlagSet("simulator", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&given.address, "address", "127.0.0.1:8443", "loopback `address` to listen on; port 0 takes a free one")
	flags.StringVar(&given.caFile, "ca-file", "", "`file` to write the CA's certificate to, in PEM")
	flags.BoolVar(&given.seed, "demo", true, "know the demo's apps, users and grants")
	flags.BoolVar(&given.log, "log", true, "print each call")
	flags.TextVar(&lifetime, "access-token-lifetime", lifetime, "`lifetime` of access tokens")
	refresh := flags.String("refresh-token-lifetime", "", "`lifetime` of refresh tokens (default: that of each vendor)")
	window := flags.String("reuse-window", "0s", "`time` for which a spent token still works, at Xiaomi and the OAuth server")
	revoke := flags.Bool("revoke-on-reuse", false, "revoke a grant whose spent token comes again, at Xiaomi and the OAuth server")
	if err := flags.Parse(arguments); err != nil {
		return given, err
	}
	if flags.NArg() > 0 {
		return given, fmt.Errorf("%q is no flag: see --help", flags.Arg(0))
	}
	given.options = simulator.DemoOptions(lifetime)
	rotation := simulator.Rotation{RevokeOnReuse: *revoke}
	if err := rotation.ReuseWindow.UnmarshalText([]byte(*window)); err != nil {
		return given, fmt.Errorf("--reuse-window: %w", err)
	}
	given.options.Xiaomi.Rotation, given.options.OAuth.Rotation = rotation, rotation
	if *refresh != "" {
		var d simulator.Duration
		if err := d.UnmarshalText([]byte(*refresh)); err != nil {
			return given, fmt.Errorf("--refresh-token-lifetime: %w", err)
		}
		given.options.MCS.UserTokenLifetime, given.options.Xiaomi.RefreshTokenLifetime, given.options.OAuth.RefreshTokenLifetime = d, d, d
	}
	return given, checkLoopback(given.address)
}

// checkLoopback refuses an address that others could reach: the control
// interface has no authentication.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--address: write HOST:PORT, such as 127.0.0.1:8443: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--address: %q is not on loopback; write 127.0.0.1 or [::1]", host)
	}
	return nil
}

// run serves until the context ends.
func run(ctx context.Context, arguments []string, output io.Writer) error {
	given, err := parse(arguments, output)
	if err != nil {
		return err
	}
	if given.log {
		var mu sync.Mutex
		given.options.Observe = func(entry simulator.Entry) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintln(output, entry.Time.Format("15:04:05.000"), entry)
		}
	}
	s := simulator.New(given.options)
	if given.seed {
		if _, err := s.Add(simulator.Demo()); err != nil {
			return err
		}
	}
	server, err := s.Start(given.address)
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	if given.caFile != "" {
		if err := os.WriteFile(given.caFile, server.CAPEM(), 0o644); err != nil { //nolint:gosec // a certificate is public
			return fmt.Errorf("write the CA's certificate: %w", err)
		}
	}
	announce(output, server, given)
	<-ctx.Done()
	return nil
}

// announce prints what a person needs to call the simulator.
func announce(output io.Writer, server *simulator.Server, given settings) {
	fmt.Fprintf(output, "The simulator listens on %s (HTTP/1.1 and HTTP/2 over TLS).\n\nGive the manager:\n", server.Addr())
	fmt.Fprintf(output, "  --egress-resolve=%s\n", strings.Join(server.Resolve(), ","))
	if given.caFile != "" {
		fmt.Fprintf(output, "  --egress-ca-file=%s\n", given.caFile)
	}
	fmt.Fprint(output, "  --egress-allow-cidrs=127.0.0.0/8,::1/128\n")
	if given.caFile == "" {
		fmt.Fprintf(output, "\n--ca-file writes this CA to a file, for --egress-ca-file:\n%s", server.CAPEM())
	}
	if given.seed {
		fmt.Fprintf(output, demoText,
			simulator.DemoMCSAppKey, simulator.DemoMCSAppSecret, simulator.DemoMCSUserToken, simulator.DemoMCSEmail, simulator.DemoMCSPassword,
			simulator.DemoXiaomiClientID, simulator.DemoXiaomiClientSecret, simulator.DemoXiaomiRefreshToken, simulator.DemoXiaomiRedirectURI,
			simulator.DemoShopHost, simulator.DemoOracleStoreUsername, simulator.DemoOracleStorePassword, simulator.DemoOracleStoreToken,
			simulator.DemoShopHost, simulator.DemoOracleApplicationKey, simulator.DemoOracleAdminToken,
			simulator.DemoOAuthClientID, simulator.DemoOAuthClientSecret, simulator.DemoOAuthRefreshToken, simulator.DemoOAuthTokenURL, simulator.DemoOAuthScope,
			simulator.DemoOAuthServiceID, simulator.DemoOAuthServiceSecret, simulator.DemoOAuthTokenURL, simulator.DemoOAuthScope)
	}
	fmt.Fprintf(output, "\nDrive it with, for example:\n  curl -k %s/_simulator/counts\n\n", server.URL())
}

const demoText = `
Demo credentials, which work nowhere else:
  mcs                        app_key=%s app_secret=%s refresh_token=%s
                             email=%s password=%s
  xiaomi                     app_key=%s app_secret=%s refresh_token=%s
                             redirectURI=%s
  oracle-commerce-store      site=%s username=%s password=%s
                             refresh_token=%s
  oracle-commerce-admin      site=%s applicationKey=%s refresh_token=%s
  oauth2                     app_key=%s app_secret=%q refresh_token=%s
                             tokenURL=%s scope=%q clientAuthentication=basic
  oauth2-client-credentials  app_key=%s app_secret=%s
                             tokenURL=%s scope=%q clientAuthentication=basic
`
