// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

const (
	minimalCredential = `
apiVersion: tokenkeeper.io/v1alpha1
kind: TokenCredential
metadata: {name: minimal, namespace: default}
spec:
  providerRef: {name: xiaomi}
`
	minimalProvider = `
apiVersion: tokenkeeper.io/v1alpha1
kind: ClusterTokenProvider
metadata: {name: minimal}
spec:
  login:
    request: {url: "https://auth.example.com/token"}
    response: {accessToken: body.access_token}
`
	targetNameImmutable = "spec.target.name is immutable: create another TokenCredential for another target"
)

// create makes an object that goes when the test ends.
func create(t *testing.T, manifest string, change edit) *unstructured.Unstructured {
	t.Helper()
	c, object := apiserver.NewClient(t), edited(t, manifest, change)
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if err := c.Delete(context.Background(), object); err != nil {
			t.Error(err)
		}
	})
	return object
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		manifest string
		change   edit
		want     map[string]any
	}{
		"a credential that names its provider alone": {
			manifest: minimalCredential,
			want: map[string]any{
				"providerRef": map[string]any{"kind": "BuiltIn", "name": "xiaomi"},
				"renewal":     map[string]any{"percentage": int64(80)},
				"target":      map[string]any{"creationPolicy": "Owner"},
			},
		},
		"a credential with references and a template": {
			manifest: minimalCredential,
			change: edit{
				"spec.appSecretRef":          map[string]any{"name": "app"},
				"spec.refreshTokenSecretRef": map[string]any{"name": "refresh"},
				"spec.renewal":               map[string]any{"before": "5m"},
				"spec.target":                map[string]any{"template": map[string]any{"data": map[string]any{"a": "b"}}},
			},
			want: map[string]any{
				"providerRef":           map[string]any{"kind": "BuiltIn", "name": "xiaomi"},
				"appSecretRef":          map[string]any{"name": "app", "keyField": "app_key", "secretField": "app_secret"},
				"refreshTokenSecretRef": map[string]any{"name": "refresh", "key": "refresh_token"},
				"renewal":               map[string]any{"percentage": int64(80), "before": "5m"},
				"target": map[string]any{
					"creationPolicy": "Owner",
					"template":       map[string]any{"type": "Opaque", "data": map[string]any{"a": "b"}},
				},
			},
		},
		"a provider with a login alone": {
			manifest: minimalProvider,
			want: map[string]any{
				"login": map[string]any{
					"request":  map[string]any{"method": "POST", "url": "https://auth.example.com/token"},
					"response": map[string]any{"format": "Auto", "accessToken": "body.access_token"},
				},
				"rotation": map[string]any{"mode": "Auto", "onUnknownOutcome": "Hold"},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := edited(t, test.manifest, test.change)
			if err := apiserver.NewClient(t).Create(t.Context(), object, client.DryRunAll); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, object.Object["spec"]); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheTargetsNameIsImmutable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason         string
		before, after  any
		others, reject bool
	}{
		"to another name":            {"the old target would be left behind", "one", "two", false, true},
		"away from the default":      {"the default is the credential's name", nil, "two", false, true},
		"back to the default":        {"the default is the credential's name", "one", nil, false, true},
		"to the default by its name": {"both name the same Secret", nil, "NAME", false, false},
		"not at all":                 {"other fields may change", "one", "one", true, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := "immutable-" + strings.ReplaceAll(name, " ", "-")
			named := func(target any) any {
				if target == "NAME" {
					return own
				}
				return target
			}
			object := create(t, credentialManifest, edit{"metadata.name": own, "spec.target.name": named(test.before)})
			set := edit{"spec.target.name": named(test.after)}
			if test.others {
				set["spec.suspend"], set["spec.target.creationPolicy"] = true, "Merge"
			}
			apply(t, object, set)
			err := apiserver.NewClient(t).Update(t.Context(), object)
			if !test.reject {
				if err != nil {
					t.Errorf("Update = %v\nreason: %s", err, test.reason)
				}
				return
			}
			if want := "spec.target.name: Invalid value"; !apierrors.IsInvalid(err) ||
				!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), targetNameImmutable) {
				t.Errorf("Update = %v, want it to hold %q and %q\nreason: %s", err, want, targetNameImmutable, test.reason)
			}
		})
	}
}

