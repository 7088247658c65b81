// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"time"

	"github.com/google/uuid"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// claim is a renewal's claim on a single-use token, from when it is saved until it is
// withdrawn or its outcome is committed (settle.go).
type claim struct {
	x      *renewal
	sentAt time.Time // when it was sent to the API server
	// since is the newest revision of the cluster that was known then.
	since string
	// isFirst is true where the claim has created the state Secret.
	isFirst bool
	// resend is true where the token of an attempt of unknown outcome, doubtful, is sent
	// once more. That attempt is put back where the token does not come to be sent.
	resend   bool
	doubtful *rotation.Attempt
	// sent is the token that it sends.
	sent secret.Text
	// before is what the token was bound to before the claim.
	before rotation.Origin
}

// claim announces that the live token is about to be sent.
func (x *renewal) claim(ctx context.Context, state rotation.State) (*claim, error) {
	c := &claim{x: x, sent: state.RefreshToken, resend: x.job.Found.Recovery == recovery.Resend && x.job.Found.Seed != rotation.SeedNew}
	if c.resend {
		c.doubtful = state.Attempt
	}
	attempt := c.attempt()
	c.before, state.Origin = state.Origin, state.Origin.Or(x.visit.Origin)
	c.sentAt, c.since, c.isFirst = x.r.Clock.Now(), x.r.Horizon.Newest(), !x.record.Exists()
	if err := c.announce(ctx, state.Claim(attempt)); err != nil {
		x.r.Saver.Attempts.Miss(x.key, attempt.ID)
		return nil, x.notSaved(err)
	}
	x.adopted()
	x.r.Saver.Attempts.Observe(x.key, x.record)
	return c, nil
}

// attempt describes the claim. A token that is sent again keeps the time at which it
// was first sent, since that is when its reuse window opened.
func (c *claim) attempt() rotation.Attempt {
	attempt := rotation.Attempt{ID: uuid.NewString(), Holder: c.x.r.Holder, Started: c.x.r.Clock.Now().UTC(), Resend: c.resend}
	if c.x.r.Calls.Courier != nil {
		attempt.Courier = c.x.r.Calls.Courier.Instance()
	}
	if c.doubtful != nil {
		attempt.Started = c.doubtful.Started
	}
	return attempt
}

// announce saves the claim, unless the process is ending. Once it is under way a
// shutdown does not cut it off: a claim that is saved without an answer would stay, and
// tell the next process of a token that was never sent.
func (c *claim) announce(ctx context.Context, claimed rotation.State) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fenceTimeout)
	defer cancel()
	return c.x.r.Saver.States.Save(ctx, c.x.record, claimed)
}

// wentBack reports whether the cluster was put back to an earlier revision, which the write
// of the claim shows: what stands in its state may have been sent since.
func (c *claim) wentBack(ctx context.Context) bool {
	wentBack, err := c.x.r.Horizon.Passed(c.since, c.x.record.ResourceVersion())
	if err != nil {
		log.FromContext(ctx).Error(err, "a cluster that is put back is not noticed after a restart")
	}
	return wentBack
}

// hold ends the claim without sending, and has the state count as a copy.
func (c *claim) hold(ctx context.Context) error {
	return c.end(ctx, func(state rotation.State, attempt string) rotation.State {
		state.Origin = c.before
		state = state.Withdraw(attempt, c.doubtful)
		state.Held = true
		return state
	}, advice.Restored(c.x.job.Credential, !c.isFirst))
}
