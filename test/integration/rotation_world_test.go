// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// fault is something that goes wrong, and what is promised all the same.
type fault struct {
	name    string
	promise string
	// shows are the rows of the list of faults that the case shows.
	shows []string
	play  func(*world)
}

// survive plays each fault in a world of its own.
func survive(t *testing.T, cases []fault) {
	t.Helper()
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			for _, row := range each.shows {
				faults.Shows(t, row)
			}
			w := newWorld(t, simulator.Hour)
			w.verbosity = 1
			defer func() {
				if t.Failed() {
					t.Logf("promised: %s", each.promise)
				}
			}()
			each.play(w)
		})
	}
}

// shiftedClock is the direct one, some time ahead. Safe for concurrent use.
type shiftedClock struct{ ahead atomic.Int64 }

// Now is the shifted time.
func (c *shiftedClock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Since is the shifted time that has passed since a moment.
func (c *shiftedClock) Since(moment time.Time) time.Duration { return c.Now().Sub(moment) }

// shift lets time pass at once.
func (c *shiftedClock) shift(by time.Duration) { c.ahead.Add(int64(by)) }

// stateWrite is a write of a state Secret that has been stopped on its way.
type stateWrite struct {
	secret *corev1.Secret
	// through lets it go on to the API server.
	through func() error
}

// claims tells whether the write is a claim; else it commits or withdraws.
func (s stateWrite) claims() bool { return s.secret.Data["attempt"] != nil }

// stateWrites stops the writes of state Secrets, where it was asked to. Its zero
// value lets all pass.
type stateWrites struct {
	meet atomic.Pointer[func(stateWrite) error]
}

// intercept has each write of a state Secret answered by meet; nil: by the API
// server, as ever.
func (s *stateWrites) intercept(meet func(stateWrite) error) {
	if meet == nil {
		s.meet.Store(nil)
		return
	}
	s.meet.Store(&meet)
}

func (s *stateWrites) newClient(config *rest.Config, options client.Options) (client.Client, error) {
	direct, err := client.NewWithWatch(config, options)
	if err != nil {
		return nil, err
	}
	write := func(object client.Object, through func() error) error {
		secret, ok := object.(*corev1.Secret)
		if meet := s.meet.Load(); meet != nil && ok && secret.Type == v1alpha1.StateSecretType {
			return (*meet)(stateWrite{secret: secret, through: through})
		}
		return through()
	}
	return interceptor.NewClient(direct, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return write(object, func() error { return c.Create(ctx, object, options...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			return write(object, func() error { return c.Update(ctx, object, options...) })
		},
	}), nil
}

// xiaomi is the credential that the faults befall: its refresh tokens work once.
const xiaomi = "xiaomi"

// xiaomiState is its state Secret.
const xiaomiState = xiaomi + v1alpha1.StateSecretSuffix

// xiaomiCalls are the calls to its provider.
var xiaomiCalls = simulator.Match{Vendor: simulator.Xiaomi}

// fresh creates the credential, which then has its first token.
func (w *world) fresh(change ...func(*v1alpha1.TokenCredentialSpec)) {
	w.t.Helper()
	builtInNamed(w.t, xiaomi).create(w, change...)
	w.awaitRefreshes(xiaomi, 1)
	w.awaitFresh(xiaomi)
}

// grant is what the provider knows of the first seed's family.
func (w *world) grant() simulator.GrantState {
	state, _ := w.simulator.Grant(simulator.DemoXiaomiGrant)
	return state
}

// authorizeAgain gives the credential a seed of another family, as a person does.
func (w *world) authorizeAgain() {
	w.t.Helper()
	_, err := w.simulator.Add(simulator.Seed{Grants: []simulator.Grant{
		{ID: "other", Vendor: simulator.Xiaomi, App: simulator.DemoXiaomiClientID, RefreshToken: otherSeed},
	}})
	must(w.t, err)
	w.secret(xiaomi+"-seed", map[string]string{"refresh_token": otherSeed})
}

// curedByAnotherSeed authorizes again and checks that all is well then.
func (w *world) curedByAnotherSeed(reuses int) {
	w.t.Helper()
	before := w.look(xiaomi).Status.RefreshCount
	w.authorizeAgain()
	w.awaitRefreshes(xiaomi, before+1)
	w.awaitFresh(xiaomi)
	w.kept("other", reuses)
}

// stalls waits until a person must act, for a reason, and checks what is said.
func (w *world) stalls(reason string, says ...string) *v1alpha1.TokenCredential {
	w.t.Helper()
	c, stalled := w.awaitCondition(xiaomi, v1alpha1.StalledCondition, metav1.ConditionTrue, reason)
	for _, part := range says {
		if !strings.Contains(stalled.Message, part) {
			w.t.Errorf("the message does not say %q: %s", part, stalled.Message)
		}
	}
	return c
}

// lostReasons are those of conditions which say that the provider's current
// refresh token is not in the state.
var lostReasons = []string{
	v1alpha1.OutcomeUnknownReason, v1alpha1.RotatedTokenLostReason, v1alpha1.ReauthorizationRequiredReason,
	v1alpha1.RestoredFromBackupReason, v1alpha1.PersistBlockedReason,
}

// kept checks the invariant: the provider's current refresh token is in the
// state, or a condition says that it is not; and no spent token was sent outside
// a declared window, but for the reuses that the case allows.
func (w *world) kept(grant string, reuses int) {
	w.t.Helper()
	if !w.eventually(func() bool { return w.holdsOrSays(grant) }) { // an exchange may be under way
		state, _ := w.simulator.Grant(grant)
		w.t.Errorf("the state does not hold the provider's current refresh token (number %d), and no condition says so:\n%s",
			len(state.History), describe(w.look(xiaomi)))
	}
	if totals := w.simulator.Totals(); totals.Reuses != reuses || totals.UnknownTokens != 0 {
		w.t.Errorf("%d spent and %d unknown tokens were sent, want %d and 0", totals.Reuses, totals.UnknownTokens, reuses)
	}
}

// holdsOrSays tells whether the state holds the provider's current refresh token,
// or a condition says that it does not.
func (w *world) holdsOrSays(grant string) bool {
	w.t.Helper()
	state, _ := w.simulator.Grant(grant)
	if w.state(xiaomi, "refresh_token") == state.Current {
		return true
	}
	return slices.ContainsFunc(w.look(xiaomi).Status.Conditions, func(c metav1.Condition) bool {
		return slices.Contains(lostReasons, c.Reason) || strings.Contains(c.Message, "is still unknown")
	})
}

// keptAndFresh checks the invariant where the first family still serves, and that
// the target holds a token which the provider takes.
func (w *world) keptAndFresh() {
	w.t.Helper()
	w.awaitFresh(xiaomi)
	w.kept(simulator.DemoXiaomiGrant, 0)
	if held := w.state(xiaomi, "refresh_token"); held != w.grant().Current {
		w.t.Error("the state does not hold the provider's current refresh token")
	}
	if token := string(w.read(xiaomi + "-token")["access_token"]); !w.simulator.AccessTokenValid(token) {
		w.t.Error("the target holds no valid token")
	}
}

// gauge reads a metric without labels of the operator that was started last.
func (w *world) gauge(name string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	must(w.t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	w.t.Fatalf("there is no metric %s", name)
	return 0
}

// fallDue lets time pass until the token is due for renewal, not yet expired, and
// has the operator look at the credential.
func (w *world) fallDue() {
	w.t.Helper()
	w.clock.shift(55 * time.Minute)
	w.wake()
}

// wake has the operator look at the credential, which by itself calls nobody. An
// annotation of no meaning does so and leaves the spec alone: whichever look finds
// the token due, it is at the same generation.
func (w *world) wake() {
	w.t.Helper()
	w.nudge(xiaomi)
}

// isStalled tells whether a person must act on the credential.
func (w *world) isStalled() bool {
	return meta.IsStatusConditionTrue(w.look(xiaomi).Status.Conditions, v1alpha1.StalledCondition)
}
