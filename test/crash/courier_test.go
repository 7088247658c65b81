// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// How much is killed: a few times in `go test`, and as often as COURIER_KILLS and
// COURIER_CHAINS say (CONTRIBUTING.md).
func fromEnvironment(name string, otherwise int) int {
	if given, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return given
	}
	return otherwise
}

// chains are credentials beside each other, each with a grant of its own.
type chains struct {
	*scene
	names []string
}

// newChains makes n credentials whose calls take 0.4 s and whose tokens live for a few
// seconds. There is no reuse window.
func newChains(t *testing.T, n int) *chains {
	t.Helper()
	s := newScene(t, 6*simulator.Second)
	c := &chains{scene: s}
	s.must(s.Delete(t.Context(), &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}))
	s.provider.QueueFault(simulator.Match{}, 1<<20, simulator.Fault{AfterActing: true, Delay: simulator.Duration(400 * time.Millisecond)})
	for i := range n {
		each := fmt.Sprintf("chain-%d", i)
		_, err := s.provider.Add(simulator.Seed{Grants: []simulator.Grant{
			{ID: each, Vendor: simulator.Xiaomi, App: simulator.DemoXiaomiClientID, RefreshToken: "first-of-" + each},
		}})
		s.must(err)
		s.secret(each+"-seed", map[string]string{"refresh_token": "first-of-" + each})
		s.must(s.Create(t.Context(), &v1alpha1.TokenCredential{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: each},
			Spec: v1alpha1.TokenCredentialSpec{
				ProviderRef:           v1alpha1.ProviderReference{Name: "xiaomi"},
				Parameters:            map[string]string{"redirectURI": simulator.DemoXiaomiRedirectURI},
				AppSecretRef:          &v1alpha1.AppSecretReference{Name: "app"},
				RefreshTokenSecretRef: &v1alpha1.RefreshTokenSecretReference{Name: v1alpha1.SecretName(each + "-seed")},
			},
		}))
		c.names = append(c.names, each)
	}
	return c
}

// of a chain: its status, its live refresh token and the provider's.
func (c *chains) of(name string) (status v1alpha1.TokenCredentialStatus, kept, current string) {
	credential, state := &v1alpha1.TokenCredential{}, &corev1.Secret{}
	c.must(c.Get(c.t.Context(), client.ObjectKey{Namespace: c.namespace, Name: name}, credential))
	c.must(client.IgnoreNotFound(c.Get(c.t.Context(), client.ObjectKey{Namespace: c.namespace, Name: name + v1alpha1.StateSecretSuffix}, state)))
	grant, _ := c.provider.Grant(name)
	return credential.Status, string(state.Data["refresh_token"]), grant.Current
}

// awaitAll waits until each chain has got another token, or says what a person must do; it
// returns how many do.
func (c *chains) awaitAll() (stalled int) {
	c.t.Helper()
	before := map[string]int64{}
	for _, name := range c.names {
		status, _, _ := c.of(name)
		before[name] = status.RefreshCount
	}
	for _, name := range c.names {
		c.await(name+" goes on, or says why it does not", func() bool {
			status, kept, current := c.of(name)
			isStalled := meta.IsStatusConditionTrue(status.Conditions, v1alpha1.StalledCondition)
			return isStalled || status.RefreshCount > before[name] && kept == current
		})
		status, kept, current := c.of(name)
		if meta.IsStatusConditionTrue(status.Conditions, v1alpha1.StalledCondition) {
			stalled++
		} else if kept != current && status.RefreshCount == before[name] {
			c.t.Errorf("%s has lost its refresh token, and nothing says so", name)
		}
	}
	return stalled
}

// whom to kill in a round, and whether there is a courier at all.
type victims struct{ manager, courier, alone bool }

// aPeriod is longer than one of a chain: without a call for that long nobody is left to make
// one, or the machine is slow.
const aPeriod = 15 * time.Second

// killAtRandom kills again and again while calls are under way.
func (c *chains) killAtRandom(of victims, kills int) {
	c.t.Helper()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	c.t.Logf("seed %d", seed)
	pod := c.newPod()
	var courier *process
	if !of.alone {
		courier = pod.startCourier()
	}
	manager := pod.start()
	for range kills {
		ctx, cancel := context.WithTimeout(c.t.Context(), aPeriod)
		_ = c.provider.AwaitCalls(ctx, simulator.Match{}, c.calls()+1) // one is under way, where there is still anybody to make it
		cancel()
		<-time.After(time.Duration(random.Int64N(int64(time.Second))))
		if of.manager {
			manager.kill()
		}
		if of.courier {
			courier.kill()
			courier = pod.startCourier()
		}
		if of.manager {
			manager = pod.start()
		}
	}
}

