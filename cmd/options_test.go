// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/utils/clock"
)

func TestLeaseName(t *testing.T) {
	t.Parallel()
	leaseOf := func(arguments ...string) string {
		o := defaultOptions()
		flags := flag.NewFlagSet("manager", flag.ContinueOnError)
		o.addFlags(flags)
		if err := flags.Parse(arguments); err != nil {
			t.Fatal(err)
		}
		return o.leaseName()
	}
	if got := leaseOf(); got != "manager.tokenkeeper.io" {
		t.Errorf("an operator for the whole cluster asks for the lease %q", got)
	}
	cases := map[string]struct {
		reason string
		one    []string
		other  []string
		same   bool
	}{
		"replicas of one shard": {
			"the order in which namespaces are written does not matter",
			[]string{"--namespaces=a,b"}, []string{"--namespaces=b,a"}, true,
		},
		"shards by namespace": {
			"each works for itself",
			[]string{"--namespaces=a"}, []string{"--namespaces=b"}, false,
		},
		"shards by label": {
			"each works for itself",
			[]string{"--watch-label-selector=shard=1"}, []string{"--watch-label-selector=shard!=1"}, false,
		},
		"a shard and the whole": {
			"they would work on the same credentials, and yet neither may stop the other",
			[]string{"--watch-label-selector=shard=1"}, nil, false,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if one, other := leaseOf(c.one...), leaseOf(c.other...); (one == other) != c.same {
				t.Errorf("%s: the leases are %q and %q", c.reason, one, other)
			}
		})
	}
}

// parsed are the options of some flags.
func parsed(t *testing.T, arguments ...string) options {
	t.Helper()
	o := defaultOptions()
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	o.addFlags(flags)
	if err := flags.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestNotifications(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("whsec_plJ3nmyCDGBKInavdOK15jsldcL6WVHPplJ3nmyCDGA="), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		reason    string
		arguments []string
		wrong     string // part of the error; "": none
		none      bool
	}{
		"none":            {"nothing is sent unless it is asked for", nil, "", true},
		"a URL and a key": {"this is what is needed", []string{"--notify-url=https://hooks.example.com/x", "--notify-key-file=" + key}, "", false},
		"a URL alone":     {"a receiver could not tell a message from a forged one", []string{"--notify-url=https://hooks.example.com/x"}, "belong together", false},
		"a key alone":     {"it was meant for something", []string{"--notify-key-file=" + key}, "belong together", false},
		"plain HTTP":      {"messages name credentials", []string{"--notify-url=http://hooks.example.com/x", "--notify-key-file=" + key}, "egress-allow-plain-http", false},
		"a host beside those of providers": {"its host need not be opened to providers", []string{"--egress-allow-hosts=id.example.com",
			"--notify-url=https://hooks.example.com/x", "--notify-key-file=" + key}, "", false},
		"no such key": {"it is found out at the start", []string{"--notify-url=https://hooks.example.com/x", "--notify-key-file=" + key + "x"}, "notify-key-file", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := parsed(t, c.arguments...)
			notifier, err := o.notifier(clock.RealClock{})
			if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
				t.Errorf("the error is %v, want %q: %s", err, c.wrong, c.reason)
			}
			if err == nil && (notifier == nil) != c.none {
				t.Errorf("the notifier is %v: %s", notifier, c.reason)
			}
			if target := (&url.URL{Scheme: "https", Host: "hooks.example.com"}); len(o.egress.AllowHosts) > 0 && o.egress.Check(target) == nil {
				t.Error("the receiver's host is open to providers too")
			}
		})
	}
}
