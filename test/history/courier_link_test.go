// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// link is a process's way to the courier of its pod.
type link struct {
	process *process
	// instance of the courier, as it was when it last answered.
	instance string
	// claimed is the last claim on each credential's token.
	claimed map[string]*claim
	// silent is true of a credential about which the courier did not answer.
	silent map[string]bool
	// saved is what the courier is to be told of.
	saved []string
}

var _ courier.Courier = (*link)(nil)

// newLink gives a process a way to its courier; nil: there is none.
func newLink(p *process) *link {
	if p.replica.courier == nil {
		return nil
	}
	return &link{process: p, claimed: map[string]*claim{}, silent: map[string]bool{}}
}

// callers are who sends a process's requests, and who is asked what became of them.
func (l *link) callers(w *world) (egress.Caller, courier.Courier) {
	if l == nil {
		return &caller{world: w}, nil
	}
	return l, l
}

func (l *link) courier() *carrier { return l.process.replica.courier }

// Check implements egress.Caller.
func (l *link) Check(*egress.Request) error {
	l.instance = l.courier().local.Instance()
	return nil
}

// Instance implements courier.Courier.
func (l *link) Instance() string { return l.instance }

// Saved implements courier.Courier. The courier hears of it later, or never.
func (l *link) Saved(attempt string) { l.saved = append(l.saved, attempt) }

// tell tells the courier what is saved.
func (l *link) tell() {
	if l == nil {
		return
	}
	for _, attempt := range l.saved {
		l.courier().local.Saved(attempt)
	}
	l.saved = nil
}

// Ask implements courier.Courier.
func (l *link) Ask(ctx context.Context, question courier.Question) (courier.Answer, error) {
	visit := visitOf(ctx)
	decided := visit.park(&effect{verb: "ask the courier of", name: visit.credential, fates: askFates})
	l.silent[visit.credential] = decided == notReached || l.courier().silent
	if l.silent[visit.credential] {
		return courier.Answer{}, courier.ErrSilent
	}
	l.instance = l.courier().local.Instance()
	answer, err := l.courier().local.Ask(ctx, question)
	l.process.world.t.Logf("         %s says of the attempt: %s", l.courier().name, answer.Fate)
	if made := l.process.world.claims[question.Attempt]; made != nil && answer.Fate == courier.Ended {
		visit.brought(made.exchange)
		// A refusal that came by an earlier process is asked for again, which tells it whole.
		l.process.world.fateOf(l.process.world.state(visit.credential).refreshToken).refusal = nil
	}
	return answer, err
}

// answered is what the courier answers.
type answered struct {
	reply   *egress.Reply
	failure error
}

// Do implements egress.Caller. A call that spends nothing is passed through.
func (l *link) Do(request *egress.Request, singleUse bool) (*egress.Reply, error) {
	if !singleUse {
		return (&caller{world: l.process.world}).Do(request, singleUse)
	}
	visit, made := visitOf(request.Context()), l.claimed[visitOf(request.Context()).credential]
	if made == nil { // which is for the invariant to find
		made = &claim{process: l.process, made: l.process.world.now}
	}
	answers := make(chan answered, 1)
	exchange := l.courier().newVisit(carries, visit.credential)
	exchange.asker, made.exchange = l.process, exchange
	exchange.policy, exchange.suspended, exchange.seen, exchange.version = visit.policy, visit.suspended, visit.seen, visit.version
	l.courier().carry(request, exchange, made, answers)
	visit.waitsFor = exchange
	select {
	case came, ok := <-answers:
		visit.waitsFor = nil
		if !ok { // it died
			visit.process.world.trying(visit)
			return nil, errors.Join(courier.ErrSilent, egress.Unanswered("the courier is gone"))
		}
		if came.reply != nil {
			visit.brought(exchange)
		}
		return came.reply, came.failure
	case <-l.process.dead:
		visit.die()
	}
	return nil, nil
}

// brought notes that a visit has what another has brought.
func (v *visit) brought(exchange *visit) {
	if exchange != nil {
		v.sent, v.holds, v.brings = exchange.sent, exchange.holds, exchange.brings
	}
}

