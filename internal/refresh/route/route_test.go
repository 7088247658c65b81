// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package route

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

func TestAGrantIsRevokedWhereItBelongs(t *testing.T) {
	t.Parallel()
	bound := rotation.Origin{Refresh: "https://a.example", Revoke: "https://a.example", Discovered: "https://d.example"}
	with := func(change func(*rotation.Origin)) rotation.Origin { o := bound; change(&o); return o }
	for _, each := range []struct {
		name, reason string
		bound, now   rotation.Origin
		want         bool
	}{
		{"as it was", "nothing has changed", bound, bound, true},
		{"a grant that is bound to nothing", "it is from before origins were kept", rotation.Origin{}, bound, true},
		{"another host to revoke at", "it was never given the token", bound, with(func(o *rotation.Origin) { o.Revoke = "https://b.example" }), false},
		{"another host to refresh at", "the grant is of another provider", bound, with(func(o *rotation.Origin) { o.Refresh = "https://b.example" }), false},
		{"other hosts were discovered", "whoever holds the document names no others", bound, with(func(o *rotation.Origin) { o.Discovered = "https://b.example" }), false},
		{"a grant from before the revoke call, on its way", "that host has seen the token", with(func(o *rotation.Origin) { o.Revoke = "" }), bound, true},
		{"a grant from before the revoke call, elsewhere", "that host has not", with(func(o *rotation.Origin) { o.Revoke = "" }), with(func(o *rotation.Origin) { o.Revoke = "https://b.example" }), false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if got := MayRevoke(each.bound, each.now); got != each.want {
				t.Errorf("may revoke: %t, want %t\nreason: %s", got, each.want, each.reason)
			}
		})
	}
}

func TestOnlyAnOriginOfTheWayIsOnIt(t *testing.T) {
	t.Parallel()
	const way = "https://a.example and https://b.example"
	for origin, want := range map[string]bool{"https://a.example": true, "https://b.example": true, "https://a.exam": false, "": false, way: false} {
		if got := IsOn(way, origin); got != want {
			t.Errorf("%q is on the way: %t, want %t", origin, got, want)
		}
	}
}
