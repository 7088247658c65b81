// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// waits has so many commits of a namespace wait to be saved, of so many bytes each.
func (u *unsaved) waits(namespace string, commits, size int) {
	for i := range commits {
		u.add(types.NamespacedName{Namespace: namespace, Name: fmt.Sprint("waiting-", i)}, &problem.Problem{}, size)
	}
}

func TestWhatWaitsToBeSavedIsBoundedForEachNamespace(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason  string
		namespace     string
		commits, size int
		heldUp        bool
	}{
		{"one commit less than may wait", "there is room for one", "team", maxUnsaved - 1, 1, false},
		{"as many commits as may wait", "one more would be beyond the bound", "team", maxUnsaved, 1, true},
		{"one byte less than may wait", "there is room", "team", 1, maxUnsavedBytes - 1, false},
		{"as many bytes as may wait", "any more would be beyond the bound", "team", 1, maxUnsavedBytes, true},
		{"far more of another namespace", "a namespace is held up by its own alone", "flood", 10 * maxUnsaved, maxUnsavedBytes, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			u, shop := &unsaved{}, types.NamespacedName{Namespace: "team", Name: "shop"}
			u.waits(each.namespace, each.commits, each.size)
			if waiting := u.holdsUp(shop); waiting > 0 != each.heldUp {
				t.Errorf("%d commits hold it up, want that: %t\nreason: %s", waiting, each.heldUp, each.reason)
			}
			var woken []types.NamespacedName
			for i := range each.commits {
				woken = append(woken, u.remove(types.NamespacedName{Namespace: each.namespace, Name: fmt.Sprint("waiting-", i)})...)
			}
			var want []types.NamespacedName
			if each.heldUp {
				want = append(want, shop)
			}
			if diff := cmp.Diff(want, woken); diff != "" {
				t.Errorf("who was held up is woken once (-want +got):\n%s", diff)
			}
			if len(u.waiting)+len(u.backlogs) > 0 {
				t.Errorf("%v and %v are kept when all is saved", u.waiting, u.backlogs)
			}
		})
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
		{"its own wait", "nothing more may become unsaved", func(_ *testing.T, s *scene) { s.unsaved.waits("team", maxUnsaved, 1) }, true},
		{"another tenant's wait", "it goes on", func(_ *testing.T, s *scene) { s.unsaved.waits("flood", maxUnsaved, 1) }, false},
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
	for i := 0; s.Spool.HasRoom(namespace); i++ {
		if err := s.Spool.Put(namespace, fmt.Sprint("kept-", i), secret.New("sent"), large); err != nil {
			t.Fatal(err)
		}
	}
}
