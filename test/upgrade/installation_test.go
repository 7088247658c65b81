// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	crconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/controller/access"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

const (
	// namespace of what was installed.
	namespace = "before-v0-1"
	// killed is the credential whose process was killed with its token on its way. What
	// becomes of it is told a minute later, as after any crash.
	killed = "oauth2"
)

// installation is what stands in the API server.
type installation struct {
	client.Client
	t *testing.T
	// Time at which the earlier operator ended.
	Time time.Time
	// Objects by their keys in etcd, without /registry/.
	Objects map[string]map[string]any
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// installed puts the objects back, in a cluster that has the UID of theirs.
func installed(t *testing.T) *installation {
	t.Helper()
	i := &installation{Client: apiserver.NewClient(t), t: t}
	text, err := os.ReadFile(filepath.Join("testdata", "objects.json"))
	must(t, err)
	must(t, json.Unmarshal(text, i))
	for _, path := range slices.Sorted(maps.Keys(i.Objects)) { // Secrets come before what knows their versions
		object := &unstructured.Unstructured{Object: i.Objects[path]}
		i.adjust(object, "target")
		i.adjust(object, "stateSecret")
		must(t, apiserver.Plant(t.Context(), path, object.Object))
	}
	return i
}

// adjust has a status know a Secret at the version at which it was put back: each write
// has another. The claim of the process that was killed came after its status.
func (i *installation) adjust(object *unstructured.Unstructured, which string) {
	name, found, _ := unstructured.NestedString(object.Object, "status", which, "name")
	if !found {
		return
	}
	known := &corev1.Secret{}
	must(i.t, i.Get(i.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, known))
	version := known.ResourceVersion
	if name == killed+"-token-state" {
		version = "1"
	}
	must(i.t, unstructured.SetNestedField(object.Object, version, "status", which, "resourceVersion"))
}

// TestAnInstallationFromBeforeTheFirstRelease applies what is shipped on top of it, as the
// upgrade notes say, and starts the operator. Every credential, state and token stays, and no
// provider is asked for what is fresh.
func TestAnInstallationFromBeforeTheFirstRelease(t *testing.T) {
	t.Parallel()
	i := installed(t)
	before := i.look()
	i.upgrade()
	end := i.start()
	i.eventually("no digest is left that anybody could make", i.digestsAreKeyed)
	end()
	after := i.look()
	kept := cmp.Options{
		cmpopts.EquateEmpty(),
		// These may say it better: how the last refresh went is a field of its own since, so
		// a token of before is one that was found there.
		cmpopts.IgnoreFields(metav1.Condition{}, "Reason", "Message"),
		cmpopts.IgnoreMapEntries(func(key, _ string) bool { return key == "origin" || key == "source" }),
	}
	if diff := cmp.Diff(before, after, kept); diff != "" {
		t.Errorf("the upgrade has changed (-before +after):\n%s", diff)
	}
}

// upgrade applies what is shipped as kubectl apply --server-side does.
func (i *installation) upgrade() {
	i.t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "dist", "install.yaml"))
	must(i.t, err)
	defer func() { _ = file.Close() }()
	for documents := yaml.NewYAMLOrJSONDecoder(file, 4096); ; {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(&object.Object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			i.t.Fatal(err)
		}
		i.eventually("apply "+object.GetKind()+" "+object.GetName(), func(ctx context.Context) error {
			return i.Apply(ctx, client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.FieldOwner("kubectl"), client.ForceOwnership)
		})
	}
	i.eventually("the API server knows today's fields", func(ctx context.Context) error {
		probe := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "probe"}}
		probe.Spec.ProviderRef.Name, probe.Spec.RevokeOnDeletion = "oauth2", true
		err := i.Create(ctx, probe, client.DryRunAll)
		if err == nil && !probe.Spec.RevokeOnDeletion {
			err = errors.New("spec.revokeOnDeletion is dropped")
		}
		return err
	})
}

