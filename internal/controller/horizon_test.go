// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/horizon"
)

// revisions is an API server that answers each list at the next revision, and at the last
// one from then on; an empty one stands for an answer that does not come.
type revisions struct {
	client.Reader
	left []string
}

func (r *revisions) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	now := r.left[0]
	if len(r.left) > 1 {
		r.left = r.left[1:]
	}
	if now == "" {
		return errors.New("no answer")
	}
	list.SetResourceVersion(now)
	return nil
}

func knownHorizon(t *testing.T, directory string) *horizon.Horizon {
	t.Helper()
	known, err := horizon.Open(directory, "cluster")
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func TestAManagerEndsWhereItsClusterWasPutBack(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		answers      []string
		ends         bool
	}{
		{"a cluster that goes on", "nothing has gone back", []string{"7", "8", "9"}, false},
		{"a cluster that was put back", "its caches would be blind", []string{"70", "71", "9", "10"}, true},
		{"put back while the API server was away", "it is asked again", []string{"70", "", "", "9"}, true},
		{"an API server that does not answer", "it is asked again, and nothing is known", []string{"70", ""}, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				watch := &horizonWatch{horizon: knownHorizon(t, ""), live: &revisions{left: each.answers}}
				ctx, cancel := context.WithTimeout(t.Context(), 10*horizonPeriod)
				defer cancel()
				err := watch.Start(ctx)
				if ended := errors.Is(err, ErrPutBack); ended != each.ends || !ended && err != nil {
					t.Errorf("it ends with %v, want that the cluster was put back: %t\nreason: %s", err, each.ends, each.reason)
				}
			})
		})
	}
}

func TestAClaimThatShowsItEndsTheManagerToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		known := knownHorizon(t, "")
		watch := &horizonWatch{horizon: known, live: &revisions{left: []string{"70", "71"}}}
		time.AfterFunc(horizonPeriod/2, func() { // the claim's write comes at a lower one
			if _, err := known.Passed(known.Newest(), "9"); err != nil {
				t.Error(err)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*horizonPeriod)
		defer cancel()
		if err := watch.Start(ctx); !errors.Is(err, ErrPutBack) {
			t.Errorf("it ends with %v", err)
		}
	})
}

func TestAFullSpoolKeepsNoProcessFromStarting(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	known := knownHorizon(t, directory)
	if err := os.Mkdir(filepath.Join(directory, "horizon.tmp"), 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	watch := &horizonWatch{horizon: known, live: &revisions{left: []string{"70"}}}
	if err := watch.look(t.Context()); err != nil {
		t.Errorf("the process would not start, and not save what the spool holds: %v", err)
	}
	if known.Newest() != "70" {
		t.Error("the process itself must know all the same")
	}
}

func TestWhichCredentialsMayBePutBack(t *testing.T) {
	t.Parallel()
	known := knownHorizon(t, "")
	for _, each := range []struct{ before, revision string }{{"", "70"}, {"70", "9"}} {
		if _, err := known.Passed(each.before, each.revision); err != nil {
			t.Fatal(err)
		}
	}
	for _, each := range []struct {
		name, reason, version, last, trust string
		want                               bool
	}{
		{"no state", "there is nothing to hold", "", "", "", false},
		{"a state from before", "its token may have been sent since", "9", "", "", true},
		{"a state from after", "it was written since", "10", "", "", false},
		{"a state that is held", "the status says so", "9", v1alpha1.RestoredFromBackupReason, "", false},
		{"a state that is held, and a person's word", "the word may free it", "9", v1alpha1.RestoredFromBackupReason, "not used", true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.TrustRestoredAnnotation: each.trust}}}
			if each.version != "" {
				credential.Status.StateSecret = &v1alpha1.StateSecretStatus{ResourceVersion: each.version}
			}
			if each.last != "" {
				credential.Status.LastAttempt = &v1alpha1.AttemptStatus{Reason: each.last}
			}
			if got := mayBePutBack(credential, known); got != each.want {
				t.Errorf("got %t, want %t: %s", got, each.want, each.reason)
			}
		})
	}
}