func TestTheManagerIsKilledAndItsCourierLives(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "the manager killed with calls under way, its courier living")
	c := newChains(t, fromEnvironment("COURIER_CHAINS", 5))
	c.killAtRandom(victims{manager: true}, fromEnvironment("COURIER_KILLS", 4))
	stalled := c.awaitAll()
	if reuses := c.provider.Totals().Reuses; stalled != 0 || reuses != 0 {
		t.Errorf("%d of %d chains are stalled, and %d spent tokens were sent; want none: the courier has the replies", stalled, len(c.names), reuses)
	}
}

func TestTheCourierIsKilled(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		shows string
		of    victims
	}{
		"alone":                             {shows: "the courier killed with calls under way", of: victims{courier: true}},
		"with its manager":                  {shows: "the manager and its courier killed with calls under way", of: victims{manager: true, courier: true}},
		"a manager without one, to compare": {shows: "killed after sending, without a reuse window", of: victims{manager: true, alone: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults.Shows(t, each.shows)
			c := newChains(t, fromEnvironment("COURIER_CHAINS", 5))
			c.killAtRandom(each.of, min(fromEnvironment("COURIER_KILLS", 2), 20))
			stalled := c.awaitAll() // each that is lost says so
			if reuses := c.provider.Totals().Reuses; reuses != 0 {
				t.Errorf("%d spent tokens were sent", reuses)
			}
			t.Logf("%d of %d chains are stalled", stalled, len(c.names))
		})
	}
}

// startWithCourier starts a pod's courier and its manager, and waits for the first token.
func (s *scene) startWithCourier() (p *pod, courier, manager *process) {
	s.t.Helper()
	p = s.newPod()
	courier, manager = p.startCourier(), p.start()
	s.awaitFresh(1)
	return p, courier, manager
}

// TestAnExchangeOutlivesTheManager is one kill, at a moment that is sure.
func TestAnExchangeOutlivesTheManager(t *testing.T) {
	t.Parallel()
	s := newScene(t, simulator.Hour)
	pod, courier, process := s.startWithCourier()
	release := s.holdReply()
	s.askForRefresh()
	s.awaitCalls(2)
	process.kill()
	next := pod.start()
	s.await("the next manager asks", func() bool { return strings.Contains(courier.said(), `"UnderWay"`) })
	release()
	s.awaitFresh(2)
	s.check(tally{calls: 2})
	next.stop()
	courier.stop()
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(pod.socket), "*.sealed")); len(left) > 0 {
		t.Errorf("%v stay with the courier although they are saved", left)
	}
}

// TestACourierThatIsFrozen hangs: its socket takes connections, and nobody answers.
func TestACourierThatIsFrozen(t *testing.T) {
	t.Parallel()
	s := newScene(t, simulator.Hour)
	_, courier, _ := s.startWithCourier()
	courier.freeze()
	s.askForRefresh()
	s.await("the status says that nothing is sent", func() bool {
		refreshed := meta.FindStatusCondition(s.credential().Status.Conditions, v1alpha1.RefreshedCondition)
		return refreshed != nil && refreshed.Reason == v1alpha1.ProviderUnavailableReason && strings.Contains(refreshed.Message, "courier")
	})
	courier.thaw()
	s.awaitFresh(2)
	s.check(tally{calls: 2})
}

// TestACourierGoesLast ends both at once, as the kubelet does where it knows no sidecars.
func TestACourierGoesLast(t *testing.T) {
	t.Parallel()
	s := newScene(t, simulator.Hour)
	_, courier, process := s.startWithCourier()
	release := s.holdReply()
	s.askForRefresh()
	s.awaitCalls(2)
	courier.terminate()
	process.terminate()
	s.await("the courier waits", func() bool { return strings.Contains(courier.said(), "the courier ends once") })
	release()
	process.awaitEnd()
	courier.end()
	if s.state("refresh_token") != s.grant().Current || s.state("attempt") != "" {
		t.Errorf("the reply of the last exchange is not saved\n%s", s.describe())
	}
}

// askForRefresh asks for one refresh, as a person does.
func (s *scene) askForRefresh() {
	s.t.Helper()
	s.patch(&v1alpha1.TokenCredential{}, name, `{"metadata":{"annotations":{"tokenkeeper.io/refreshAt":"now"}}}`)
}
