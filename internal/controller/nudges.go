// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/delivery"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/nudge"
	"github.com/tokenkeeper/tokenkeeper/internal/status"
	"github.com/tokenkeeper/tokenkeeper/internal/target"
)

// nudge has the pods nudged that mount a target which was just written, and reports why a
// credential that asks for nudges gets none. It stands in the way of nothing.
func (r *Reconciler) nudge(credential *v1alpha1.TokenCredential, delivered delivery.Delivery, report status.Report) status.Report {
	if delivered.Written {
		r.Nudges.Published(credential)
	}
	if report.Notice == nil && delivered.Target != nil && delivered.Target.Holds {
		report.Notice = r.Nudges.Notice(credential)
	}
	return report
}

// newNudges adds the lane of nudges to a manager, if it is turned on.
func newNudges(mgr ctrl.Manager, options Options, secrets *inputs.Secrets, tokensWait func() bool, counters *metrics.Metrics) (*nudge.Lane, error) {
	if !options.NudgePods {
		return nil, nil
	}
	pods, err := nudge.NewAPIServer(mgr.GetConfig(), mgr.GetHTTPClient(), mgr.GetClient())
	if err != nil {
		return nil, err
	}
	lane := nudge.New(nudge.Parts{
		Pods:       pods,
		Clock:      options.Clock,
		Log:        mgr.GetLogger().WithName("nudge"),
		Count:      func(result nudge.Result) { counters.Nudged(string(result)) },
		TokensWait: tokensWait,
		Published:  func(ctx context.Context) []nudge.Target { return publishedTargets(ctx, mgr.GetClient(), secrets) },
	})
	return lane, mgr.Add(lane)
}

// publishedTargets are those of the credentials that ask for nudges, with the time at which
// the token came that is in them, by the caches.
func publishedTargets(ctx context.Context, credentials client.Reader, secrets *inputs.Secrets) []nudge.Target {
	var list v1alpha1.TokenCredentialList
	if err := credentials.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil // the cache is not there, so that the process is ending
	}
	var targets []nudge.Target
	for i := range list.Items {
		credential := &list.Items[i]
		if !credential.Spec.Target.NudgePods {
			continue
		}
		key := types.NamespacedName{Namespace: credential.Namespace, Name: credential.TargetName()}
		if cached, err := secrets.Cached(ctx, key); err == nil {
			if mark := target.Glance(cached, credential).Mark; !mark.IsZero() {
				targets = append(targets, nudge.Target{Secret: key, At: mark.IssuedAt})
			}
		}
	}
	return targets
}
