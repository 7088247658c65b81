// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/route"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
)

// Revoke ends the grant of a credential that is being deleted (RFC 7009), and deletes the
// state with its tokens, which are dead then; false: there is nothing to revoke. It fails
// with a *problem.Problem or a *Pause.
func (r *Refresher) Revoke(ctx context.Context, credential *v1alpha1.TokenCredential) (revoked bool, err error) {
	record, err := r.Recover(ctx, credential)
	if err != nil {
		return false, err
	}
	if !record.Exists() || record.Copied || record.State.RefreshToken.IsZero() && record.State.Token.IsZero() {
		return false, nil // nothing was obtained, or the original of this copy may be in use
	}
	in, err := r.Inputs.Gather(ctx, credential)
	if err != nil {
		return false, err
	}
	if in.Provider.Revoke == nil {
		return false, problem.New(v1alpha1.ProviderInvalidReason, "the provider %s describes no revoke", in.Provider.Name)
	}
	if missing := in.Missing(r.Clock.Now()); missing != nil {
		return false, missing
	}
	if in.SingleUse(record.State) {
		found, err := r.resolve(ctx, Job{Credential: credential, Inputs: in, Found: Found{Record: record}})
		if err != nil {
			return false, err
		}
		if record = found.Record; found.Recovery == recovery.Wait {
			return false, r.pause("another process holds the claim on the refresh token")
		}
	}
	if in, err = r.Inputs.ForCall(ctx, credential, in); err != nil {
		return false, err
	}
	if err := r.renewalOf(Job{Credential: credential, Inputs: in, Found: Found{Record: record}}, record).revoke(ctx); err != nil {
		return false, err
	}
	return true, r.Saver.States.Remove(ctx, record)
}

// revoke asks the origin of the grant to end it.
func (x *renewal) revoke(ctx context.Context) error {
	in, state, way := x.job.Inputs, x.record.State, route.OfGrant(x.job.Inputs)
	x.visit.Origin = route.OriginOf(in, state)
	if err := x.visit.Prepare(ctx, way, state); err != nil {
		return err
	}
	if !route.MayRevoke(state.Origin, x.visit.Origin) {
		return problem.New(v1alpha1.ReauthorizationRequiredReason,
			"the grant belongs to %s, and it would be revoked at %s now, which is sent nothing of what the other gave", state.Origin.Refresh, x.visit.Origin.Revoke)
	}
	_, err := x.visit.Ask(ctx, way, in.Provider.Revoke, state)
	if problem.Is(err, v1alpha1.ReauthorizationRequiredReason) {
		return nil // it is not accepted any more
	}
	return err
}
