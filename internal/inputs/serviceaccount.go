// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/lru"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/turnstile"
)

const (
	serviceAccountField = "spec.serviceAccountName"

	// ServiceAccountTokensRole is what lets the operator make tokens of service accounts.
	ServiceAccountTokensRole = "config/service-account-tokens"

	// maxAccountTokens bounds the tokens in memory, in bytes: some thousands. The namespace
	// that holds most makes room for others.
	maxAccountTokens = 8 << 20

	// askedAtOnce is how many tokens of a namespace are asked for at once.
	askedAtOnce = 8

	// usedShare of a token's life is how long it is used, in percent, as kubelets do: what
	// is left is time for the provider to judge it.
	usedShare = 80

	// ownAudiencesFor is how long the names of the API server hold, which change where it is
	// started anew with other flags.
	ownAudiencesFor = time.Hour
)

// ServiceAccounts makes tokens of service accounts (the TokenRequest API), and keeps each
// for most of its life. The zero value has no right to make any.
type ServiceAccounts struct {
	Client client.SubResourceClientConstructor
	Clock  interface{ Now() time.Time }

	once   sync.Once
	known  *lru.Cache[accountToken, issued]
	asking singleflight.Group
	asked  *turnstile.Turnstile

	mu       sync.Mutex
	own      []string // audiences of the API server
	ownUntil time.Time
}

// accountToken names a token: whose it is, for whom, and for how long it was asked for.
type accountToken struct {
	namespace, name, audience string
	expiration                time.Duration
}

type issued struct {
	token secret.Text
	until time.Time // it is used until then
}

// ForCall are a credential's inputs with what is made for a call alone: a token of its
// service account. It fails with a *problem.Problem.
func (g *Gatherer) ForCall(ctx context.Context, credential *v1alpha1.TokenCredential, in *Inputs) (*Inputs, error) {
	wanted, name := in.Provider.ServiceAccountToken, string(credential.Spec.ServiceAccountName)
	if wanted == nil || name == "" {
		return in, nil
	}
	audience, err := audienceOf(wanted, in.Parameters)
	if err != nil {
		return nil, err
	}
	token, err := g.ServiceAccounts.token(ctx, accountToken{credential.Namespace, name, audience, wanted.Expiration})
	if err != nil {
		return nil, err
	}
	complete := *in
	complete.ServiceAccountToken = token
	return &complete, nil
}

// audienceOf a token. One that this cluster's API server takes for its own is refused, as
// a Secret of a service-account token is: the provider could act here with it.
func audienceOf(wanted *provider.ServiceAccountToken, parameters map[string]string) (string, error) {
	audience, err := wanted.Audience(parameters)
	if err != nil {
		return "", problem.New(v1alpha1.InvalidParametersReason, "%s", problem.OneLine(err))
	}
	if strings.Contains(audience, "kubernetes.default") || audience == "api" {
		return "", ofThisCluster(audience)
	}
	return audience, nil
}

// ofThisCluster says that an audience is this cluster's API server.
func ofThisCluster(audience string) *problem.Problem {
	return problem.New(v1alpha1.InvalidParametersReason,
		"the audience %q is this cluster's API server, so the provider could act here as the service account: the provider's spec.inputs.serviceAccountToken.audience, or the parameter in it, must name the provider", audience)
}

// missingServiceAccount says that a provider needs a service account and none is named.
func (in *Inputs) missingServiceAccount(credential *v1alpha1.TokenCredential) *problem.Problem {
	wanted := in.Provider.ServiceAccountToken
	if wanted == nil || wanted.Optional || credential.Spec.ServiceAccountName != "" {
		return nil
	}
	return problem.New(v1alpha1.InvalidParametersReason,
		"the provider %s takes a token of a service account: set %s to one of this namespace", in.Provider.Name, serviceAccountField)
}

func (s *ServiceAccounts) token(ctx context.Context, of accountToken) (secret.Text, error) {
	if known, ok := s.cache().Get(of); ok && s.Clock.Now().Before(known.until) {
		return known.token, nil
	}
	// Thousands may use one service account, and come at the same time.
	made := s.asking.DoChan(fmt.Sprint(of), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		return s.make(ctx, of)
	})
	select {
	case result := <-made:
		if result.Err != nil {
			return secret.Text{}, result.Err
		}
		return result.Val.(secret.Text), nil
	case <-ctx.Done():
		return secret.Text{}, ctx.Err()
	}
}

// make asks the API server for a token.
func (s *ServiceAccounts) make(ctx context.Context, of accountToken) (secret.Text, error) {
	leave, err := s.asked.Enter(ctx, of.namespace)
	if err != nil {
		return secret.Text{}, err
	}
	defer leave()
	own, err := s.ownAudiences(ctx, of)
	if err != nil {
		return secret.Text{}, err
	}
	if slices.Contains(own, of.audience) {
		return secret.Text{}, ofThisCluster(of.audience)
	}
	now := s.Clock.Now()
	request, err := s.request(ctx, of, []string{of.audience})
	if err != nil {
		return secret.Text{}, err
	}
	token := secret.New(request.Status.Token)
	life := of.expiration
	if expires := request.Status.ExpirationTimestamp; !expires.IsZero() { // a cluster may issue it for less, or for more
		life = expires.Sub(now)
	}
	s.cache().Put(of, issued{token, now.Add(life * usedShare / 100)}, entryOverhead+len(request.Status.Token)+len(of.audience))
	return token, nil
}

// ownAudiences are what the API server takes for its own: its issuer, unless it was started
// with other names, which no object of the cluster tells. Where a token is asked for
// without an audience, it fills them in; that token is not kept.
func (s *ServiceAccounts) ownAudiences(ctx context.Context, of accountToken) ([]string, error) {
	now := s.Clock.Now()
	s.mu.Lock()
	own, fresh := s.own, now.Before(s.ownUntil)
	s.mu.Unlock()
	if fresh {
		return own, nil
	}
	request, err := s.request(ctx, of, nil)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own, s.ownUntil = request.Spec.Audiences, now.Add(ownAudiencesFor)
	return s.own, nil
}

// request asks for a token, and gives the answer.
func (s *ServiceAccounts) request(ctx context.Context, of accountToken, audiences []string) (*authenticationv1.TokenRequest, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: of.namespace, Name: of.name}}
	seconds := int64(of.expiration / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds}}
	if err := s.Client.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, notMade(err, of)
	}
	return request, nil
}

// notMade says why there is no token. No reason of it is for a person of the credential
// alone to mend, so that it is tried again.
func notMade(err error, of accountToken) *problem.Problem {
	switch {
	case apierrors.IsNotFound(err):
		return problem.New(v1alpha1.PersistBlockedReason,
			"there is no service account %q in the namespace (%s): create it, or name another; it is tried again", of.name, serviceAccountField)
	case apierrors.IsForbidden(err):
		return problem.New(v1alpha1.PersistBlockedReason,
			"the operator may not make tokens of service accounts (%s): an admin of the cluster allows it with %s (kubectl apply -k); it is tried again", serviceAccountField, ServiceAccountTokensRole)
	default:
		return problem.APIServer(err, fmt.Sprintf("make a token of the service account %q", of.name), "")
	}
}

func (s *ServiceAccounts) cache() *lru.Cache[accountToken, issued] {
	s.once.Do(func() {
		s.known = lru.New(maxAccountTokens, func(of accountToken, _ issued) string { return of.namespace })
		s.asked = turnstile.New(askedAtOnce)
	})
	return s.known
}
