// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/pace/budget"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/call"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/saving"
	"github.com/tokenkeeper/tokenkeeper/internal/report"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/twins"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// noon is when scenes begin.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// key of the digests of all tests here.
var key = digest.Random()

const shopProvider = `
inputs: {app: Required, refreshToken: Required}
refresh:
  request: {method: POST, url: "https://shop.example/token", form: {secret: "${app.secret}", refresh_token: "${refreshToken}"}}
  response:
    accessToken: body.access_token
    refreshToken: body.?refresh_token
    expiresIn: body.?expires_in
    failures:
    - {when: body.error == "invalid_grant", reason: ReauthorizationRequired}
    - {when: body.error == "unavailable", reason: ProviderUnavailable}
rotation: `

const (
	singleUse = shopProvider + "{mode: SingleUse}"
	reusable  = shopProvider + "{mode: Reusable}"
	auto      = shopProvider + "{}" // of a provider that leaves the refresh token as it is
)

// scene is a credential, a fake API server whose cache never lags, a provider that
// grants one token after the other, and a reconciler.
type scene struct {
	*testing.T
	*Reconciler
	cluster client.WithWatch // past the counts and the failures
	clock   *clocktesting.FakePassiveClock

	lock   sync.Mutex
	asked  map[string]int                // "get shop", of Secrets
	refuse func(verb, name string) error // of Secrets
	calls  int
	answer string // in place of a token
	// answerAt are the answers to some calls, by their number.
	answerAt map[int]string
	events   []string
}

func newScene(t *testing.T, described string) *scene {
	t.Helper()
	s := &scene{T: t, clock: clocktesting.NewFakePassiveClock(noon), asked: map[string]int{}}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	s.cluster = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.TokenCredential{}).WithReturnManagedFields().
		WithObjects(secretOf("app", map[string]string{"app_key": "key", "app_secret": "secret"})).Build()
	s.add("shop")
	var spec v1alpha1.ClusterTokenProviderSpec
	if err := yaml.Unmarshal([]byte(described), &spec); err != nil {
		t.Fatal(err)
	}
	catalog, err := inputs.NewCatalog(nil, map[string]v1alpha1.ClusterTokenProviderSpec{"shop": spec}, []string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	api, hosts := s.intercepted(), pace.NewHosts(4, func(types.NamespacedName) {})
	gatherer := &inputs.Gatherer{Catalog: catalog, Secrets: &inputs.Secrets{Metadata: s.cluster, Live: api}}
	counters, inFlight := metrics.New(prometheus.NewRegistry()), &sync.WaitGroup{}
	s.Reconciler = NewReconciler(Parts{
		Client: api, Live: api, Inputs: gatherer, Targets: &target.Publisher{Client: api, Key: key},
		Reports: &report.Lane{Client: s.cluster, Live: s.cluster, Events: s}, Hosts: hosts, Metrics: counters, Clock: s.clock,
		Refresher: &refresh.Refresher{
			Inputs: gatherer, Twins: &twins.Finder{Client: api, Marks: marks.Marks{Cluster: "cluster", Key: key}},
			Calls: &call.Caller{Egress: s, Rates: &budget.Rates{}, Hosts: hosts, Metrics: counters, Clock: s.clock, Key: key},
			Saver: &saving.Saver{
				States:  &store.Store{Client: api, Cluster: "cluster", Key: key, Backoff: &wait.Backoff{Duration: time.Nanosecond}},
				Metrics: counters, InFlight: inFlight,
			},
			Clock: s.clock, Holder: "one", InFlight: inFlight,
		},
	})
	return s
}

// add makes a credential, and the Secret with its refresh token.
func (s *scene) add(name string) {
	s.Helper()
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID("uid-" + name), Generation: 1}}
	credential.Spec.ProviderRef.Name = "shop"
	credential.Spec.Renewal.Percentage = 80
	credential.Spec.AppSecretRef = &v1alpha1.AppSecretReference{Name: "app"}
	credential.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{Name: v1alpha1.SecretName(name + "-seed")}
	credential.Spec.Target.Template = &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Labels: map[string]string{"app": "shop"}}}
	for _, object := range []client.Object{credential, secretOf(name+"-seed", map[string]string{"refresh_token": "seed-of-" + name})} {
		if err := s.cluster.Create(s.Context(), object); err != nil {
			s.Fatal(err)
		}
	}
}

func secretOf(name string, data map[string]string) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Data: map[string][]byte{}}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	return secret
}

