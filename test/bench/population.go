// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

const (
	// namespace of all credentials where a scenario names no other.
	namespace = "bench"
	// writers is how many requests a population is made with at once.
	writers = 32
	// grantsAtOnce is how many grants the simulator is told of in one request.
	grantsAtOnce = 5000
)

func appSecret(vendor simulator.Vendor) string { return "app-" + string(vendor) } // as in auditPolicy

// population is a number of credentials that are alike but for their names and
// their refresh tokens, each with a seed Secret of its own.
type population struct {
	// namespace is that of the constant where it is empty.
	namespace string
	vendor    simulator.Vendor
	// provider is the vendor's built-in where it is empty.
	provider v1alpha1.ProviderReference
	// parameters of a vendor that needs none.
	parameters map[string]string
	renewal    v1alpha1.Renewal
	// first and count of the serial numbers in their names.
	first, count int
	// spread makes them over so much time, ever faster up to its middle and ever
	// slower from there on; 0: as fast as may be.
	spread time.Duration
}

// moment is when the i-th is made, after the first.
func (p population) moment(i int) time.Duration {
	share := (float64(i) + 0.5) / float64(p.count)
	part := math.Sqrt(share / 2)
	if share > 0.5 {
		part = 1 - math.Sqrt((1-share)/2)
	}
	return time.Duration(part * float64(p.spread))
}

// key of the i-th credential, and of its target.
func (p population) key(i int) types.NamespacedName {
	return types.NamespacedName{Namespace: cmp.Or(p.namespace, namespace), Name: fmt.Sprintf("%s-%06d", p.vendor, p.first+i)}
}

// grantOf is the simulator's identifier of a credential's grant.
func grantOf(key types.NamespacedName) string { return key.String() }

// alwaysDue is how soon after its issue a token is due at the earliest.
const alwaysDue = 5 * time.Second

// always is a renewal that is due all the time, as far as the operator lets it, while
// the token lives for an hour.
func always() v1alpha1.Renewal {
	return v1alpha1.Renewal{Before: &v1alpha1.Duration{Duration: metav1.Duration{Duration: time.Hour - time.Second}}}
}

// populate makes grants, seeds and credentials.
func populate(ctx context.Context, l *lab, p population) error {
	began := time.Now()
	tokens, err := grantTokens(ctx, l, p)
	if err != nil {
		return err
	}
	var made atomic.Int64
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go l.everyPause(ctx, func() {
		l.say("  %d of %d credentials made", made.Load(), p.count)
	})
	err = inParallel(ctx, writers, p.count, func(ctx context.Context, i int) error {
		if p.spread > 0 {
			if err := pause(ctx, time.Until(began.Add(p.moment(i)))); err != nil {
				return err
			}
		}
		defer made.Add(1)
		if err := makeSeed(ctx, l, p, i, tokens[i]); err != nil {
			return err
		}
		return makeCredential(ctx, l, p, i)
	})
	if err != nil {
		return fmt.Errorf("make credentials: %w", err)
	}
	l.say("  %d credentials of %s made in %s", p.count, p.vendor, time.Since(began).Round(time.Second))
	return nil
}

// grantTokens lets the simulator know the refresh tokens.
func grantTokens(ctx context.Context, l *lab, p population) ([]string, error) {
	tokens := make([]string, 0, p.count)
	for len(tokens) < p.count {
		grants := make([]simulator.Grant, 0, grantsAtOnce)
		for i := len(tokens); i < min(len(tokens)+grantsAtOnce, p.count); i++ {
			grants = append(grants, simulator.Grant{ID: grantOf(p.key(i)), Vendor: p.vendor, App: appOf(p.vendor).Key})
		}
		made, err := l.simulator.seed(ctx, nil, grants)
		if err != nil {
			return nil, err
		}
		for _, grant := range made {
			tokens = append(tokens, grant.RefreshToken)
		}
	}
	return tokens, nil
}

func seedOf(key types.NamespacedName) string { return key.Name + "-seed" }

func makeSeed(ctx context.Context, l *lab, p population, i int, token string) error {
	key := p.key(i)
	return l.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: seedOf(key)},
		StringData: map[string]string{"refresh_token": token},
	})
}

func makeCredential(ctx context.Context, l *lab, p population, i int) error {
	key := p.key(i)
	provider := p.provider
	if provider.Name == "" {
		provider = v1alpha1.ProviderReference{Name: string(p.vendor)}
	}
	credential := &v1alpha1.TokenCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Spec: v1alpha1.TokenCredentialSpec{
			ProviderRef:           provider,
			AppSecretRef:          &v1alpha1.AppSecretReference{Name: v1alpha1.SecretName(appSecret(p.vendor))},
			RefreshTokenSecretRef: &v1alpha1.RefreshTokenSecretReference{Name: v1alpha1.SecretName(seedOf(key))},
			Renewal:               p.renewal,
			Parameters:            p.parameters,
		},
	}
	if uri := appOf(p.vendor).RedirectURI; uri != "" {
		credential.Spec.Parameters = map[string]string{"redirectURI": uri}
	}
	return l.Create(ctx, credential)
}

// shortLived gives a population tokens of a short lifetime.
func shortLived(ctx context.Context, l *lab, p population, lifetime time.Duration) (population, error) {
	if p.vendor != simulator.MCS {
		return p, l.simulator.setLifetime(ctx, lifetime)
	}
	var err error
	p.provider, err = shortLivedMCS(ctx, l, lifetime)
	return p, err
}

// shortLivedMCS describes MCS as the built-in does, but for the lifetime, which
// no reply of it states.
func shortLivedMCS(ctx context.Context, l *lab, lifetime time.Duration) (v1alpha1.ProviderReference, error) {
	specs, err := builtin.Specs()
	if err != nil {
		return v1alpha1.ProviderReference{}, err
	}
	described := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: "mcs-short"}, Spec: specs["mcs"]}
	described.Spec.Lifetime.AccessToken = &v1alpha1.Duration{Duration: metav1.Duration{Duration: lifetime}}
	return v1alpha1.ProviderReference{Kind: v1alpha1.ClusterProvider, Name: described.Name}, l.Create(ctx, described)
}

// inParallel does something for each number below n, in order of the numbers as
// far as so many workers keep to it, until one fails.
func inParallel(ctx context.Context, workers, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}
