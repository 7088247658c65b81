// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// unsavable is a scene in which the provider answers, and the API server then lets
// nothing be saved any more.
func unsavable(t *testing.T, refusal error, answers ...func() (*egress.Reply, error)) *scene {
	t.Helper()
	s := newScene(t, singleUse)
	s.Saver.States.Backoff = &wait.Backoff{Duration: time.Second}
	s.provider.answer(answers...)
	s.provider.during = func() { s.failing("update", -1, refusal) }
	return s
}

func (s *scene) key() client.ObjectKey { return client.ObjectKeyFromObject(s.credential) }

// TestACommitThatIsRefusedGoesOnOutsideTheWorker has the commit refused until it is not.
func TestACommitThatIsRefusedGoesOnOutsideTheWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := unsavable(t, forbidden(), rotates(second))
		began := time.Now()
		result, err := s.renew(t.Context())
		if reasonOf(err) != v1alpha1.PersistBlockedReason || !result.Called || time.Since(began) > 5*time.Second {
			t.Fatalf("it ends with %v after %s, called: %t", err, time.Since(began), result.Called)
		}
		message := problem.Of(err).Message
		holdsNoSecret(t, message)
		if !strings.Contains(message, `"shop-token-state"`) || !strings.Contains(message, "memory") || strings.Contains(message, "context") {
			t.Errorf("it says %q: it is to name the Secret and say where the token is, in a person's words", message)
		}
		time.Sleep(time.Minute)
		if _, err := s.renew(t.Context()); reasonOf(err) != v1alpha1.PersistBlockedReason || len(s.provider.sent) != 1 {
			t.Errorf("meanwhile it ends with %v and sends %v", err, s.provider.sent)
		}
		if kept := s.spooled(); len(kept) != 1 || s.metrics.unsaved != 1 || !s.Pending(s.key(), true) {
			t.Errorf("meanwhile the spool keeps %v, and %d are counted as unsaved, pending: %t", kept, s.metrics.unsaved, s.Pending(s.key(), true))
		}
		s.restored()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := tokens(s.stored()); got != "second, spent: seed" || s.wokenTimes() != 1 {
			t.Errorf("once it is allowed the state is %q, and it is woken %d times", got, s.wokenTimes())
		}
		if kept := s.spooled(); len(kept) > 0 || s.metrics.unsaved != 0 || s.Pending(s.key(), true) {
			t.Errorf("then the spool keeps %v, and %d are counted as unsaved, pending: %t", kept, s.metrics.unsaved, s.Pending(s.key(), true))
		}
		s.isBalanced()
	})
}

// TestAWorkerStaysWithItsCommitWhileTheProcessIsEnding ends the process during the call,
// and lets the commit be saved a while later.
func TestAWorkerStaysWithItsCommitWhileTheProcessIsEnding(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := unsavable(t, forbidden(), rotates(second))
		ctx, end := context.WithCancel(t.Context())
		s.provider.during = func() {
			s.failing("update", -1, forbidden())
			end()
			time.AfterFunc(10*time.Second, s.restored)
		}
		if result, err := s.renew(ctx); err != nil || result.Token.IsZero() {
			t.Errorf("it ends with %v: it has nothing else to do, and a token to publish", err)
		}
		if got := tokens(s.stored()); got != "second, spent: seed" {
			t.Errorf("the state is %q", got)
		}
		s.isBalanced()
	})
}

// TestACommitIsAbandonedOnlyWhereNothingIsLost deletes the credential while its commit
// waits.
func TestACommitIsAbandonedOnlyWhereNothingIsLost(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a credential deleted while its rotated token cannot be saved")
	for _, each := range []struct {
		name, reason string
		refusal      error
		madeAgain    bool
		goesOn       bool
	}{
		{"refused", "nobody will need it, and it would keep the process from ending", forbidden(), false, false},
		{"unreachable", "it is not known that the state is refused", errNoAnswer, false, true},
		{"refused, and the credential is made again", "it goes on from the state that was kept", forbidden(), true, true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := unsavable(t, each.refusal, rotates(second))
				if _, err := s.renew(t.Context()); reasonOf(err) != v1alpha1.PersistBlockedReason {
					t.Fatal(err)
				}
				s.Forget(s.key())
				if each.madeAgain {
					if _, err := s.Recover(t.Context(), s.credential); reasonOf(err) != v1alpha1.PersistBlockedReason {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if goesOn := s.wokenTimes() == 0; goesOn != each.goesOn {
					t.Errorf("after a minute it goes on: %t, want %t\nreason: %s", goesOn, each.goesOn, each.reason)
				}
				s.restored()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if saved := tokens(s.stored()) == "second, spent: seed"; saved != each.goesOn || s.metrics.unsaved != 0 {
					t.Errorf("in the end the state is %q, and %d are counted as unsaved\nreason: %s", tokens(s.stored()), s.metrics.unsaved, each.reason)
				}
				s.isToldLost(!each.goesOn)
				s.isBalanced()
			})
		})
	}
}

