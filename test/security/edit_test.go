// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package security

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// TestATenantEditsACredential edits one that its admin has made.
func TestATenantEditsACredential(t *testing.T) {
	t.Parallel()
	admin := install(t)
	for _, each := range []struct {
		name, reason, shows string
		rights              []right
		change              edit
		refused             []string // parts of the message; none: it is let in
	}{
		{name: "another token URL", shows: "an edit that sends the Secrets of a credential elsewhere, by who may not read them", change: edit{"spec.parameters.tokenURL": "https://attacker.example/token"},
			refused: []string{`may not get the Secret "shop-app"`}, reason: "app secret and live refresh token went to the new host"},
		{name: "another provider", shows: "an edit that sends the Secrets of a credential elsewhere, by who may not read them", change: edit{"spec.providerRef.name": "mcs"},
			refused: []string{`may not get the Secret "shop-app"`}, reason: "another provider is another host"},
		{name: "another app Secret", shows: "a Secret named that its writer may not read", rights: named, change: edit{"spec.appSecretRef.name": "bank-app"},
			refused: []string{`may not get the Secret "bank-app"`}, reason: "a reference counts as on creation"},
		{name: "another key of the app Secret", shows: "an edit that sends the Secrets of a credential elsewhere, by who may not read them", change: edit{"spec.appSecretRef.secretField": "password"},
			refused: []string{`may not get the Secret "shop-app"`}, reason: "another key is another secret"},
		{name: "another seed", shows: "a Secret named that its writer may not read", rights: named, change: edit{"spec.refreshTokenSecretRef.name": "bank-refresh"},
			refused: []string{`may not get the Secret "bank-refresh"`}, reason: "a reference counts as on creation"},
		{name: "another key of the seed", shows: "an edit that sends the Secrets of a credential elsewhere, by who may not read them", rights: without(named, right{"get", "shop-refresh"}), change: edit{"spec.refreshTokenSecretRef.key": "tls.key"},
			refused: []string{`may not get the Secret "shop-refresh"`}, reason: "another key is another secret"},
		{name: "a login Secret", shows: "a Secret named that its writer may not read", rights: named, change: edit{"spec.loginSecretRef": map[string]any{"name": "bank-login"}},
			refused: []string{`may not get the Secret "bank-login"`}, reason: "a reference counts as on creation"},
		{name: "a client certificate", shows: "a Secret named that its writer may not read", rights: named, change: edit{"spec.clientCertificateSecretRef": map[string]any{"name": "bank-tls"}},
			refused: []string{`may not get the Secret "bank-tls"`}, reason: "a reference counts as on creation"},
		{name: "a service account", shows: "a service account named by who may not make its tokens", rights: named, change: edit{"spec.serviceAccountName": "bank"},
			refused: []string{`may not create serviceaccounts/token of "bank"`}, reason: "a reference counts as on creation"},
		{name: "no reference, and another token URL", shows: "an edit that sends the Secrets of a credential elsewhere, by who may not read them", rights: without(named, right{"get", "shop-token-state"}),
			change:  edit{"spec.refreshTokenSecretRef": nil, "spec.parameters.tokenURL": "https://attacker.example/token"},
			refused: []string{`may not get the Secret "shop-token-state"`}, reason: "the live refresh token is in the state, whatever the spec names"},
		{name: "writeBack", shows: "a Secret written through writeBack by who may not update it", rights: named, change: edit{"spec.refreshTokenSecretRef.writeBack": true},
			refused: []string{`may not update the Secret "shop-refresh"`}, reason: "to read is not to write"},
		{name: "Merge", shows: "a Secret written through Merge by who may not update it", rights: named, change: edit{"spec.target.creationPolicy": "Merge"},
			refused: []string{`may not update the Secret "shop-token"`}, reason: "Merge changes a Secret that is somebody's"},
		{name: "a template", shows: "a Secret made as a target by who may not create it", rights: without(named, right{"create", "shop-token"}),
			change:  edit{"spec.target.template": map[string]any{"data": map[string]any{"url": "https://attacker.example"}}},
			refused: []string{`may not create the Secret "shop-token"`}, reason: "the target is written as the template says"},
		{name: "suspend", shows: "an edit that sends the Secrets of a credential elsewhere, by who may not read them", change: edit{"spec.suspend": true},
			refused: []string{`may not get the Secret "shop-app"`}, reason: "whoever changes the spec answers for all of it"},

		{name: "another token URL, with the rights", rights: named, change: edit{"spec.parameters.tokenURL": "https://new.example.com/token"},
			reason: "who may read the Secrets may send them where they like"},
		{name: "writeBack, with the rights", rights: with(named, right{"update", "shop-refresh"}), change: edit{"spec.refreshTokenSecretRef.writeBack": true},
			reason: "they could write it themselves"},
		{name: "a label", change: edit{"metadata.labels": map[string]any{"team": "shop"}}, reason: "the operator does nothing new"},
		{name: "a finalizer", change: edit{"metadata.finalizers": []any{"example.com/keep"}}, reason: "other controllers hold objects by finalizers"},
		{name: "the annotation that asks for a refresh", change: edit{"metadata.annotations": map[string]any{"tokenkeeper.io/refreshAt": "now"}},
			reason: "one call, with what the admin has let in"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if each.shows != "" {
				faults.Shows(t, each.shows)
			}
			space := namespace(t, admin)
			user := tenant(t, admin, space, each.rights)
			must(t, admin.Create(t.Context(), edited(parse(shop), space, nil)))
			known := read(t, user, space)
			patched := edited(known.DeepCopy(), space, each.change)
			check(t, user.Patch(t.Context(), patched, client.MergeFrom(known), client.DryRunAll), each.refused, each.reason)
			check(t, user.Update(t.Context(), edited(known.DeepCopy(), space, each.change)), each.refused, each.reason)
		})
	}
}

func TestWhatATenantMayAlwaysDo(t *testing.T) {
	t.Parallel()
	admin := install(t)
	space := namespace(t, admin)
	user := tenant(t, admin, space, nil)
	must(t, admin.Create(t.Context(), edited(parse(shop), space, edit{"metadata.finalizers": []any{"example.com/keep"}})))
	must(t, user.Delete(t.Context(), read(t, user, space)))
	if err := user.Update(t.Context(), edited(read(t, user, space), space, edit{"metadata.finalizers": nil})); err != nil {
		t.Errorf("a credential that is being deleted cannot be let go: %v", err)
	}
}

// read returns the credential as it stands.
func read(t *testing.T, c client.Client, namespace string) *unstructured.Unstructured {
	t.Helper()
	known := parse(shop)
	must(t, c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: known.GetName()}, known))
	return known
}
