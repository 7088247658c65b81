// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

const (
	// hostileHost is that of the attackers' provider.
	hostileHost = "provider.hostile.example"
	hostilePath = "/oauth/token"
	// outOfBounds ends an operator that has grown to so much: the machine has other
	// things to do, and the goal is missed long before.
	outOfBounds = 2048 * mebibyte
	// samplePause is how often memory is read.
	samplePause = 50 * time.Millisecond
)

// assault is an attack under way.
type assault struct {
	*lab
	namespace string
	refused   atomic.Int64 // objects that the API server did not take
	// calls is a goal for the calls that met a misbehaving provider; 0: there is none.
	calls goal
}

// report adds what else there is to be known of an attack.
func (a *assault) report(r *result, name string, calls float64) {
	if a.calls.bound > 0 {
		r.judge(name+"calls to the provider", calls, "", a.calls)
	} else {
		r.add(name+"calls to the provider", calls, "")
	}
	if refused := a.refused.Load(); refused > 0 {
		r.add(name+"objects that the API server refused", float64(refused), "")
	}
}

// reply is what the attackers' provider says from now on.
func (a *assault) reply(ctx context.Context, body string) error {
	return a.misbehave(ctx, simulator.Fault{Reply: &simulator.Reply{Body: body}})
}

// misbehave is what the attackers' provider does wrong from now on.
func (a *assault) misbehave(ctx context.Context, fault simulator.Fault) error {
	return a.simulator.misbehave(ctx, simulator.Match{Host: hostileHost}, fault)
}

// shortReply is that of a provider whose tokens are always due.
const shortReply = `{"access_token":"hostile","token_type":"Bearer","expires_in":2}`

// try makes an object that the API server may refuse.
func (a *assault) try(ctx context.Context, object client.Object) error {
	err := a.Create(ctx, object)
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err) {
		a.refused.Add(1)
		return nil
	}
	return err
}

// credentials makes so many, all at once, at the attackers' provider; change makes each
// what it is.
func (a *assault) credentials(ctx context.Context, first, count int, change func(i int, credential *v1alpha1.TokenCredential, seed *corev1.Secret)) error {
	return inParallel(ctx, writers, count, func(ctx context.Context, i int) error {
		name := fmt.Sprintf("hostile-%06d", first+i)
		seed := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: name + "-seed"},
			StringData: map[string]string{"refresh_token": "hostile-seed-" + a.namespace + name},
		}
		credential := &v1alpha1.TokenCredential{
			ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: name},
			Spec: v1alpha1.TokenCredentialSpec{
				ProviderRef:           v1alpha1.ProviderReference{Name: "oauth2"},
				AppSecretRef:          &v1alpha1.AppSecretReference{Name: v1alpha1.SecretName(appSecret(simulator.MCS))},
				RefreshTokenSecretRef: &v1alpha1.RefreshTokenSecretReference{Name: v1alpha1.SecretName(seed.Name)},
				Parameters:            map[string]string{"tokenURL": "https://" + hostileHost + hostilePath},
			},
		}
		if change != nil {
			change(i, credential, seed)
		}
		if err := a.try(ctx, seed); err != nil {
			return err
		}
		return a.try(ctx, credential)
	})
}

// residentPeak is the most memory that a process was seen to hold.
type residentPeak struct{ resident float64 }

// watch samples a process until it or ctx ends.
func (p *residentPeak) watch(ctx context.Context, m *manager) {
	for {
		resident, _, err := residentBytes(m.PID())
		if err != nil {
			return // it has ended
		}
		p.resident = max(p.resident, resident)
		if resident > outOfBounds {
			m.Kill()
			return
		}
		if pause(ctx, samplePause) != nil {
			return
		}
	}
}
