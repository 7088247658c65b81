// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Goal is the target as it is to be, and as it was found.
type Goal struct {
	Template *render.Template
	View     target.View
}

// Preflight finds what would refuse the target, before anything is spent: a template
// that does not compile, a Secret that may not be written, an older credential that
// writes it. An error is a *problem.Problem, or of the cache.
func (d *Deliverer) Preflight(ctx context.Context, credential *v1alpha1.TokenCredential, in *inputs.Inputs) (Goal, error) {
	template, err := d.templates.Compile(ctx, credential.Namespace, credential.Spec.Target, in.Provider.Outputs, in.Parameters)
	if err != nil {
		return Goal{}, err
	}
	cached, err := d.Secrets.Cached(ctx, client.ObjectKey{Namespace: credential.Namespace, Name: credential.TargetName()})
	if err != nil {
		return Goal{}, err
	}
	view, err := d.Targets.Inspect(ctx, credential, template, cached, KnownTarget(credential))
	if err != nil {
		return Goal{}, err
	}
	if rival := target.Rivals(credential, template, d.Rivals(ctx, credential)); rival != nil {
		return Goal{}, rival
	}
	return Goal{template, view}, nil
}

// KnownTarget is the version of the target that is known to hold the token; empty where
// none is.
func KnownTarget(credential *v1alpha1.TokenCredential) string {
	if known := credential.Status.Target; known != nil {
		return known.ResourceVersion
	}
	return ""
}

// cacheLag is for how long a target that has just been written may be missing from the
// cache.
const cacheLag = 10 * time.Second

// Glance is what the cache alone says of the target: that it is gone, or nothing (nil). A
// version that is not known may hold the token or not, which only a live read tells.
func (d *Deliverer) Glance(ctx context.Context, credential *v1alpha1.TokenCredential) *status.Target {
	cached, err := d.Secrets.Cached(ctx, client.ObjectKey{Namespace: credential.Namespace, Name: credential.TargetName()})
	last := credential.Status.LastRefreshTime
	if err != nil || cached != nil || last != nil && d.Clock.Now().Sub(last.Time) < cacheLag {
		return nil
	}
	return &status.Target{}
}

// IsGood reports whether the target's data is as it was written, from the present
// template.
func (g Goal) IsGood() bool { return g.View.Exists && g.View.Holds && g.View.Rendered }

// Target is what is reported of the target as it was found.
func (g Goal) Target(credential *v1alpha1.TokenCredential) *status.Target {
	return targetOf(credential, g.View)
}

// Validity is for how long the token in the target is good: by the target's mark, or by
// the status, where the target is as it was written and bears no mark. Zero: not known.
func (g Goal) Validity(credential *v1alpha1.TokenCredential) token.Validity {
	return validityIn(credential, g.View)
}

func targetOf(credential *v1alpha1.TokenCredential, view target.View) *status.Target {
	return &status.Target{
		ResourceVersion: view.ResourceVersion,
		Token:           validityIn(credential, view),
		Holds:           view.Exists && view.Holds,
	}
}

func validityIn(credential *v1alpha1.TokenCredential, view target.View) token.Validity {
	known := &credential.Status
	switch {
	case !view.Mark.IsZero():
		return view.Mark.Validity
	case view.Holds && known.LastRefreshTime != nil && known.ExpirationTime != nil:
		return token.Validity{IssuedAt: known.LastRefreshTime.Time, ExpiresAt: known.ExpirationTime.Time}
	}
	return token.Validity{}
}