func (s *scene) intercepted() client.WithWatch {
	do := func(verb string, object any, name string, act func() error) error {
		if _, isCredential := object.(*v1alpha1.TokenCredential); isCredential {
			return act() // from the cache
		}
		s.lock.Lock()
		s.asked[verb+" "+name]++
		refuse := s.refuse
		s.lock.Unlock()
		if refuse != nil {
			if err := refuse(verb, name); err != nil {
				return err
			}
		}
		if verb == "dryrun" {
			return nil
		}
		return act()
	}
	return interceptor.NewClient(s.cluster, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			return do("get", object, key.Name, func() error { return c.Get(ctx, key, object, options...) })
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			return do("list", nil, "", func() error { return c.List(ctx, list, options...) })
		},
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			verb := "create"
			if (&client.CreateOptions{}).ApplyOptions(options).DryRun != nil {
				verb = "dryrun"
			}
			object.SetUID(types.UID("uid-" + object.GetName()))
			return do(verb, object, object.GetName(), func() error { return c.Create(ctx, object, options...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			verb := "update"
			if (&client.UpdateOptions{}).ApplyOptions(options).DryRun != nil {
				verb = "dryrun"
			}
			return do(verb, object, object.GetName(), func() error { return c.Update(ctx, object, options...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			return do("patch", object, object.GetName(), func() error { return c.Patch(ctx, object, patch, options...) })
		},
	})
}

// Check implements egress.Caller.
func (s *scene) Check(*egress.Request) error { return nil }

// Do implements egress.Caller: each call grants another token.
func (s *scene) Do(*egress.Request, bool) (*egress.Reply, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.calls++
	answer := s.answer
	if at, ok := s.answerAt[s.calls]; ok {
		answer = at
	}
	switch answer {
	case "":
		granted := fmt.Sprintf(`{"access_token":"access-%d","refresh_token":"refresh-%d","expires_in":3600}`, s.calls, s.calls)
		if s.leavesTokens() {
			granted = fmt.Sprintf(`{"access_token":"access-%d","expires_in":3600}`, s.calls)
		}
		return &egress.Reply{Status: http.StatusOK, Header: http.Header{}, Body: []byte(granted)}, nil
	case "none":
		return nil, errors.New("no answer")
	default:
		return &egress.Reply{Status: http.StatusBadRequest, Header: http.Header{}, Body: []byte(`{"error":"` + answer + `"}`)}, nil
	}
}

func (s *scene) leavesTokens() bool {
	user := &v1alpha1.TokenCredential{}
	user.Spec.ProviderRef.Name = "shop"
	found, err := s.Inputs.Catalog.Find(context.Background(), user)
	return err == nil && found.Rotation.Mode != v1alpha1.SingleUse
}

// Record implements report.Events.
func (s *scene) Record(_ context.Context, _ *v1alpha1.TokenCredential, event status.Event) {
	s.events = append(s.events, event.Reason)
}

// reconcile one credential, and write its status.
func (s *scene) reconcile(name string) ctrl.Result {
	s.Helper()
	s.lock.Lock()
	s.asked = map[string]int{}
	s.lock.Unlock()
	key := types.NamespacedName{Namespace: "team", Name: name}
	result, err := s.Reconcile(s.Context(), ctrl.Request{NamespacedName: key})
	if err != nil {
		s.Fatal(err)
	}
	if err := s.Reports.Write(s.Context(), key); err != nil {
		s.Fatal(err)
	}
	return result
}

// after lets time pass.
func (s *scene) after(pause time.Duration) { s.clock.SetTime(s.clock.Now().Add(pause)) }

func (s *scene) requests(verbs ...string) int {
	total := 0
	for asked, times := range s.asked {
		if verb, _, _ := strings.Cut(asked, " "); slices.Contains(verbs, verb) {
			total += times
		}
	}
	return total
}

func (s *scene) get(name string) *v1alpha1.TokenCredential {
	s.Helper()
	credential := &v1alpha1.TokenCredential{}
	if err := s.cluster.Get(s.Context(), client.ObjectKey{Namespace: "team", Name: name}, credential); err != nil {
		s.Fatal(err)
	}
	return credential
}

// shows is a condition of the credential "shop": its reason and message.
func (s *scene) shows(kind string) string {
	s.Helper()
	condition := meta.FindStatusCondition(s.get("shop").Status.Conditions, kind)
	if condition == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", condition.Status, condition.Reason, condition.Message)
}

// edit changes a Secret; nil deletes it.
func (s *scene) edit(name string, change func(*corev1.Secret)) {
	s.Helper()
	secret := &corev1.Secret{}
	err := s.cluster.Get(s.Context(), client.ObjectKey{Namespace: "team", Name: name}, secret)
	if err == nil && change == nil {
		err = s.cluster.Delete(s.Context(), secret)
	} else if err == nil {
		change(secret)
		err = s.cluster.Update(s.Context(), secret)
	}
	if err != nil {
		s.Fatal(err)
	}
}

// token in the target; empty: there is no target.
func (s *scene) token(name string) string {
	secret := &corev1.Secret{}
	if s.cluster.Get(s.Context(), client.ObjectKey{Namespace: "team", Name: name}, secret) != nil {
		return ""
	}
	return string(secret.Data["access_token"])
}

// respec changes the credential "shop" as a user does.
func (s *scene) respec(change func(*v1alpha1.TokenCredential)) {
	s.Helper()
	credential := s.get("shop")
	change(credential)
	if err := s.cluster.Update(s.Context(), credential); err != nil {
		s.Fatal(err)
	}
}
