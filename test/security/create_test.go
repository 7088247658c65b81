// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package security

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// noRefs leaves a credential that names no Secret at all.
var noRefs = edit{"spec.appSecretRef": nil, "spec.refreshTokenSecretRef": nil}

func TestATenantMakesACredential(t *testing.T) {
	t.Parallel()
	admin := install(t)
	for _, each := range []struct {
		name, reason, shows string
		rights              []right
		change              edit
		refused             []string // parts of the message; none: it is let in
	}{
		{name: "by rights to all Secrets", rights: all, reason: "this is what the role edit gives, and what a GitOps tool has"},
		{name: "by rights to the named Secrets alone", rights: named, reason: "least privilege must be enough"},
		{name: "naming the Secret of another's app", shows: "a Secret named that its writer may not read", rights: named,
			change:  edit{"spec.appSecretRef.name": "bank-app"},
			refused: []string{"spec.appSecretRef", `may not get the Secret "bank-app"`}, reason: "they may read one Secret, and not this one"},
		{name: "naming the Secret of another's refresh token", shows: "a Secret named that its writer may not read", rights: named,
			change:  edit{"spec.refreshTokenSecretRef.name": "bank-refresh"},
			refused: []string{"spec.refreshTokenSecretRef", `may not get the Secret "bank-refresh"`}, reason: "they may read one Secret, and not this one"},
		{name: "naming the Secret of another's login", shows: "a Secret named that its writer may not read", rights: named,
			change:  edit{"spec.loginSecretRef": map[string]any{"name": "bank-login"}},
			refused: []string{"spec.loginSecretRef", `may not get the Secret "bank-login"`}, reason: "they may read one Secret, and not this one"},
		{name: "naming the client certificate of another", shows: "a Secret named that its writer may not read", rights: named,
			change:  edit{"spec.clientCertificateSecretRef": map[string]any{"name": "bank-tls"}},
			refused: []string{"spec.clientCertificateSecretRef", `may not get the Secret "bank-tls"`}, reason: "its key would speak for it"},
		{name: "naming a client certificate that they may read", rights: with(named, right{"get", "shop-tls"}),
			change: edit{"spec.clientCertificateSecretRef": map[string]any{"name": "shop-tls"}}, reason: "they could show it themselves"},
		{name: "naming a service account", shows: "a service account named by who may not make its tokens", rights: all,
			change:  edit{"spec.serviceAccountName": "shop"},
			refused: []string{"spec.serviceAccountName", `may not create serviceaccounts/token of "shop"`}, reason: "every right to Secrets is none to be a service account"},
		{name: "naming another service account than theirs", shows: "a service account named by who may not make its tokens", rights: with(named, accountToken("shop")),
			change:  edit{"spec.serviceAccountName": "bank"},
			refused: []string{"spec.serviceAccountName", `may not create serviceaccounts/token of "bank"`}, reason: "they may be one service account, and not this one"},
		{name: "naming a service account whose tokens they may make", rights: with(named, accountToken("shop")),
			change: edit{"spec.serviceAccountName": "shop"}, reason: "they could make the token themselves"},
		{name: "nudging pods without the right to patch them", shows: "pods nudged for who may not patch them", rights: all,
			change:  edit{"spec.target.nudgePods": true},
			refused: []string{"spec.target.nudgePods", "may not patch the pods of the namespace"}, reason: "every right to Secrets is none to pods"},
		{name: "nudging pods with the right to patch them", rights: with(named, patchPods),
			change: edit{"spec.target.nudgePods": true}, reason: "they could set the annotation themselves"},
		{name: "saying that no pods are nudged", rights: named,
			change: edit{"spec.target.nudgePods": false}, reason: "nothing is asked for"},
		{name: "without any right to Secrets", shows: "a Secret named that its writer may not read",
			refused: []string{"may not get the Secret"}, reason: "whoever may write TokenCredentials alone had every Secret of the namespace"},
		{name: "with every right but get", shows: "a Secret named that its writer may not read", rights: without(all, right{"get", ""}),
			refused: []string{"may not get the Secret"}, reason: "to write is not to read"},
		{name: "by the name of a credential that is gone", shows: "a credential made by the name of one that is gone, whose refresh token is kept", rights: without(named, right{"get", "shop-token-state"}), change: noRefs,
			refused: []string{"metadata.name", `may not get the Secret "shop-token-state"`}, reason: "what is kept there is sent although the spec names no Secret"},
		{name: "by a name that the API server makes up", shows: "a credential made by the name of one that is gone, whose refresh token is kept", rights: named, change: edit{"metadata.name": nil, "metadata.generateName": "shop-"},
			refused: []string{`may not get the Secret "shop-`, `-token-state"`}, reason: "the name is made up before the policy looks"},
		{name: "writing back with the right to read alone", shows: "a Secret written through writeBack by who may not update it", rights: named,
			change:  edit{"spec.refreshTokenSecretRef.writeBack": true},
			refused: []string{"spec.refreshTokenSecretRef.writeBack", `may not update the Secret "shop-refresh"`}, reason: "to read is not to write"},
		{name: "writing back with the right to write", rights: with(named, right{"update", "shop-refresh"}),
			change: edit{"spec.refreshTokenSecretRef.writeBack": true}, reason: "they could write it themselves"},
		{name: "merging with the right to create alone", shows: "a Secret written through Merge by who may not update it", rights: named,
			change:  edit{"spec.target.creationPolicy": "Merge"},
			refused: []string{"spec.target.creationPolicy", `may not update the Secret "shop-token"`}, reason: "Merge changes a Secret that is somebody's"},
		{name: "merging into the Secret of the credential's own name", shows: "a Secret written through Merge by who may not update it", rights: with(named, right{"update", "shop-token"}),
			change:  edit{"spec.target": map[string]any{"creationPolicy": "Merge"}},
			refused: []string{`may not update the Secret "shop"`}, reason: "the target's name has a default"},
		{name: "merging with the right to write", rights: with(without(named, right{"create", "shop-token"}), right{"update", "shop-token"}),
			change: edit{"spec.target.creationPolicy": "Merge"}, reason: "Merge creates nothing, so create is not asked for"},
		{name: "owning a target without the right to create it", shows: "a Secret made as a target by who may not create it", rights: without(named, right{"create", "shop-token"}),
			refused: []string{"spec.target.name", `may not create the Secret "shop-token"`}, reason: "labels and data of a target are as its template says: other controllers act on such Secrets"},
		{name: "owning the Secret of the credential's own name", shows: "a Secret made as a target by who may not create it", rights: named, change: edit{"spec.target": nil},
			refused: []string{`may not create the Secret "shop"`}, reason: "the target's name has a default"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if each.shows != "" {
				faults.Shows(t, each.shows)
			}
			space := namespace(t, admin)
			user := tenant(t, admin, space, each.rights)
			if each.change["metadata.generateName"] == nil { // what is applied has a name
				// `kubectl apply --server-side` creates by a PATCH.
				check(t, apply(t.Context(), user, edited(parse(shop), space, each.change), client.DryRunAll), each.refused, each.reason)
			}
			check(t, user.Create(t.Context(), edited(parse(shop), space, each.change)), each.refused, each.reason)
		})
	}
}

