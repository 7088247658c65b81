// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// TestALeaderThatIsKilledLosesNothingInSilence kills the leader of two replicas again and
// again while single-use tokens are at the provider, whose calls last 0.4 s: by turns its
// process, so that the container starts again in the pod, and the whole pod, with its
// spool. Each grant must end with its current token in the state, or said to be lost.
func TestALeaderThatIsKilledLosesNothingInSilence(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half an hour")
	}
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("E2E_KILLS"), "100"))
	must(t, err)
	const credentials = 12
	o := install(t, fromInstaller, 2)
	newNamespace(t, "team-a")
	lifetime(t, 20*time.Second) // so that a renewal is nearly always under way
	slow := func(simulator.Call) *simulator.Fault {
		return &simulator.Fault{Delay: simulator.Duration(400 * time.Millisecond)}
	}
	for n := range credentials {
		newCredential(t, "team-a", fmt.Sprintf("shop-%d", n))
		awaitReady(t, "team-a", fmt.Sprintf("shop-%d", n))
	}
	env.simulator.Configure(func(options *simulator.Options) { options.Faults = slow })
	defer env.simulator.Configure(func(options *simulator.Options) { options.Faults = nil })
	reuses := env.simulator.Totals().Reuses

	var takeovers []time.Duration
	lost, inFlight := 0, 0
	for n := range kills {
		lost += o.awaitCall(t, credentials)
		leader := o.leader(t)
		o.kill(t, leader, n%4 == 3) // mostly the process: a pod takes longer to come back
		killed := time.Now()
		inFlight++
		eventually(t, 2*patience, "another takes over", func() error {
			if now := o.leaseHolder(t); now == "" || now == leader.identity {
				return errors.New("the lease is still with " + leader.identity)
			}
			return nil
		})
		takeovers = append(takeovers, time.Since(killed))
		o.awaitReady(t)
		lost += o.replaceLost(t, credentials)
	}
	settle(t, credentials, &lost)
	if got := env.simulator.Totals().Reuses - reuses; got > 0 {
		t.Errorf("%d spent tokens were sent", got)
	}
	report(t, "kills of the leader (SIGKILL of its process, or of its pod) with a call in flight", "%d", inFlight)
	report(t, "grants whose token was declared lost, and none in silence", "%d", lost)
	report(t, "spent tokens that were sent", "%d", env.simulator.Totals().Reuses-reuses)
	report(t, "from the kill until another leads", "%s", summary(takeovers))
}

// awaitCall waits until a call is at the provider. All credentials may have had theirs there
// when the last pod was killed: their tokens are lost then, said to be so once the holder
// counts as gone, and replaced. It returns how many were.
func (o *operator) awaitCall(t *testing.T, credentials int) (lost int) {
	t.Helper()
	calls := simulator.Match{Vendor: simulator.OAuth}
	before := env.simulator.Calls(calls)
	eventually(t, patience, "the operator makes another call", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := env.simulator.AwaitCalls(ctx, calls, before+1)
		if err != nil {
			lost += o.replaceLost(t, credentials)
			before = env.simulator.Calls(calls)
		}
		return err
	})
	return lost
}

// leader is a pod that leads, as its lease says.
type leader struct {
	pod      corev1.Pod
	identity string
}

// leaseHolder is who leads: the pod's name and a process of it.
func (o *operator) leaseHolder(t *testing.T) string {
	t.Helper()
	leases := &coordinationv1.LeaseList{}
	must(t, env.List(t.Context(), leases, client.InNamespace(o.deployment.Namespace)))
	for _, each := range leases.Items {
		if each.Spec.HolderIdentity != nil && *each.Spec.HolderIdentity != "" {
			return *each.Spec.HolderIdentity
		}
	}
	return ""
}

func (o *operator) leader(t *testing.T) leader {
	t.Helper()
	found := leader{}
	eventually(t, patience, "a pod leads", func() error {
		holder := o.leaseHolder(t)
		for _, pod := range o.pods(t) {
			if pod.Name != "" && strings.HasPrefix(holder, pod.Name+"_") {
				found = leader{pod: pod, identity: holder}
				return nil
			}
		}
		return fmt.Errorf("%q holds the lease, and no pod is called so", holder)
	})
	return found
}

// kill ends a pod's process with SIGKILL, or the pod without a moment of grace. Elsewhere
// than on this machine's node it is always the pod. A pod whose container has come back
// before goes whole: kubelet would have it wait longer each time.
func (o *operator) kill(t *testing.T, victim leader, whole bool) {
	t.Helper()
	restarted := slices.ContainsFunc(victim.pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.RestartCount > 0 })
	if !whole && !restarted && env.node != "" {
		killProcess(t, string(victim.pod.UID), "manager")
		return
	}
	must(t, env.Delete(t.Context(), &victim.pod, client.GracePeriodSeconds(0)))
}

// replaceLost counts the credentials whose token is said to be lost, and gives each a new
// grant as a person would. While the pod lives that sent a token, its courier has the reply.
func (o *operator) replaceLost(t *testing.T, credentials int) (lost int) {
	t.Helper()
	for n := range credentials {
		name := fmt.Sprintf("shop-%d", n)
		stalled := meta.FindStatusCondition(get(t, "team-a", name).Status.Conditions, v1alpha1.StalledCondition)
		if stalled == nil {
			continue
		}
		if stalled.Reason != v1alpha1.OutcomeUnknownReason && stalled.Reason != v1alpha1.RotatedTokenLostReason {
			t.Errorf("%s is stalled for another reason than a call that was cut off: %s: %s", name, stalled.Reason, stalled.Message)
		}
		if sender := o.senderOf(t, name); sender != "" {
			t.Errorf("the token of %s is lost, and the pod %s that sent it lives", name, sender)
		}
		lost++
		seed(t, "team-a", name)
		awaitReady(t, "team-a", name, func(c *v1alpha1.TokenCredential) error {
			if meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.StalledCondition) {
				return errors.New("it is still stalled")
			}
			return nil
		})
	}
	return lost
}

// senderOf is the pod that holds the attempt in a credential's state; empty: it is gone, or
// there is no attempt.
func (o *operator) senderOf(t *testing.T, name string) string {
	t.Helper()
	state := &corev1.Secret{}
	must(t, env.Get(t.Context(), client.ObjectKey{Namespace: "team-a", Name: get(t, "team-a", name).StateSecretName()}, state))
	for _, pod := range o.pods(t) {
		if strings.Contains(string(state.Data["attempt"]), pod.Name+"/") {
			return pod.Name
		}
	}
	return ""
}

// settle waits until each credential has its current token, or says that it is lost.
func settle(t *testing.T, credentials int, lost *int) {
	t.Helper()
	env.simulator.Configure(func(options *simulator.Options) {
		options.Faults, options.OAuth.AccessTokenLifetime = nil, simulator.Duration(longLifetime)
	})
	for n := range credentials {
		name := fmt.Sprintf("shop-%d", n)
		eventually(t, patience, name+" has its token, or says that it is lost", func() error {
			err := holdsCurrentToken(t, "team-a", name)
			if stalled := meta.FindStatusCondition(get(t, "team-a", name).Status.Conditions, v1alpha1.StalledCondition); err != nil && stalled != nil {
				*lost++
				return nil
			}
			return err
		})
	}
}
