// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package pause_test

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/provider/pause"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestAPauseIsReadInEveryNotation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value any
		want  time.Duration
	}{
		"seconds":                {int64(7), 7 * time.Second},
		"seconds in a text":      {"7", 7 * time.Second},
		"a fraction":             {1.5, 1500 * time.Millisecond},
		"a duration":             {"2m", 2 * time.Minute},
		"a moment":               {"Fri, 02 Jan 2026 03:05:05 GMT", time.Minute},
		"a moment since 1970":    {now.Add(time.Minute).Unix(), time.Minute},
		"a list, by its longest": {[]any{int64(1), "9"}, 9 * time.Second},
		"a list in a text":       {"1, 9", 9 * time.Second},
		"what has passed":        {now.Add(-time.Minute), 0},
		"what cannot be read":    {"soon", 0},
		"a thousand days":        {"1000d", pause.Longest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := pause.Of(c.value, now); got != c.want {
				t.Errorf("%v is read as %s, not as %s", c.value, got, c.want)
			}
		})
	}
}