// isToldLost fails the test unless it was told, or was not, that a token was given up,
// and nothing of it is kept.
func (s *scene) isToldLost(want bool) {
	s.Helper()
	told := len(s.lost) == 1 && s.lost[0].Reason == v1alpha1.RotatedTokenLostReason &&
		slices.Equal(s.metrics.results, []string{v1alpha1.RotatedTokenLostReason})
	if told != want || !want && len(s.lost)+len(s.metrics.results) > 0 {
		s.Errorf("it is told %v, and counted %v, want that: %t", s.lost, s.metrics.results, want)
	}
	for _, p := range s.lost {
		holdsNoSecret(s.T, p.Message)
		if strings.Contains(p.Message, "context") {
			s.Errorf("it says %q, want a person's words", p.Message)
		}
	}
	if kept := s.spooled(); len(kept) > 0 {
		s.Errorf("the spool keeps %v", kept)
	}
}

// TestARefusalThatCannotBeSavedIsToldAsWell lets the withdrawal of a claim be refused.
func TestARefusalThatCannotBeSavedIsToldAsWell(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"invalid_grant", "slow_down"} {
		synctest.Test(t, func(t *testing.T) {
			s := unsavable(t, forbidden(), refuses(answer), rotates(second))
			s.mayLogIn()
			_, err := s.renew(t.Context())
			want := map[string]string{"invalid_grant": v1alpha1.ReauthorizationRequiredReason, "slow_down": v1alpha1.RateLimitedReason}[answer]
			if reasonOf(err) != want || !strings.Contains(problem.Of(err).Message, `"shop-token-state"`) {
				t.Errorf("it ends with %v, want %s: the token would be sent again, and with what is not saved beside it", err, want)
			}
			if len(s.provider.sent) != 1 {
				t.Errorf("it sends %v: what a login brings could not be saved", s.provider.sent)
			}
			s.restored()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if got := tokens(s.stored()); got != "seed, spent: " || s.wokenTimes() != 1 {
				t.Errorf("in the end the state is %q, woken %d times", got, s.wokenTimes())
			}
			s.isBalanced()
		})
	}
}

// TestAReplyThatHasNoPlaceAnyMoreIsNotKept has another process take over the claim of an
// exchange that the provider refuses: nobody will ever ask what came of it.
func TestAReplyThatHasNoPlaceAnyMoreIsNotKept(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	handed := &handedOver{Courier: s.courierOf("")}
	s.carriedBy(handed, handed)
	s.provider.answer(refuses("invalid_request"))
	s.provider.during = func() {
		s.keeps(func(state rotation.State) rotation.State {
			return state.Claim(rotation.Attempt{ID: "theirs", Holder: "elsewhere", Started: noon})
		})
	}
	if _, err := s.renew(t.Context()); reasonOf(err) != "Pause" {
		t.Errorf("it ends with %v", err)
	}
	if len(handed.attempts) != 1 {
		t.Errorf("the courier is told of %v, want the attempt: else it keeps the reply for days", handed.attempts)
	}
}

// handedOver is a courier that notes what it need not keep any more.
type handedOver struct {
	courier.Courier
	attempts []string
}

// Saved implements courier.Courier.
func (h *handedOver) Saved(attempt string) {
	h.attempts = append(h.attempts, attempt)
	h.Courier.Saved(attempt)
}

// TestACommitMergesWithTheChangesOfOthers changes the state Secret during the exchange.
func TestACommitMergesWithTheChangesOfOthers(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		change       func(s *scene, stored *corev1.Secret)
		want, state  string
	}{
		{"a foreign key", "it stays", func(_ *scene, stored *corev1.Secret) { stored.Data["note"] = []byte("theirs") }, "", "second, spent: seed"},
		{"another process has taken the claim over", "what the token brought has its place all the same", func(s *scene, _ *corev1.Secret) {
			s.keeps(func(state rotation.State) rotation.State {
				return state.Claim(rotation.Attempt{ID: "theirs", Holder: "elsewhere", Started: noon})
			})
		}, "", "second claimed, spent: seed"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.provider.answer(rotates(second))
			s.provider.during = func() {
				stored := s.stateSecret()
				each.change(s, stored)
				_ = s.cluster.Update(t.Context(), stored) // refused where the change has written already
			}
			if _, err := s.renew(t.Context()); reasonOf(err) != each.want {
				t.Errorf("it ends with %v, want %q\nreason: %s", err, each.want, each.reason)
			}
			if got := tokens(s.stored()); got != each.state {
				t.Errorf("the state is %q, want %q\nreason: %s", got, each.state, each.reason)
			}
			s.isBalanced()
		})
	}
}

