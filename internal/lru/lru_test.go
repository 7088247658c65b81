// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package lru_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/lru"
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
			cache := lru.New[string, int](100)
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
