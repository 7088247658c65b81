// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import "slices"

// mutations of what protects a token, and of what says that one is lost.
func mutations() []mutation {
	return slices.Concat(mutationsOfTheProtocol(), mutationsOfTheCourier(), mutationsAroundIt(), mutationsOfLiveness())
}

func mutationsOfTheProtocol() []mutation {
	return []mutation{
		{
			name: "no claim", why: "a token is sent, and nothing durable says so", always: true,
			pkg: "refresh", function: "claim.announce",
			body: `err := c.x.r.Saver.States.Save(context.WithoutCancel(ctx), c.x.record, claimed.Withdraw(claimed.Attempt.ID, nil))
				c.x.record.State = claimed
				return err`,
		},
		{
			name: "no proof is asked for", why: "a token that nobody has tried is sent without a claim", always: true,
			pkg: "inputs", function: "Inputs.SingleUse",
			body: `return in.Provider.Rotation.Mode == v1alpha1.SingleUse && in.SingleUseOriginal(state)`,
		},
		{
			name: "every commit proves", why: "a token that nobody has tried is sent without a claim",
			pkg: "rotation", function: "State.Commit",
			body: `next := s.CommitOriginal(grant, exchange)
				next.Proof = Proof{Attempt: exchange.Attempt, Token: next.RefreshToken.Digest(), Origin: next.Origin.Refresh}
				return next`,
		},
		{
			name: "a claim alone is at stake", why: "the successor of a proven token is dropped while its process lives",
			pkg: "rotation", function: "Change.AtStake",
			body: `return s.Attempt != nil`,
		},
		{
			name: "commit behind the target", why: "pods get a token whose successor nobody has saved", always: true,
			pkg: "refresh", function: "claim.save",
			body: `c.x.r.Saver.Go(ctx, func(ctx context.Context) { _ = c.saveOriginal(ctx, outcome) })
				return nil`,
		},
		{
			name: "no fence", why: "a process that was frozen sends what another has taken over", always: true,
			pkg: "refresh", function: "fence.isLate",
			body: `return false`,
		},
		{
			name: "a withdrawal removes another's claim", why: "a token that may be spent counts as never sent",
			pkg: "refresh", function: "claim.end",
			body: `err := c.x.commit(ctx, func(stored rotation.State) (rotation.State, bool) {
					if stored.Attempt == nil {
						return stored, false
					}
					return transition(stored, stored.Attempt.ID), true
				})
				if errors.Is(err, store.ErrSuperseded) {
					return c.x.r.pause("nothing is claimed")
				}
				if err != nil {
					return c.x.notSaved(err)
				}
				return why`,
		},
		{
			name: "a commit removes another's claim", why: "a retry under way is forgotten",
			pkg: "rotation", function: "State.Commit",
			body: `next := s.CommitOriginal(grant, exchange)
				next.supersede()
				return next`,
		},
		{
			name: "an overtaken retry is forgotten", why: "a successor that the provider may have replaced is sent",
			pkg: "rotation", function: "Attempt.overtakenBy",
			body: `return a`,
		},
		{
			name: "the ledger is not consulted", why: "a spent seed that was put back is sent",
			pkg: "rotation", function: "Lineage.Judge",
			body: `if found := l.JudgeOriginal(seed); found != SeedSpent {
					return found
				}
				return SeedNew`,
		},
		{
			name: "the doubt about a resend is forgotten", why: "a retry that never left clears the first time",
			pkg: "rotation", function: "State.Withdraw",
			body: `return s.WithdrawOriginal(attempt, nil)`,
		},
		{
			name: "a loss is told by the status alone", why: "after a crash nothing says that the token is lost",
			pkg: "rotation", function: "State.Lose",
			body: `return s.Withdraw(attempt, nil)`,
		},
		{
			name: "recovery sends again whatever it finds", why: "a spent token is sent",
			pkg: "rotation/recovery", function: "Observer.Decide",
			body: `if found := o.DecideOriginal(s); found != Unknown || s.Attempt.Resend {
					return found
				}
				return Resend`,
		},
		{
			name: "an attempt from the future is inside the window", why: "with clocks that differ a spent token is sent",
			pkg: "rotation/recovery", function: "Observer.Decide",
			body: `found := o.DecideOriginal(s)
				if found == Unknown && !s.Attempt.Resend && o.Now.Before(s.Attempt.Started) {
					return Resend
				}
				return found`,
		},
		{
			name: "the state is saved without looking at its version", why: "of two writers both succeed",
			pkg: "rotation/store", function: "Store.Save",
			body: `latest := &corev1.Secret{}
				if record.Exists() && s.Client.Get(ctx, client.ObjectKeyFromObject(record.secret), latest) == nil {
					record.secret = record.secret.DeepCopy()
					record.secret.ResourceVersion = latest.ResourceVersion
				}
				return s.SaveOriginal(ctx, record, next)`,
		},
		{
			name: "an edited URL is followed", why: "the live refresh token is sent to another host",
			pkg: "rotation", function: "Lineage.HasMoved",
			body: `return false`,
		},
		{
			name: "a claim binds nothing", why: "nobody knows later where the token was sent",
			pkg: "rotation", function: "Origin.Or",
			body: `return o`,
		},
		{
			name: "a commit gives up", why: "the successor is dropped while its process lives",
			pkg: "rotation/store", function: "Store.Commit",
			body: `err := (&commit{store: s, credential: credential, record: record, change: change, sent: record.State}).try(ctx)
				if err != nil {
					refused(err)
				}
				return err`,
		},
	}
}

