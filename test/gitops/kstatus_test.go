// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gitops

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestKstatus takes every combination of conditions, of a spec that was looked at and of
// one that was not.
func TestKstatus(t *testing.T) {
	t.Parallel()
	for _, isReady := range []bool{true, false} {
		for _, isFailed := range []bool{true, false} {
			for _, isWorking := range []bool{true, false} {
				for _, isStalled := range []bool{true, false} {
					for _, isOld := range []bool{true, false} {
						check(t, isReady, isFailed, isWorking, isStalled, isOld)
					}
				}
			}
		}
	}
}

func check(t *testing.T, isReady, isFailed, isWorking, isStalled, isOld bool) {
	t.Helper()
	conditions := []metav1.Condition{notReady}
	if isReady {
		conditions[0] = ready
	}
	if isWorking && isStalled {
		return // the two exclude each other: what is stalled is not worked on
	}
	for _, each := range []struct {
		is   bool
		also metav1.Condition
	}{{isFailed, failed}, {isWorking, working}, {isStalled, stalled}} {
		if each.is {
			conditions = append(conditions, each.also)
		}
	}
	object := credential(t, func(c *v1alpha1.TokenCredential) {
		if isOld {
			c.Generation = 4
		}
	}, conditions...)
	got, err := status.Compute(&unstructured.Unstructured{Object: object})
	if err != nil {
		t.Fatal(err)
	}
	want := status.CurrentStatus
	switch {
	case isOld, isWorking: // what is being worked on is not judged yet
		want = status.InProgressStatus
	case isStalled:
		want = status.FailedStatus
	case !isReady:
		want = status.InProgressStatus
	}
	if got.Status != want {
		t.Errorf("ready %t, failed %t, reconciling %t, stalled %t, old %t: it is %s, want %s", isReady, isFailed, isWorking, isStalled, isOld, got.Status, want)
	}
}
