// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/hack/local"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// operator is the operator over its lives: one that is killed is started again, as a
// kubelet would.
type operator struct {
	start func(context.Context) (*local.Manager, error)
	*local.Manager
	// killedAt is when the life before ended, and callsThen how many calls providers had
	// had; zero once what was kept has been said.
	killedAt  time.Time
	callsThen int64
}

func (o *operator) begin(ctx context.Context) (err error) {
	o.Manager, err = o.start(ctx)
	return err
}

// revive starts the operator again after it was killed, and says so. An operator that ends
// by itself is a failure.
func (o *operator) revive(ctx context.Context, providers *providers) (string, error) {
	if !o.WasKilled() {
		return "", o.Died()
	}
	o.killedAt, o.callsThen = time.Now(), providers.Calls(simulator.Match{})
	if err := o.begin(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("the operator was killed; it is started again, as process %d", o.PID()), nil
}

// kept says, once the operator is ready again, what its death has cost.
func (o *operator) kept(ctx context.Context, board *board, providers *providers) (string, bool) {
	if o.killedAt.IsZero() || !o.Ready(ctx) {
		return "", false
	}
	hold := 0
	for _, r := range board.ordered() {
		if holdsValidToken(board.secret(ctx, r.credential.TargetName()), providers) {
			hold++
		}
	}
	text := fmt.Sprintf("it is back after %s: %d of %d targets hold a valid token still, no refresh token is lost, and %d calls were made since, for tokens that were due",
		time.Since(o.killedAt).Round(100*time.Millisecond), hold, len(board.ordered()), providers.Calls(simulator.Match{})-o.callsThen)
	if stalled := board.stalled(); stalled != "" {
		text = fmt.Sprintf("it is back after %s: %d of %d targets hold a valid token still; killed in the middle of a call, and said so: %s (what to do: kubectl describe)",
			time.Since(o.killedAt).Round(100*time.Millisecond), hold, len(board.ordered()), stalled)
	}
	o.killedAt = time.Time{}
	return text, true
}
