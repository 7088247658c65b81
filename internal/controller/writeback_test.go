// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

func TestAWriteBackThatIsRefusedIsToldEachTime(t *testing.T) {
	t.Parallel()
	refusing := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return apierrors.NewForbidden(corev1.Resource("secrets"), "seed", nil)
		},
	})
	clock := clocktesting.NewFakePassiveClock(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
	r := NewReconciler(Parts{Client: refusing, Clock: clock})
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	credential.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{Name: "seed", WriteBack: true}
	state := rotation.State{RefreshToken: secret.New("live"), PreviousRefreshToken: secret.New("before")}
	acted := action{result: refresh.Result{Record: &rotation.Record{State: state}}}
	for range 3 {
		told := r.writeBack(t.Context(), credential, &inputs.Inputs{Seed: secret.New("theirs")}, acted, delivery{})
		if told.seed == nil || told.notice != nil {
			t.Errorf("told %v and %v, want the refusal alone: it stands for as long as it is not mended, and nobody else writes", told.seed, told.notice)
		}
	}
}
