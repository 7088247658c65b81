// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"testing"
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
