// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// patience bounds a wait for a condition; all is well long before. The longest
// wait is for a holder that may live, 45 seconds.
const patience = 2 * time.Minute

// name of the one credential of each scene.
const name = "shop"

// scene is a namespace with one Xiaomi credential, whose refresh tokens work once,
// and a provider; the manager comes and goes.
type scene struct {
	client.Client
	t         *testing.T
	namespace string
	provider  *simulator.Simulator
	server    *simulator.Server
	// family of refresh tokens that the seed is of.
	family string
}

// newScene makes a scene whose tokens live for the lifetime given.
func newScene(t *testing.T, lifetime simulator.Duration, change ...func(*scene, *v1alpha1.TokenCredential)) *scene {
	t.Helper()
	return newSceneIn(t, apiserver.NewClient(t), lifetime, change...)
}

// newSceneIn makes it in the cluster of a client.
func newSceneIn(t *testing.T, cluster client.Client, lifetime simulator.Duration, change ...func(*scene, *v1alpha1.TokenCredential)) *scene {
	t.Helper()
	s := &scene{Client: cluster, t: t, provider: simulator.New(simulator.DemoOptions(lifetime)), family: simulator.DemoXiaomiGrant}
	_, err := s.provider.Add(simulator.Demo())
	s.must(err)
	s.server, err = s.provider.Start("")
	s.must(err)
	t.Cleanup(func() { _ = s.server.Close() })
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "crash-"}}
	s.must(s.Create(t.Context(), namespace))
	s.namespace = namespace.Name
	s.secret("app", map[string]string{"app_key": simulator.DemoXiaomiClientID, "app_secret": simulator.DemoXiaomiClientSecret})
	s.secret("seed", map[string]string{"refresh_token": simulator.DemoXiaomiRefreshToken})
	credential := &v1alpha1.TokenCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Spec: v1alpha1.TokenCredentialSpec{
			ProviderRef:           v1alpha1.ProviderReference{Name: "xiaomi"},
			Parameters:            map[string]string{"redirectURI": simulator.DemoXiaomiRedirectURI},
			AppSecretRef:          &v1alpha1.AppSecretReference{Name: "app"},
			RefreshTokenSecretRef: &v1alpha1.RefreshTokenSecretReference{Name: "seed"},
		},
	}
	for _, each := range change {
		each(s, credential)
	}
	s.must(s.Create(t.Context(), credential))
	return s
}

// newSceneSoonDue makes a scene whose first token is due seconds after it came:
// what is to happen befalls the second refresh, whose token lives for an hour.
func newSceneSoonDue(t *testing.T, change ...func(*scene, *v1alpha1.TokenCredential)) *scene {
	t.Helper()
	s := newScene(t, simulator.Hour, change...)
	s.provider.QueueFault(simulator.Match{}, 1, simulator.Fault{Rewrite: func(reply simulator.Reply) simulator.Reply {
		reply.Body = regexp.MustCompile(`"expires_in":\d+`).ReplaceAllString(reply.Body, `"expires_in":3`)
		return reply
	}})
	return s
}

// retryOnce is the policy that allows one resend.
func retryOnce(_ *scene, credential *v1alpha1.TokenCredential) {
	credential.Spec.OnUnknownOutcome = v1alpha1.RetryOnce
}

func (s *scene) secret(name string, data map[string]string) {
	s.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, StringData: data}
	s.must(s.Create(s.t.Context(), secret))
}

// patch changes an object of the namespace as kubectl patch does.
func (s *scene) patch(object client.Object, name, patch string) {
	s.t.Helper()
	object.SetNamespace(s.namespace)
	object.SetName(name)
	s.must(s.Patch(s.t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(patch))))
}

// holdReply lets the provider act on the next call and keeps its reply back until
// release is called.
func (s *scene) holdReply() (release func()) {
	until := make(chan struct{})
	s.provider.QueueFault(simulator.Match{}, 1, simulator.Fault{AfterActing: true, Until: until})
	return func() { close(until) }
}

// await waits until something is so.
func (s *scene) await(what string, is func() bool) {
	s.t.Helper()
	err := wait.PollUntilContextTimeout(s.t.Context(), 50*time.Millisecond, patience, true, func(context.Context) (bool, error) { return is(), nil })
	if err != nil {
		s.t.Fatalf("it never came to be that %s\n%s", what, s.describe())
	}
}

