// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package saving

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

func TestWhatWaitsToBeSavedIsBoundedForEachNamespace(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason  string
		namespace     string
		commits, size int
		heldUp        bool
	}{
		{"one commit less than may wait", "there is room for one", "team", MaxUnsaved - 1, 1, false},
		{"as many commits as may wait", "one more would be beyond the bound", "team", MaxUnsaved, 1, true},
		{"one byte less than may wait", "there is room", "team", 1, maxUnsavedBytes - 1, false},
		{"as many bytes as may wait", "any more would be beyond the bound", "team", 1, maxUnsavedBytes, true},
		{"far more of another namespace", "a namespace is held up by its own alone", "flood", 10 * MaxUnsaved, maxUnsavedBytes, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			u, shop := &Unsaved{}, types.NamespacedName{Namespace: "team", Name: "shop"}
			waits(u, each.namespace, each.commits, each.size)
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

// waits has so many commits of a namespace wait to be saved, of so many bytes each.
func waits(u *Unsaved, namespace string, commits, size int) {
	for i := range commits {
		u.Add(types.NamespacedName{Namespace: namespace, Name: fmt.Sprint("waiting-", i)}, &problem.Problem{}, size)
	}
}

// TestACommitIsGivenUpOnlyWithItsCredential deletes a credential whose commit waits, and makes
// it again.
func TestACommitIsGivenUpOnlyWithItsCredential(t *testing.T) {
	t.Parallel()
	u, shop, other := &Unsaved{}, types.NamespacedName{Namespace: "team", Name: "waiting-0"}, types.NamespacedName{Namespace: "team", Name: "waiting-1"}
	report := problem.New("PersistBlocked", "refused")
	u.Add(shop, report, 1)
	if got := u.of(shop); !errors.Is(got, report) {
		t.Errorf("of a commit that waits %v is reported, want %v", got, report)
	}
	if got := u.of(other); got != nil {
		t.Errorf("of another credential %v is reported", got)
	}
	for _, each := range []struct {
		name, reason string
		step         func(types.NamespacedName)
		of           types.NamespacedName
		want         bool
	}{
		{"it stands", "what was received is not dropped", func(types.NamespacedName) {}, shop, false},
		{"another is deleted", "that one has no commit", u.abandon, other, false},
		{"it is deleted", "what nobody can save is given up", u.abandon, shop, true},
		{"it is made again", "it can be saved for that one", u.resume, shop, false},
	} {
		if each.step(each.of); u.isAbandoned(shop) != each.want {
			t.Errorf("%s: given up: %t, want %t\nreason: %s", each.name, !each.want, each.want, each.reason)
		}
	}
	u.remove(shop)
	if u.isAbandoned(shop) || u.of(shop) != nil {
		t.Error("a commit that was made is remembered")
	}
}

// TestWhoIsGoneIsNotWoken deletes a credential that is held up by others.
func TestWhoIsGoneIsNotWoken(t *testing.T) {
	t.Parallel()
	u, shop := &Unsaved{}, types.NamespacedName{Namespace: "team", Name: "shop"}
	waits(u, "team", MaxUnsaved, 1)
	if u.holdsUp(shop) == 0 {
		t.Fatal("nothing holds it up")
	}
	u.abandon(shop)
	if woken := u.remove(types.NamespacedName{Namespace: "team", Name: "waiting-0"}); len(woken) > 0 {
		t.Errorf("%v is woken", woken)
	}
}
