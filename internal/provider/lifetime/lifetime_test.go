// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package lifetime_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/provider/lifetime"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestALifetimeIsReadByItsLengthOrByItsEnd(t *testing.T) {
	t.Parallel()
	hour := lifetime.Stated{Kind: lifetime.Life, Life: time.Hour}
	over := lifetime.Stated{Kind: lifetime.End}
	type stated = struct {
		Kind   lifetime.Kind
		Life   time.Duration
		Remark string
	}
	for name, c := range map[string]struct {
		read  func(value any, now time.Time) lifetime.Stated
		value any
		want  lifetime.Stated
	}{
		"seconds":                            {lifetime.Within, int64(3600), hour},
		"seconds in a text":                  {lifetime.Within, "3600", hour},
		"a duration":                         {lifetime.Within, "1h", hour},
		"a moment where a length is":         {lifetime.Within, now.Add(time.Hour).Unix(), hour},
		"a length that is negative":          {lifetime.Within, int64(-1), over},
		"a length of nothing":                {lifetime.Within, int64(0), lifetime.Stated{Remark: "of 0"}},
		"a length of eras":                   {lifetime.Within, 1e30, lifetime.Stated{Remark: "of more than ten years"}},
		"a word":                             {lifetime.Within, "soon", lifetime.Stated{Remark: "that cannot be read"}},
		"a moment":                           {lifetime.Until, "2026-01-02T04:04:05Z", hour},
		"a moment since 1970":                {lifetime.Until, now.Add(time.Hour).Unix(), hour},
		"a moment that a serializer wrapped": {lifetime.Until, map[string]any{"$date": map[string]any{"$numberLong": "1767326645000"}}, hour},
		"a moment that has passed":           {lifetime.Until, now.Add(-time.Hour).Unix(), over},
		"this very moment":                   {lifetime.Until, now, over},
		"a length where a moment is":         {lifetime.Until, "PT1H", hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.read(c.value, now)
			if diff := cmp.Diff(stated{c.want.Kind, c.want.Life, c.want.Remark}, stated{got.Kind, got.Life, got.Remark}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