// check compares what came of a request with what is wanted: refused with these words,
// or let in.
func check(t *testing.T, err error, refused []string, reason string) {
	t.Helper()
	switch {
	case len(refused) == 0 && err != nil:
		t.Errorf("refused: %v\nreason: %s", err, reason)
	case len(refused) > 0 && !isForbidden(err, append(refused, `the user "tenant-of-`)...):
		t.Errorf("the answer is %v, want a refusal that says %q\nreason: %s", err, refused, reason)
	}
}

func TestRightsInAnotherNamespaceDoNotCount(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "rights that are held in another namespace")
	admin := install(t)
	home, away := namespace(t, admin), namespace(t, admin)
	user := tenant(t, admin, home, all)
	must(t, user.Create(t.Context(), edited(parse(shop), home, nil)))
	bind(t, admin, writerOfCredentials(away), "tenant-of-"+home)
	check(t, user.Create(t.Context(), edited(parse(shop), away, nil)), []string{"may not get the Secret"},
		"the Secrets are those of the credential's own namespace")
}

func TestTheRoleOfTheDocsIsEnough(t *testing.T) {
	t.Parallel()
	admin := install(t)
	space := namespace(t, admin)
	role := &rbacv1.Role{}
	into(t, edited(parse(documented(t, "`create` with a name lets nobody create a Secret by hand")), space, nil), role)
	bind(t, admin, role, "tenant-of-"+space)
	user, err := client.New(as("tenant-of-"+space), client.Options{Mapper: admin.RESTMapper()})
	must(t, err)
	must(t, user.Create(t.Context(), edited(parse(shop), space, nil)))
	must(t, user.Update(t.Context(), edited(read(t, user, space), space, edit{"spec.parameters.tokenURL": "https://new.example.com/token"})))
	byHand := edited(parse(`{apiVersion: v1, kind: Secret, metadata: {name: shop-token}}`), space, nil)
	if err := user.Create(t.Context(), byHand); !isForbidden(err) {
		t.Errorf("the role lets its holder create a Secret: %v", err)
	}
}