func mutationsAroundIt() []mutation {
	return []mutation{
		{
			name: "a failed publication counts as one", why: "the target keeps the old token, and Ready tells the new one's expiry",
			pkg: "delivery", function: "Deliverer.publish",
			body: `done := d.publishOriginal(ctx, job)
				if done.Publication != nil {
					done.Publication, done.Target = nil, job.Goal.Target(job.Credential)
					done.Target.Token, done.Target.Holds = job.Token.Validity, true
				}
				return done`,
		},
		{
			name: "the renewal's outcome is hidden by the target's", why: "nobody is told that the refresh token may be lost",
			pkg: "status", function: "Report.problems",
			body: `if r.Publication != nil {
					return []*problem.Problem{r.Publication}
				}
				return r.problemsOriginal(old)`,
		},
		{
			name: "a mistyped seed is spent", why: "the good seed that is put back is ignored",
			pkg: "rotation", function: "Lineage.retire",
			body: `l.Spent = l.Spent.Add(l.RefreshToken.Digest())`,
		},
		{
			name: "a login ends another's claim", why: "what the other brings has no place any more",
			pkg: "refresh", function: "unclaimed.change",
			body: `return func(stored rotation.State) (rotation.State, bool) {
					if stored.Attempt != nil {
						stored = stored.Lose(stored.Attempt.ID)
					}
					adopted := u.x.adopt(stored)
					return weigh.Following(u.x.job.Inputs, adopted, outcome, u.exchange), adopted.Accepts(u.exchange)
				}`,
		},
		{
			name: "a status of a process that fell behind overwrites", why: "the status falls back to an older token",
			pkg: "status", function: "isBehind",
			body: `return false`,
		},
		{
			name: "a refusal stands over a successor", why: "a credential stays stalled, though its token lives",
			pkg: "decision", function: "IsOutdated",
			body: `found.Replaced = false
				return IsOutdatedOriginal(known, current, found, now)`,
		},
		{
			name: "suspend skips recovery", why: "what a process received before it died is lost with its pod",
			pkg: "controller", function: "Reconciler.renew",
			body: `if credential.Spec.Suspend {
					return outcome{report: status.Report{Suspended: true, Target: r.delivery.Glance(ctx, credential)}}
				}
				return r.renewOriginal(ctx, credential)`,
		},
		{
			name: "a put-back state is trusted", why: "a spent token is sent",
			pkg: "refresh/memory", function: "Attempts.IsPutBack",
			body: `return false`,
		},
		{
			name: "a seed from before the cluster went back is trusted", why: "a spent token is sent",
			pkg: "refresh", function: "Refresher.withSeedOfBefore",
			body: `return record`,
		},
	}
}

// mutationsOfLiveness lose no token and send none too often: the operator stops.
func mutationsOfLiveness() []mutation {
	return []mutation{
		{
			name: "no look is planned", why: "a token expires in the target, and nobody comes", always: true,
			pkg: "controller", function: "requeueAt",
			body: `return ctrl.Result{}`,
		},
		{
			name: "a failure plans no retry", why: "a provider that was away for a moment is not asked again",
			pkg: "controller", function: "wakeTime",
			body: `if credential.Status.FailedAttempts > 0 {
					return expiryAfter(&credential.Status, now)
				}
				return wakeTimeOriginal(credential, now)`,
		},
		{
			name: "a holder that is gone is waited for", why: "a claim whose process has died stands for good",
			pkg: "rotation/recovery", function: "Observer.Decide",
			body: `if o.DecideOriginal(s) == Nothing {
					return Nothing
				}
				return Wait`,
		},
		{
			name: "what a person has mended is not tried", why: "the credential stays stalled, though all is well",
			pkg: "decision", function: "Facts.mayBeCured",
			body: `return f.Requested`,
		},
	}
}
