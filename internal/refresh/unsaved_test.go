// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/saving"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// waits has so many commits of a namespace wait to be saved, of so many bytes each.
func waits(u *saving.Unsaved, namespace string, commits, size int) {
	for i := range commits {
		u.Add(types.NamespacedName{Namespace: namespace, Name: fmt.Sprint("waiting-", i)}, &problem.Problem{}, size)
	}
}

// TestATenantWhoseTokensCannotBeSavedRisksNoMore is the attack: the tokens of a tenant's
// provider can never be saved, and each would wait in memory for ever.
func TestATenantWhoseTokensCannotBeSavedRisksNoMore(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "rotated tokens that cannot be saved")
	for _, each := range []struct {
		name, reason string
		arrange      func(t *testing.T, s *scene)
		blocked      bool
	}{
		{"its own wait", "nothing more may become unsaved", func(_ *testing.T, s *scene) { waits(&s.Saver.Unsaved, "team", saving.MaxUnsaved, 1) }, true},
		{"another tenant's wait", "it goes on", func(_ *testing.T, s *scene) { waits(&s.Saver.Unsaved, "flood", saving.MaxUnsaved, 1) }, false},
		{"its own fill the spool", "what comes next would be in memory alone", func(t *testing.T, s *scene) { fills(t, s, "team") }, true},
		{"another tenant's fill the spool", "it goes on", func(t *testing.T, s *scene) { fills(t, s, "flood") }, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.provider.answer(rotates(second))
			each.arrange(t, s)
			result, err := s.renew(t.Context())
			if blocked := reasonOf(err) == v1alpha1.PersistBlockedReason; blocked != each.blocked || result.Called == each.blocked {
				t.Fatalf("it ends with %v, called: %t, want it blocked: %t\nreason: %s", err, result.Called, each.blocked, each.reason)
			}
			if each.blocked && (len(s.provider.sent) > 0 || s.writes() > 0 || !strings.Contains(problem.Of(err).Message, "namespace")) {
				t.Errorf("it sends %v, writes %d times and says %v, want nothing spent and nothing claimed, and a word on the namespace", s.provider.sent, s.writes(), err)
			}
			s.isBalanced()
		})
	}
}

// fills the spool as far as a namespace may.
func fills(t *testing.T, s *scene, namespace string) {
	t.Helper()
	large := token.Grant{RefreshToken: secret.New(strings.Repeat("r", 256<<10))}
	for i := 0; s.Saver.Spool.HasRoom(namespace); i++ {
		if err := s.Saver.Spool.Put(namespace, fmt.Sprint("kept-", i), secret.New("sent"), large); err != nil {
			t.Fatal(err)
		}
	}
}