// awaitCalls waits until so many calls have reached the provider.
func (s *scene) awaitCalls(n int64) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := s.provider.AwaitCalls(ctx, simulator.Match{}, n); err != nil {
		s.t.Fatalf("the provider got %d calls, want %d: %v\n%s", s.calls(), n, err, s.describe())
	}
}

// calls that have reached the provider.
func (s *scene) calls() int64 { return s.provider.Calls(simulator.Match{}) }

func (s *scene) credential() *v1alpha1.TokenCredential {
	credential := &v1alpha1.TokenCredential{}
	s.must(s.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, credential))
	return credential
}

// data of a Secret; nil where there is none.
func (s *scene) data(secret string) map[string][]byte {
	found := &corev1.Secret{}
	err := s.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: secret}, found)
	s.must(client.IgnoreNotFound(err))
	return found.Data
}

func (s *scene) state(key string) string {
	return string(s.data(name + v1alpha1.StateSecretSuffix)[key])
}

// grant is what the provider knows of the family in use.
func (s *scene) grant() simulator.GrantState {
	grant, _ := s.provider.Grant(s.family)
	return grant
}

// stalled tells whether the credential is stalled for a reason.
func (s *scene) stalled(reason string) bool {
	condition := meta.FindStatusCondition(s.credential().Status.Conditions, v1alpha1.StalledCondition)
	return condition != nil && condition.Reason == reason
}

// isFresh tells whether all is well after so many tokens: the newest are where
// they belong, and the status says so.
func (s *scene) isFresh(count int64) bool {
	grant := s.grant()
	status := s.credential().Status
	return status.RefreshCount == count &&
		meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ReadyCondition) &&
		meta.IsStatusConditionTrue(status.Conditions, v1alpha1.RefreshedCondition) &&
		!meta.IsStatusConditionTrue(status.Conditions, v1alpha1.StalledCondition) &&
		string(s.data(name)["access_token"]) == grant.AccessToken &&
		s.state("refresh_token") == grant.Current && s.state("attempt") == ""
}

// awaitFresh waits until all is well after so many tokens.
func (s *scene) awaitFresh(count int64) {
	s.t.Helper()
	s.await(fmt.Sprintf("all is well after %d tokens", count), func() bool { return s.isFresh(count) })
}

// awaitStalled waits until a person is told to act, for a reason.
func (s *scene) awaitStalled(reason string) {
	s.t.Helper()
	s.await("the credential stalls for "+reason, func() bool { return s.stalled(reason) })
}

// tally is what the provider got in all.
type tally struct {
	calls        int64
	reuses       int // of a spent token, outside a window
	windowReuses int // inside
}

// check checks the promise: the provider's current refresh token is kept, or a
// condition says that it is not; and how often tokens were sent.
func (s *scene) check(want tally) {
	s.t.Helper()
	said := meta.IsStatusConditionTrue(s.credential().Status.Conditions, v1alpha1.StalledCondition)
	if s.state("refresh_token") != s.grant().Current && !said {
		s.t.Errorf("the current refresh token is not in the state, and no condition says so\n%s", s.describe())
	}
	s.checkTally(want)
}

func (s *scene) checkTally(want tally) {
	s.t.Helper()
	totals := s.provider.Totals()
	if got := (tally{s.calls(), totals.Reuses, totals.WindowReuses}); got != want {
		s.t.Errorf("the provider got %+v, want %+v\n%s", got, want, s.describe())
	}
}

// authorizeAgain gives the credential a seed of another family, which is what a
// person is told to do.
func (s *scene) authorizeAgain() {
	s.t.Helper()
	s.family = fmt.Sprintf("family-%d", s.provider.Totals().Grants)
	token := "first-of-" + s.family
	_, err := s.provider.Add(simulator.Seed{Grants: []simulator.Grant{
		{ID: s.family, Vendor: simulator.Xiaomi, App: simulator.DemoXiaomiClientID, RefreshToken: token},
	}})
	s.must(err)
	s.patch(&corev1.Secret{}, "seed", fmt.Sprintf(`{"stringData":{"refresh_token":%q}}`, token))
}

// cure authorizes again, and waits until all is well.
func (s *scene) cure() {
	s.t.Helper()
	before := s.credential().Status.RefreshCount
	s.authorizeAgain()
	s.awaitFresh(before + 1)
}

func (s *scene) describe() string {
	status := s.credential().Status
	lines := []string{fmt.Sprintf("refreshes %d, the provider saw %d, reuses %d", status.RefreshCount, s.grant().Refreshes, s.grant().Reuses)}
	for _, c := range status.Conditions {
		lines = append(lines, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return strings.Join(lines, "\n")
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