// carry begins an exchange, from when the request is on its way to the courier.
func (c *carrier) carry(request *egress.Request, exchange *visit, made *claim, answers chan<- answered) {
	w, ends := c.world, deadlineOf(request.Context(), c.world)
	exchange.start(func(own context.Context) error {
		defer close(answers)
		taken := exchange.park(&effect{verb: "hand over the request for", name: exchange.credential, fates: handFates})
		switch {
		case taken == notSent || c.silent || w.now.After(ends):
			w.trying(exchange)
			answers <- answered{failure: egress.NotSent("the courier has not received it in time")}
			return nil
		case taken == replyLost:
			answers <- answered{failure: errors.Join(courier.ErrSilent, egress.Unanswered("the connection breaks"))}
		}
		ctx, cancel := context.WithTimeout(context.WithValue(context.WithoutCancel(request.Context()), visitKey{}, visitOf(own)), ends.Sub(w.now))
		defer cancel()
		reply, failure := c.local.Do(request.WithContext(ctx), true)
		if reply == nil {
			w.trying(exchange)
		}
		made.isClear = reply != nil && saysWhatBecame(reply)
		made.isUnclear = !made.isClear && !errors.Is(failure, egress.ErrNotSent)
		if taken != replyLost {
			answers <- answered{reply, failure}
		}
		return nil
	})
}

// saysWhatBecame tells a reply that brings a token, or refuses one, from those of which no
// reader can tell: a 503, and a success that brings nothing.
func saysWhatBecame(reply *egress.Reply) bool {
	bringsNone := tokenIn(reply.Body, "access_token") == "" && tokenIn(reply.Body, "refresh_token") == ""
	return reply.Status != http.StatusServiceUnavailable && (reply.Status != http.StatusOK || !bringsNone)
}

// deadlineOf a request, by the simulated clock.
func deadlineOf(ctx context.Context, w *world) time.Time {
	if until, ok := ctx.Deadline(); ok { // the real time until then is what was asked for
		return w.now.Add(time.Until(until).Round(time.Second))
	}
	return w.now
}

// forgets is after what time a courier need not know any more that it never received a
// request.
const forgets = 50 * time.Minute

// courierKnows reports whether the courier that a claim names lives, in the pod of a
// process, and knows what became of the exchange.
func (w *world) courierKnows(attempt string, p *process, by time.Time) bool {
	made := w.claims[attempt]
	if made == nil || made.courier == nil || made.courier.killed || made.courier.replica != p.replica || w.restored {
		return false
	}
	return !made.isUnclear && (made.isClear || by.Sub(made.made) < forgets)
}

// judgeRetry: while the courier of an attempt lives, and answers, its token is not sent
// again as if nobody knew what became of it.
func (w *world) judgeRetry(credential string, was, now stored) {
	l := w.writer.link
	if l == nil || was.attempt == nil || was.attempt.Courier == "" || was.attempt.Resend || now.attempt == nil || !now.attempt.Resend || l.silent[credential] {
		return
	}
	if w.courierKnows(was.attempt.ID, w.writer, w.now) {
		w.violated(fmt.Sprintf("the token of %s is to be sent again, and its courier knows what became of it", credential))
	}
}

// judgeUnknown: at rest, nobody says that the outcome of an exchange is unknown whose
// courier lives and knows it. (What another pod's courier knows nobody else can ask.)
func (w *world) judgeUnknown(name string, since time.Time, state stored) {
	if len(w.replicas) > 1 || state.attempt == nil || state.attempt.Resend {
		return
	}
	if w.courierKnows(state.attempt.ID, w.replicas[0].process, since) {
		w.violated(fmt.Sprintf("at rest: the outcome of an exchange of %s is said to be unknown, and its courier knows it", name))
	}
}

// noteClaim notes who is to carry the exchange of a claim.
func (l *link) noteClaim(made *claim, credential string, attempt *rotation.Attempt) *claim {
	if l == nil {
		return made
	}
	if c := l.courier(); c.local.Instance() == attempt.Courier {
		made.courier = c
	}
	l.claimed[credential] = made
	return made
}
