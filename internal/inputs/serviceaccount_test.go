// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// issuer makes tokens of service accounts.
type issuer struct {
	client.SubResourceClient
	clock *clocktesting.FakePassiveClock
	asked []string
	fails error
	lives time.Duration // 0: as long as was asked for
}

// SubResource implements client.SubResourceClientConstructor.
func (i *issuer) SubResource(name string) client.SubResourceClient {
	if name != "token" {
		panic("another subresource is asked for: " + name)
	}
	return i
}

// Create implements client.SubResourceClient.
func (i *issuer) Create(_ context.Context, account, object client.Object, _ ...client.SubResourceCreateOption) error {
	request := object.(*authenticationv1.TokenRequest)
	if len(request.Spec.Audiences) == 0 { // it fills in its own
		request.Spec.Audiences = []string{"https://issuer.example", "https://cluster.example"}
		return i.fails
	}
	life := time.Duration(*request.Spec.ExpirationSeconds) * time.Second
	i.asked = append(i.asked, fmt.Sprintf("%s/%s for %s, %s", account.GetNamespace(), account.GetName(), strings.Join(request.Spec.Audiences, ","), life))
	if i.fails != nil {
		return i.fails
	}
	if i.lives > 0 {
		life = i.lives
	}
	request.Status.Token = fmt.Sprint("token-", len(i.asked))
	request.Status.ExpirationTimestamp = metav1.NewTime(i.clock.Now().Add(life))
	return nil
}

var accounts = schema.GroupResource{Resource: "serviceaccounts"}

const federated = `
inputs: {app: None, refreshToken: None, serviceAccountToken: {audience: "https://${parameters.host}", expirationSeconds: 1000}, parameters: [{name: host, default: sts.example, pattern: "^[a-z.]+$"}]}
login:
  request: {method: POST, url: "https://sts.example/token", form: {subject_token: "${serviceAccountToken}"}}
  response: {accessToken: body.access_token}
`

func federation(t *testing.T, described string) (*Gatherer, *issuer, *v1alpha1.TokenCredential) {
	t.Helper()
	credential := full()
	credential.Spec = v1alpha1.TokenCredentialSpec{ProviderRef: v1alpha1.ProviderReference{Name: "shop"}, ServiceAccountName: "robot"}
	gatherer := gathererFor(t, newCluster(), described)
	made := &issuer{clock: clocktesting.NewFakePassiveClock(noon)}
	gatherer.ServiceAccounts = &ServiceAccounts{Client: made, Clock: made.clock}
	return gatherer, made, credential
}

// token is what a call would be made with.
func tokenFor(t *testing.T, g *Gatherer, credential *v1alpha1.TokenCredential) (string, error) {
	t.Helper()
	in, err := g.Gather(t.Context(), credential)
	if err != nil {
		t.Fatal(err)
	}
	complete, err := g.ForCall(t.Context(), credential, in)
	if err != nil {
		return "", err
	}
	return complete.Request(in.Seed, in.Seed, nil).ServiceAccountToken.Reveal(), nil
}

func TestATokenOfAServiceAccountIsUsedForMostOfItsLife(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		lives        time.Duration
		later        time.Duration
		change       func(credential *v1alpha1.TokenCredential)
		want         string
	}{
		{"soon after", "one token serves many calls", 0, 799 * time.Second, nil, "token-1"},
		{"after 80 % of its life", "the provider needs some of it", 0, 800 * time.Second, nil, "token-2"},
		{"the cluster issues it for less", "its own end counts", 100 * time.Second, 80 * time.Second, nil, "token-2"},
		{"another service account", "it is another's", 0, 0, func(c *v1alpha1.TokenCredential) { c.Spec.ServiceAccountName = "other" }, "token-2"},
		{"another audience", "it is for another", 0, 0, func(c *v1alpha1.TokenCredential) {
			c.Spec.Parameters = map[string]string{"host": "other.example"}
		}, "token-2"},
		{"another namespace", "it is another's", 0, 0, func(c *v1alpha1.TokenCredential) { c.Namespace = "other" }, "token-2"},
		{"none is named", "it is not asked for", 0, 0, func(c *v1alpha1.TokenCredential) { c.Spec.ServiceAccountName = "" }, ""},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			g, made, credential := federation(t, federated)
			made.lives = each.lives
			if got, err := tokenFor(t, g, credential); got != "token-1" || err != nil {
				t.Fatalf("got %q and %v", got, err)
			}
			if want := namespace + "/robot for https://sts.example, 16m40s"; made.asked[0] != want {
				t.Errorf("it asks for a token of %s, want %s", made.asked[0], want)
			}
			made.clock.SetTime(noon.Add(each.later))
			if each.change != nil {
				each.change(credential)
			}
			if got, err := tokenFor(t, g, credential); got != each.want || err != nil {
				t.Errorf("got %q and %v, want %q\nreason: %s", got, err, each.want, each.reason)
			}
		})
	}
}

func TestWhatKeepsATokenOfAServiceAccountFromBeingMade(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		fails        error
		host         string
		want         string
		says         string
		transient    bool
	}{
		{"the operator may not", "the message says which overlay lets it", apierrors.NewForbidden(accounts, "robot", errors.New("canary")), "", v1alpha1.PersistBlockedReason, "config/service-account-tokens", false},
		{"there is no such account", "the message names it", apierrors.NewNotFound(accounts, "robot"), "", v1alpha1.PersistBlockedReason, `no service account "robot"`, false},
		{"the API server is away", "it is tried again soon", errors.New("connection refused: canary"), "", v1alpha1.PersistBlockedReason, "could not be reached", true},
		{"an audience of this cluster", "the provider could act here with it", nil, "kubernetes.default.svc", v1alpha1.InvalidParametersReason, "API server", false},
		{"the issuer of this cluster", "whatever the API server is called, it knows it", nil, "issuer.example", v1alpha1.InvalidParametersReason, "API server", false},
		{"another name of this cluster", "it may have more than one", nil, "cluster.example", v1alpha1.InvalidParametersReason, "API server", false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			g, made, credential := federation(t, federated)
			made.fails = each.fails
			if each.host != "" {
				credential.Spec.Parameters = map[string]string{"host": each.host}
			}
			_, err := tokenFor(t, g, credential)
			p := problem.Of(err)
			if p == nil || p.Reason != each.want || p.Transient != each.transient || !strings.Contains(p.Message, each.says) || strings.Contains(p.Message, "canary") {
				t.Errorf("got %v, want %s that says %q\nreason: %s", err, each.want, each.says, each.reason)
			}
			if each.fails == nil && len(made.asked) > 0 {
				t.Error("it was asked for all the same")
			}
		})
	}
}

func TestAServiceAccountIsNamedWhereTheProviderNeedsOne(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason, described string
		missing                 bool
	}{
		{"it needs one", "no call can be made without", federated, true},
		{"it may do without", "an expression has the empty text then", strings.Replace(federated, "expirationSeconds: 1000", "optional: true", 1), false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			g, _, credential := federation(t, each.described)
			credential.Spec.ServiceAccountName = ""
			in, err := g.Gather(t.Context(), credential)
			if err != nil {
				t.Fatal(err)
			}
			if missing := in.Missing(noon); (missing != nil) != each.missing || missing != nil && !strings.Contains(missing.Message, "spec.serviceAccountName") {
				t.Errorf("got %v, want one: %t\nreason: %s", missing, each.missing, each.reason)
			}
		})
	}
}