func (s *scene) stateSecret() *corev1.Secret {
	s.Helper()
	stored := &corev1.Secret{}
	if err := s.cluster.Get(s.Context(), client.ObjectKey{Namespace: "team", Name: s.credential.StateSecretName()}, stored); err != nil {
		s.Fatal(err)
	}
	return stored
}

// TestWhatAnEarlierProcessLeftIsTakenUp starts the next process of the pod.
func TestWhatAnEarlierProcessLeftIsTakenUp(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		spooled      bool
		holder       string
		want         recovery.Verdict
		state        string
	}{
		{"it had received the reply", "the spool carries it over the restart", true, "one", recovery.Nothing, "second, spent: seed"},
		{"it had received nothing", "it may have been sent, and its holder is gone", false, "one", recovery.Unknown, "seed claimed, spent: "},
		{"the holder is another pod's", "it may be at it", false, "", recovery.Wait, "seed claimed, spent: "},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			attempt := rotation.Attempt{ID: "left", Holder: "another-pod", Started: noon}
			if each.holder != "" {
				attempt.Holder = s.Saver.Spool.Holder(each.holder)
			}
			s.keeps(func(state rotation.State) rotation.State { return adopts(state).Claim(attempt) })
			if each.spooled {
				if err := s.Saver.Spool.Put("team", attempt.ID, secret.New(seed), token.Grant{RefreshToken: secret.New(second)}); err != nil {
					t.Fatal(err)
				}
			}
			s.start(singleUse, "two")
			if got := s.recovery(); got != each.want {
				t.Errorf("it finds %s, want %s\nreason: %s", got, each.want, each.reason)
			}
			if got := tokens(s.stored()); got != each.state {
				t.Errorf("the state is %q, want %q\nreason: %s", got, each.state, each.reason)
			}
			if kept := s.spooled(); len(kept) > 0 {
				t.Errorf("the spool keeps %v", kept)
			}
			s.clock.SetTime(noon.Add(recovery.HolderTimeout))
			if got := s.recovery(); got == recovery.Wait {
				t.Error("a holder that makes no progress counts as gone in the end")
			}
		})
	}
}

// TestAStateThatWasPutBackIsNotSent restores an older state under a living process.
func TestAStateThatWasPutBackIsNotSent(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.provider.answer(rotates(second), rotates(third))
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	older := s.stateSecret()
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	older.ResourceVersion = ""
	if err := s.cluster.Update(t.Context(), older); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		record, err := s.Recover(t.Context(), s.credential)
		if err != nil || !record.Copied {
			t.Errorf("the state counts as a copy: %t (%v): its token was sent since", record.Copied, err)
		}
	}
	message := advice.Restored(s.credential, true).Message
	if !strings.Contains(message, `"shop-token-state"`) || !strings.Contains(message, `"seed"`) {
		t.Errorf("%q is to name the Secrets", message)
	}
}

// TestAStateThatCannotBeUsedSaysWhy reads what is no state, or cannot be read.
func TestAStateThatCannotBeUsedSaysWhy(t *testing.T) {
	t.Parallel()
	foreign := secretOf("shop-token-state", map[string]string{"refresh_token": second})
	damaged := foreign.DeepCopy()
	damaged.Type, damaged.Annotations = v1alpha1.StateSecretType, map[string]string{v1alpha1.CredentialAnnotation: "shop"}
	damaged.Data["sequence"] = []byte("many")
	for _, each := range []struct {
		name, reason string
		stored       *corev1.Secret
		refusal      error
		want         string
		says         []string
		transient    bool
	}{
		{"a Secret of somebody else", "it is not overwritten", foreign, nil, v1alpha1.TargetConflictReason, []string{`"shop-token-state"`, "delete or rename"}, false},
		{"changed by hand", "the key is named, and not its value", damaged, nil, v1alpha1.PersistBlockedReason, []string{`"shop-token-state"`, `"sequence"`, "restore it"}, false},
		{"forbidden", "a person must allow it", nil, forbidden(), v1alpha1.PersistBlockedReason, []string{"Forbidden", `allow the operator to read the Secret "shop-token-state"`}, false},
		{"unreachable", "nobody must", nil, errNoAnswer, v1alpha1.PersistBlockedReason, []string{"cannot be reached", "tried again"}, true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			if each.stored != nil {
				if err := s.cluster.Create(t.Context(), each.stored); err != nil {
					t.Fatal(err)
				}
			}
			if each.refusal != nil { // the status knows of a state
				s.credential.Status.StateSecret = &v1alpha1.StateSecretStatus{Name: s.credential.StateSecretName()}
				s.failing("get", -1, each.refusal)
			}
			_, err := s.renew(t.Context())
			p := problem.Of(err)
			if reasonOf(err) != each.want || p.Transient != each.transient {
				t.Fatalf("it ends with %v, want %s, transient: %t\nreason: %s", err, each.want, each.transient, each.reason)
			}
			holdsNoSecret(t, p.Message)
			for _, want := range each.says {
				if !strings.Contains(p.Message, want) {
					t.Errorf("%q does not say %q\nreason: %s", p.Message, want, each.reason)
				}
			}
		})
	}
}

