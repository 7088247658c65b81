// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/screen"
)

func TestALeaseIsJudged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		holder string
		age    time.Duration
		want   screen.Verdict
		says   string
	}{
		"it is renewed":                          {"pod-a", 2 * time.Second, screen.Right, `"pod-a" renewed 2s ago`},
		"a rollout is under way":                 {"", time.Second, screen.Doubtful, "the next takes over within seconds"},
		"nobody has taken over after a rollout":  {"", 2 * time.Minute, screen.Wrong, "look at the pods"},
		"the leader was killed and none follows": {"pod-a", 2 * time.Minute, screen.Wrong, `"pod-a" has not renewed for 2m`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if verdict, says := leaderOf(c.holder, c.age); verdict != c.want || !strings.Contains(says, c.says) {
				t.Errorf("the verdict is %d, want %d: %s", verdict, c.want, says)
			}
		})
	}
}