// start runs the operator, and returns what ends it.
func (i *installation) start() (end func()) {
	i.t.Helper()
	mgr, err := ctrl.NewManager(apiserver.Config, ctrl.Options{
		Scheme:     i.Scheme(),
		Logger:     logr.Discard(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Cache:      access.CacheOptions([]string{namespace}, labels.Everything()),
		Client:     access.ClientOptions(),
		Controller: crconfig.Controller{SkipNameValidation: ptr.To(true)},
	})
	must(i.t, err)
	inFlight := &sync.WaitGroup{}
	must(i.t, controller.SetupWithManager(i.t.Context(), mgr, controller.Options{
		BuiltInProviders: []string{"*"},
		Egress:           provider{i.t},
		Clock:            shifted(time.Until(i.Time.Add(5 * time.Minute))),
		Holder:           "test/" + uuid.NewString(),
		InFlight:         inFlight,
		OwnNamespace:     namespace,
		Namespaces:       []string{namespace},
		Concurrency:      8,
		Registry:         prometheus.NewRegistry(),
	}))
	ctx, cancel := context.WithCancel(context.WithoutCancel(i.t.Context()))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			i.t.Errorf("the operator ends with an error: %v", err)
		}
		inFlight.Wait()
	})
	i.t.Cleanup(end)
	return end
}

// provider is asked by the credential that has stalled alone, whose refresh token it refuses
// as before: conditions are not read back, so the refusal of then is asked for once more.
type provider struct{ t *testing.T }

// Check implements egress.Caller.
func (provider) Check(*egress.Request) error { return nil }

// Do implements egress.Caller.
func (p provider) Do(request *egress.Request, _ bool) (*egress.Reply, error) {
	sent, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(string(sent), "no-such-token") {
		p.t.Errorf("a provider is asked for another token than that of the credential that has stalled: %s", request.URL.Host)
		return nil, egress.ErrNotSent
	}
	return &egress.Reply{Status: http.StatusBadRequest, Body: []byte(`{"error":"invalid_grant"}`)}, nil
}

// shifted is a clock that differs from that of the machine by a fixed time.
type shifted time.Duration

func (s shifted) Now() time.Time                       { return time.Now().Add(time.Duration(s)) }
func (s shifted) Since(moment time.Time) time.Duration { return s.Now().Sub(moment) }

// eventually waits until nothing is wrong.
func (i *installation) eventually(what string, wrong func(context.Context) error) {
	i.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(i.t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		last = wrong(ctx)
		return last == nil, nil
	})
	if err != nil {
		i.t.Fatalf("%s: %v", what, last)
	}
}

// digestsAreKeyed reports what has a digest that anybody could make of a guess: a keyed one
// has a dot.
func (i *installation) digestsAreKeyed(ctx context.Context) error {
	credentials, secrets := &v1alpha1.TokenCredentialList{}, &corev1.SecretList{}
	if err := errors.Join(i.List(ctx, credentials, client.InNamespace(namespace)), i.List(ctx, secrets, client.InNamespace(namespace))); err != nil {
		return err
	}
	for _, each := range credentials.Items {
		if state := each.Status.StateSecret; state != nil && state.Seed != "" && !strings.Contains(state.Seed, ".") {
			return errors.New("the status of " + each.Name + " has a digest in plain")
		}
	}
	for _, each := range secrets.Items {
		if each.Type == v1alpha1.StateSecretType && each.Labels["token.tokenkeeper.io/key"] == "" {
			return errors.New("the marks of " + each.Name + " are not under the operator's key")
		}
	}
	return nil
}

// seen is what must outlast an upgrade.
type seen struct {
	Specs      map[string]v1alpha1.TokenCredentialSpec
	Conditions map[string][]metav1.Condition
	Times      map[string][]*metav1.Time
	States     map[string]map[string]string
	Data       map[string]map[string]string // of all other Secrets
}

func (i *installation) look() seen {
	i.t.Helper()
	credentials, secrets := &v1alpha1.TokenCredentialList{}, &corev1.SecretList{}
	must(i.t, i.List(i.t.Context(), credentials, client.InNamespace(namespace)))
	must(i.t, i.List(i.t.Context(), secrets, client.InNamespace(namespace)))
	all := seen{map[string]v1alpha1.TokenCredentialSpec{}, map[string][]metav1.Condition{}, map[string][]*metav1.Time{}, map[string]map[string]string{}, map[string]map[string]string{}}
	for _, each := range credentials.Items {
		all.Specs[each.Name], all.Conditions[each.Name] = each.Spec, each.Status.Conditions
		all.Times[each.Name] = []*metav1.Time{each.Status.LastRefreshTime, each.Status.ExpirationTime, each.Status.NextRefreshTime}
	}
	for _, each := range secrets.Items {
		data := map[string]string{}
		for key, value := range each.Data {
			data[key] = string(value)
		}
		switch each.Type {
		case v1alpha1.StateSecretType:
			all.States[each.Name] = data
		case v1alpha1.DigestKeySecretType: // of today's operator
		default:
			all.Data[each.Name] = data
		}
	}
	return all
}
