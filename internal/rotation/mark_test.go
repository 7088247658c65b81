// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestTheLabelsOfAState(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	store := api.store()
	mark := func(name string) string { return store.mark(text(name).Digest()) }
	grown := rotated(holding("G"), "G2")
	cases := map[string]struct {
		reason     string
		state      State
		live, seed string
	}{
		"a seed":              {"it is both", holding("G"), "G", "G"},
		"a seed that rotated": {"the seed is spent, its successor live", grown, "G2", "G"},
		"a seed over another": {"the grant before may return", grown.Adopt(text("W")), "W", "G"},
		"an undone seed":      {"it is as before", adopting(grown, "W", "G"), "G2", "G"},
	}
	for name, c := range cases {
		stored := newSecret(shop)
		stored.Labels[labelPrefix+plainMark("G")] = "live" // of an earlier version
		store.label(stored, c.state)
		want := map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy, labelKey: key.Name(), labelLive: mark(c.live), labelSeed: mark(c.seed)}
		if diff := cmp.Diff(want, stored.Labels); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, c.reason, diff)
		}
	}
}

// plainMark is what earlier versions wrote: keyed with what everybody may know.
func plainMark(name string) string {
	mac := hmac.New(sha256.New, []byte("cluster"))
	mac.Write([]byte(text(name).Digest()))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
