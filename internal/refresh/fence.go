// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"

	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/refresh/advice"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/twins"
)

// fence is the last look before a token that is claimed is sent.
type fence struct{ *claim }

// check holds back a token that should not be sent although it is claimed: what was
// checked before does not hold any more, the process is ending or has lost its lease, it
// was frozen since the claim, or an older credential works on the same token.
func (f fence) check(ctx context.Context) error {
	if f.isFirst && f.x.job.Recheck != nil { // the state Secret may have taken the last room
		if err := f.x.job.Recheck(ctx); err != nil {
			return err
		}
	}
	if f.x.record.State.Untried() {
		if err := f.checkTwin(ctx); err != nil {
			return err
		}
	}
	if ctx.Err() != nil || f.isLate() {
		return f.x.r.pause("the claim came too late to send")
	}
	if f.doubtful != nil && !f.maySendAgain() {
		return f.x.r.pause("the reuse window has closed meanwhile")
	}
	return nil
}

// isLate reports whether too much time has passed since the claim was sent: another
// process may have taken the token over.
func (f fence) isLate() bool { return f.x.r.Clock.Now().Sub(f.sentAt) > fenceTimeout }

// maySendAgain reports whether the token of an unknown outcome may still be sent
// once more.
func (f fence) maySendAgain() bool {
	before := f.x.record.State
	before.Attempt = f.doubtful
	return f.x.r.recoveryOf(f.x.job.Credential, f.x.job.Inputs, before, f.x.job.Found.heard) == f.x.job.Found.Recovery
}

// checkTwin looks for an older state on the same refresh token.
func (f fence) checkTwin(ctx context.Context) error {
	twin, err := f.x.r.Twins.Older(ctx, f.x.record)
	switch contended := errors.Is(err, twins.ErrContended); {
	case contended && f.x.r.Saver.Attempts.Contention.Meet(f.x.key, f.x.r.Clock.Now()) < recovery.HolderTimeout:
		return &problem.Pause{Until: f.x.r.Clock.Now().Add(contendedPause), Why: problem.OneLine(err)}
	case err != nil && !contended:
		return f.x.notSaved(err)
	case twin != nil: // one that is contended for longer has been sent, and its outcome is not known
		f.x.result.Answered = true // a refresh that was asked for is answered by that
		return advice.Duplicate(f.x.job.Credential, twin)
	}
	f.x.r.Saver.Attempts.Contention.End(f.x.key)
	return nil
}
