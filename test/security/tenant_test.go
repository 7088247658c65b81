// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// right to one Secret, or to all Secrets of the namespace where it names none.
type right struct{ verb, secret string }

// named are the least rights that the credential of these tests asks for: each to one
// Secret alone.
var named = []right{{"get", "shop-app"}, {"get", "shop-refresh"}, {"get", "shop-token-state"}, {"create", "shop-token"}}

// all is what the cluster's role edit gives, and what a GitOps tool has.
var all = []right{{"get", ""}, {"create", ""}, {"update", ""}}

// accountPrefix marks a right to tokens of a service account.
const accountPrefix = "serviceaccount/"

// patchPods is the right to patch the pods of the namespace.
var patchPods = right{"patch", podsOf}

// podsOf marks a right to pods.
const podsOf = "pods/"

// accountToken is the right to make tokens of a service account.
func accountToken(name string) right { return right{"create", accountPrefix + name} }

// without some of the rights.
func without(rights []right, some ...right) []right {
	return slices.DeleteFunc(slices.Clone(rights), func(r right) bool { return slices.Contains(some, r) })
}

// with further rights.
func with(rights []right, more ...right) []right { return append(slices.Clone(rights), more...) }

// tenant is a user who may write TokenCredentials in a namespace, and holds the rights
// to its Secrets that are given. It is returned once the API server knows of them.
func tenant(t *testing.T, admin client.Client, namespace string, rights []right) client.Client {
	t.Helper()
	user := "tenant-of-" + namespace
	role := writerOfCredentials(namespace)
	for _, r := range rights {
		rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{r.verb}}
		if account, isAccount := strings.CutPrefix(r.secret, accountPrefix); isAccount {
			rule.Resources, r.secret = []string{"serviceaccounts/token"}, account
		}
		if r.secret == podsOf {
			rule.Resources, r.secret = []string{"pods"}, ""
		}
		if r.secret != "" {
			rule.ResourceNames = []string{r.secret}
		}
		role.Rules = append(role.Rules, rule)
	}
	bind(t, admin, role, user)
	c, err := client.New(as(user), client.Options{Mapper: admin.RESTMapper()})
	must(t, err)
	return c
}

// writerOfCredentials is the role of who may write TokenCredentials, and no more.
func writerOfCredentials(namespace string) *rbacv1.Role {
	return &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tenant"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{"tokenkeeper.io"}, Resources: []string{"tokencredentials"},
			Verbs: []string{"get", "create", "update", "patch", "delete"}}},
	}
}

// bind gives a user a role in its namespace, and returns once the API server knows that
// the user may create TokenCredentials there: the rest of the role comes with that.
func bind(t *testing.T, admin client.Client, role *rbacv1.Role, user string) {
	t.Helper()
	must(t, admin.Create(t.Context(), role))
	must(t, admin.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: role.Namespace, Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}))
	awaitRight(t, admin, user, authorizationv1.ResourceAttributes{Namespace: role.Namespace, Group: "tokenkeeper.io", Resource: "tokencredentials", Verb: "create"})
}

// awaitRight waits until the API server knows that a user may do something.
func awaitRight(t *testing.T, admin client.Client, user string, what authorizationv1.ResourceAttributes) {
	t.Helper()
	must(t, wait.PollUntilContextTimeout(t.Context(), 25*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &what}}
		err := admin.Create(ctx, review)
		return review.Status.Allowed, err
	}))
}

// shop is a credential that names two Secrets, and owns its target.
const shop = `
apiVersion: tokenkeeper.io/v1alpha1
kind: TokenCredential
metadata: {name: shop}
spec:
  providerRef: {name: oauth2}
  parameters: {tokenURL: "https://id.example.com/token"}
  appSecretRef: {name: shop-app}
  refreshTokenSecretRef: {name: shop-refresh}
  target: {name: shop-token}
`

// edit is what becomes of fields of an object, by their paths; nil: the field goes.
type edit map[string]any

// edited is an object of a namespace with some fields changed.
func edited(object *unstructured.Unstructured, namespace string, change edit) *unstructured.Unstructured {
	object.SetNamespace(namespace)
	for path, value := range change {
		fields := strings.Split(path, ".")
		if value == nil {
			unstructured.RemoveNestedField(object.Object, fields...)
			continue
		}
		if err := unstructured.SetNestedField(object.Object, value, fields...); err != nil {
			panic(err)
		}
	}
	return object
}
