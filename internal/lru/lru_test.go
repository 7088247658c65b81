// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package lru_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/lru"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestWhatWasNotUsedForLongestGoesFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reason string
		use    func(*lru.Cache[string, int])
		want   string // the keys that are still there
		size   int
	}{
		"all fit":                      {"the bound is inclusive", func(c *lru.Cache[string, int]) { c.Put("c", 3, 40) }, "abc", 100},
		"one byte too many":            {"the oldest goes", func(c *lru.Cache[string, int]) { c.Put("c", 3, 41) }, "bc", 71},
		"the oldest was used":          {"the next goes", func(c *lru.Cache[string, int]) { c.Get("a"); c.Put("c", 3, 41) }, "ac", 71},
		"larger than all":              {"it would drive out everything, and not fit", func(c *lru.Cache[string, int]) { c.Put("c", 3, 101) }, "ab", 60},
		"a smaller value for a larger": {"the old one takes no room any more", func(c *lru.Cache[string, int]) { c.Put("a", 9, 10) }, "ab", 40},
		"a larger value than all":      {"the old one is outdated", func(c *lru.Cache[string, int]) { c.Put("a", 9, 101) }, "b", 30},
		"dropped":                      {"nobody needs it", func(c *lru.Cache[string, int]) { c.Drop("a"); c.Drop("x") }, "b", 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := lru.New[string, int](100, nil)
			cache.Put("a", 1, 30)
			cache.Put("b", 2, 30)
			c.use(cache)
			size, kept := cache.Size(), ""
			for _, key := range []string{"a", "b", "c"} {
				if _, ok := cache.Get(key); ok {
					kept += key
				}
			}
			if diff := cmp.Diff([]any{c.want, c.size}, []any{kept, size}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// TestAnOwnerThatHoldsMuchDrivesOutItsOwn is the attack: a tenant names one large Secret
// after the other.
func TestAnOwnerThatHoldsMuchDrivesOutItsOwn(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "hundreds of Secrets as large as may be")
	cache := lru.New[string, int](1000, func(key string, _ int) string { owner, _, _ := strings.Cut(key, "/"); return owner })
	cache.Put("shop/a", 1, 100)
	cache.Put("shop/b", 1, 100)
	for i := range 100 {
		cache.Put(fmt.Sprint("flood/", i), 1, 100)
	}
	for _, key := range []string{"shop/a", "shop/b", "flood/99", "flood/92"} {
		if _, ok := cache.Get(key); !ok {
			t.Errorf("%s is gone, although another owner held more", key)
		}
	}
	if _, ok := cache.Get("flood/91"); ok || cache.Size() != 1000 {
		t.Errorf("the flood's oldest is there: %t, in %d bytes", ok, cache.Size())
	}
	cache.Put("shop/large", 1, 250)
	cache.Put("shop/larger", 1, 500) // now the shop holds most
	for key, want := range map[string]bool{"shop/larger": true, "flood/99": true, "shop/a": false, "shop/large": false} {
		if _, ok := cache.Get(key); ok != want {
			t.Errorf("%s is there: %t, want %t: who holds most makes room", key, ok, want)
		}
	}
}