// TestAStateThatTheProcessKnowsIsReadThoughNothingShowsIt hides the state from the cache, as
// one does that lags, while the status is yet to be written.
func TestAStateThatTheProcessKnowsIsReadThoughNothingShowsIt(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.provider.answer(rotates(second))
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Inputs.Secrets.Metadata = interceptor.NewClient(s.cluster, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if key.Name == s.credential.StateSecretName() {
				return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
			}
			return c.Get(ctx, key, object, options...)
		},
	})
	record, err := s.Recover(t.Context(), s.credential)
	if err != nil || !record.Exists() {
		t.Errorf("it exists: %t (%v); this process has made it, and would else take its token for lost", record.Exists(), err)
	}
}

// TestAStateIsNotReadWhereNothingIsKept counts the reads of a provider that keeps nothing.
func TestAStateIsNotReadWhereNothingIsKept(t *testing.T) {
	t.Parallel()
	s := newScene(t, reusable)
	if record, err := s.Recover(t.Context(), s.credential); err != nil || record.Exists() || len(s.asked) > 0 {
		t.Errorf("it asks the API server for %v (%v): neither the status nor the cache shows a state", s.asked, err)
	}
	s.credential.Status.StateSecret = &v1alpha1.StateSecretStatus{}
	if _, err := s.Recover(t.Context(), s.credential); err != nil || s.requests("get") != 1 {
		t.Errorf("it asks the API server for %v (%v): the status knows of a state", s.asked, err)
	}
}

// TestMessagesSayWhatToDo of what a person must act on.
func TestMessagesSayWhatToDo(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	noSeed := s.credential.DeepCopy()
	noSeed.Spec.RefreshTokenSecretRef = nil
	once, twice := &rotation.Attempt{Started: noon}, &rotation.Attempt{Started: noon, Resend: true}
	for _, each := range []struct {
		name    string
		message string
		says    []string
	}{
		{"an unknown outcome", advice.Unknown(s.credential, once, "the exchange broke off").Message,
			[]string{"2026-11-26T12:00:00Z", "the exchange broke off", `"seed", key "refresh_token"`, "RetryOnce"}},
		{"an unknown outcome of the second time", advice.Unknown(s.credential, twice, "").Message, []string{"once more already"}},
		{"a lost token, without a seed", advice.Lost(noSeed).Message, []string{"name it in spec.refreshTokenSecretRef"}},
	} {
		for _, want := range each.says {
			if !strings.Contains(each.message, want) {
				t.Errorf("%s: %q does not say %q", each.name, each.message, want)
			}
		}
	}
	if again := advice.Unknown(s.credential, twice, "").Message; slices.Contains(strings.Fields(again), "RetryOnce") {
		t.Errorf("%q offers what has been done", again)
	}
}

// TestWhatAnEarlierProcessLeftIsLookedForOnce stops a process before it could save.
func TestWhatAnEarlierProcessLeftIsLookedForOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	if err := s.Saver.Spool.Put("team", "an attempt", secret.New(seed), token.Grant{}); err != nil {
		t.Fatal(err)
	}
	if s.MayBeLeft(s.key()) {
		t.Error("what this process itself has put there counts as left")
	}
	s.start(singleUse, "two")
	if !s.MayBeLeft(s.key()) {
		t.Error("the next process does not look for it")
	}
	s.keeps(func(rotation.State) rotation.State { return rotation.State{}.Adopt(secret.New(seed)) })
	if _, err := s.Recover(t.Context(), s.credential); err != nil || s.MayBeLeft(s.key()) {
		t.Errorf("it is looked for again (%v), although the state was read", err)
	}
}