func TestUnknownFieldsAreRefused(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a namespace in a reference")
	tests := map[string]struct {
		manifest string
		change   edit
		want     string
	}{
		"a misspelt field":                    {credentialManifest, edit{"spec.renewl": map[string]any{}}, `unknown field "spec.renewl"`},
		"a namespace in a reference":          {credentialManifest, edit{"spec.appSecretRef.namespace": "other"}, `unknown field "spec.appSecretRef.namespace"`},
		"a misspelt field of a provider":      {providerManifest, edit{"spec.refresh.request.body": "a"}, `unknown field "spec.refresh.request.body"`},
		"whatever a JSON body holds is known": {providerManifest, edit{"spec.refresh.request.form": nil, "spec.refresh.request.json": map[string]any{"any": map[string]any{"depth": true}}}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tryCreate(t, test.manifest, test.change)
			if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("Create = %v, want %q", err, test.want)
			}
		})
	}
}

// A JSON body goes through the API server as it was written.
func TestAJSONBodyIsKept(t *testing.T) {
	t.Parallel()
	body := map[string]any{"shop_id": "${int(parameters.shopID)}", "nested": map[string]any{"list": []any{int64(1), "two", nil, true}}}
	object := edited(t, minimalProvider, edit{"spec.login.request.json": body})
	if err := apiserver.NewClient(t).Create(t.Context(), object, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	kept, _, err := unstructured.NestedFieldNoCopy(object.Object, "spec", "login", "request", "json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(any(body), kept); diff != "" {
		t.Errorf("json (-want +got):\n%s", diff)
	}
}

func TestStatusIsASubresource(t *testing.T) {
	t.Parallel()
	for kind, manifest := range map[string]string{"TokenCredential": minimalCredential, "ClusterTokenProvider": minimalProvider} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := apiserver.NewClient(t)
			status := map[string]any{"observedGeneration": int64(7)}
			object := create(t, manifest, edit{"metadata.name": "status", "status": status})
			if object.Object["status"] != nil {
				t.Errorf("status after creation = %v, want none", object.Object["status"])
			}
			apply(t, object, edit{"status": status, "metadata.labels": map[string]any{"a": "b"}})
			if err := c.Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if object.Object["status"] != nil {
				t.Errorf("status after an update of the object = %v, want none", object.Object["status"])
			}
			spec := object.DeepCopy().Object["spec"]
			apply(t, object, edit{"status": status, "spec.suspend": true, "metadata.labels": nil})
			if err := c.Status().Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(any(status), object.Object["status"]); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(spec, object.Object["spec"]); diff != "" {
				t.Errorf("an update of the status changed the spec (-want +got):\n%s", diff)
			}
			if object.GetGeneration() != 1 {
				t.Errorf("generation = %d, want 1", object.GetGeneration())
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	c, err := discovery.NewDiscoveryClientForConfig(apiserver.Config)
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	type resource struct {
		Kind       string
		Namespaced bool
		Short      []string
		Categories []string
	}
	got := map[string]resource{}
	for _, r := range list.APIResources {
		got[r.Name] = resource{r.Kind, r.Namespaced, r.ShortNames, r.Categories}
	}
	want := map[string]resource{
		"tokencredentials":             {"TokenCredential", true, []string{"tokencred"}, []string{"tokens"}},
		"tokencredentials/status":      {"TokenCredential", true, nil, nil},
		"clustertokenproviders":        {"ClusterTokenProvider", false, []string{"tokenprovider"}, []string{"tokens"}},
		"clustertokenproviders/status": {"ClusterTokenProvider", false, nil, nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

// column is what a Table says of a column, and one row's cell in it.
type column struct {
	Name, Type string
	Priority   int32
	Cell       any
}

func TestColumnsOfATokenCredential(t *testing.T) {
	t.Parallel()
	object := create(t, credentialManifest, edit{"metadata.name": "columns"})
	now := time.Now().UTC().Truncate(time.Second)
	expires, next := now.Add(time.Hour).Format(time.RFC3339), now.Add(48*time.Minute).Format(time.RFC3339)
	apply(t, object, edit{"status": map[string]any{
		"conditions": []any{
			condition("Refreshed", "False", "ProviderUnavailable", "it sleeps", now),
			condition("Ready", "True", "TokenValid", "the token is valid", now),
		},
		"target":          map[string]any{"name": "shop-token"},
		"expirationTime":  expires,
		"nextRefreshTime": next,
		"lastRefreshTime": now.Add(-90 * time.Minute).Format(time.RFC3339),
	}})
	if err := apiserver.NewClient(t).Status().Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	want := []column{
		{"Name", "string", 0, "columns"},
		{"Ready", "string", 0, "True"},
		{"Reason", "string", 0, "TokenValid"},
		{"Stalled", "string", 0, nil},
		{"Provider", "string", 0, "xiaomi"},
		{"Target", "string", 0, "shop-token"},
		{"Expires", "string", 0, expires}, // as text: a future date prints <invalid>
		{"Last Refresh", "date", 0, "90m"},
		{"Age", "date", 0, "AGE"},
		{"Next Refresh", "string", 1, next},
		{"Suspended", "boolean", 1, false},
		{"Message", "string", 1, "the token is valid"},
	}
	if diff := cmp.Diff(want, columns(t, "/apis/tokenkeeper.io/v1alpha1/namespaces/default/tokencredentials/columns")); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestColumnsOfAClusterTokenProvider(t *testing.T) {
	t.Parallel()
	object := create(t, providerManifest, edit{"metadata.name": "columns"})
	apply(t, object, edit{"status": map[string]any{
		"conditions": []any{condition("Ready", "False", "ProviderInvalid", "spec.refresh.request.url:1:14: no", time.Now())},
	}})
	if err := apiserver.NewClient(t).Status().Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	want := []column{
		{"Name", "string", 0, "columns"},
		{"Ready", "string", 0, "False"},
		{"Reason", "string", 0, "ProviderInvalid"},
		{"Rotation", "string", 0, "SingleUse"},
		{"Age", "date", 0, "AGE"},
		{"Description", "string", 1, "An example"},
		{"Message", "string", 1, "spec.refresh.request.url:1:14: no"},
	}
	if diff := cmp.Diff(want, columns(t, "/apis/tokenkeeper.io/v1alpha1/clustertokenproviders/columns")); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func condition(kind, status, reason, message string, since time.Time) any {
	return map[string]any{
		"type": kind, "status": status, "reason": reason, "message": message,
		"lastTransitionTime": since.UTC().Format(time.RFC3339),
	}
}

// columns asks for an object as kubectl get does. An age that only the clock
// decides is AGE.
func columns(t *testing.T, path string) []column {
	t.Helper()
	httpClient, err := rest.HTTPClientFor(apiserver.Config)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(apiserver.Config.Host, "/")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	response, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(body, &table); err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != 1 {
		t.Fatalf("%d rows in %s", len(table.Rows), body)
	}
	var result []column
	for i, definition := range table.ColumnDefinitions {
		cell := table.Rows[0].Cells[i]
		if definition.Name == "Age" && cell != "" && cell != "<unknown>" {
			cell = "AGE"
		}
		result = append(result, column{definition.Name, definition.Type, definition.Priority, cell})
	}
	return result
}
