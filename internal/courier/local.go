// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/sealed"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Local is a courier in this process. Safe for concurrent use.
type Local struct {
	calls    egress.Caller
	files    *sealed.Directory // nil: replies are kept in memory alone
	now      func() time.Time
	log      *slog.Logger
	instance string
	ledger   *ledger
}

// Options of a courier.
type Options struct {
	// Calls sends requests.
	Calls egress.Caller
	// Directory, in memory, has the replies that are not saved yet, sealed; empty: there is
	// none, and they end with the process.
	Directory string
	// Now tells the time.
	Now func() time.Time
	// Log of what it does; nil: none.
	Log *slog.Logger
}

// New makes a courier.
func New(options Options) (*Local, error) {
	l := &Local{calls: options.Calls, now: options.Now, log: options.Log, instance: rand.Text(), ledger: newLedger()}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if options.Directory == "" {
		return l, nil
	}
	files, err := sealed.OpenDirectory(options.Directory)
	if err != nil {
		return nil, err
	}
	l.files = files
	files.Sweep(options.Now())
	return l, nil
}

// Instance implements Courier.
func (l *Local) Instance() string { return l.instance }

// Check implements egress.Caller.
func (l *Local) Check(request *egress.Request) error { return l.calls.Check(request) }

// Do implements egress.Caller.
func (l *Local) Do(request *egress.Request, singleUse bool) (*egress.Reply, error) {
	attempt, ok := attemptOf(request.Context())
	if !ok {
		return l.calls.Do(request, singleUse)
	}
	content, err := l.carry(request, singleUse, attempt)
	if err != nil {
		return nil, err
	}
	return opened(attempt.Key, content)
}

// opened is what Do returns of what came of an attempt.
func opened(key secret.Text, content []byte) (*egress.Reply, error) {
	came, ok := open(key, content)
	if !ok {
		return nil, egress.Unanswered("what the courier keeps of the attempt cannot be read; the request may have been acted on")
	}
	return came.Reply, came.Failure
}

// carry sends the request of an attempt, or waits for one that was received before, and
// returns what came of it, sealed.
func (l *Local) carry(request *egress.Request, singleUse bool, attempt Attempt) ([]byte, error) {
	received, err := l.receive(request.Context(), attempt)
	if err != nil {
		l.log.Info("a request is not sent", "attempt", attempt.ID, "why", err.Error())
		return nil, err
	}
	if received.isFirst {
		l.send(request, singleUse, attempt, received.entry)
	}
	select {
	case <-received.done:
	case <-request.Context().Done():
		return nil, egress.Unanswered("the exchange goes on at the courier, and did not end in time")
	}
	if content, found := l.contentOf(received.entry, attempt.ID); found {
		return content, nil
	}
	return nil, egress.Unanswered("the request was sent before, and the courier keeps nothing of it any more")
}

func (l *Local) receive(ctx context.Context, attempt Attempt) (reception, error) {
	_, err := seal(attempt.Key, outcome{})
	switch {
	case err != nil:
		return reception{}, egress.NotSent("the key that came with the request is none")
	case attempt.Courier != l.instance:
		return reception{}, egress.NotSent("the courier was restarted since the claim was made")
	case ctx.Err() != nil:
		return reception{}, egress.NotSent("the request came too late to be sent")
	case l.files != nil && !l.files.HasRoom(attempt.Namespace):
		return reception{}, egress.NotSent("the courier's spool holds as much of this namespace as it may that is not saved yet")
	}
	l.ledger.Lock()
	defer l.ledger.Unlock()
	return l.ledger.receive(attempt, l.now())
}

// send sends the request and keeps what comes of it. It does so too where sending panics:
// bytes may have left.
func (l *Local) send(request *egress.Request, singleUse bool, attempt Attempt, e *entry) {
	came := outcomeOf(nil, egress.Unanswered("the exchange broke off; the request may have been acted on"), attempt.Note)
	began := l.now()
	defer func() {
		isReply := came.Reply != nil
		content := l.keep(attempt, came)
		l.ledger.Lock()
		l.ledger.end(e, content, isReply)
		l.ledger.Unlock()
		status := 0
		if isReply {
			status = came.Reply.Status
		}
		l.log.Debug("an exchange has ended", "attempt", attempt.ID, "namespace", attempt.Namespace, "host", request.URL.Host, "status", status, "took", l.now().Sub(began))
	}()
	reply, err := l.calls.Do(request, singleUse)
	came = outcomeOf(reply, err, attempt.Note)
}

// keep seals what came of an attempt, and returns what is to be kept in memory. A reply is
// in a file; where there is none, or no room, memory has it. What is no reply is not worth
// a file: without it, the outcome is as unknown.
func (l *Local) keep(attempt Attempt, came outcome) []byte {
	content, err := seal(attempt.Key, came)
	if err != nil {
		l.log.Error("a reply cannot be sealed, and is lost", "attempt", attempt.ID, "error", err) // the key was tried before
		return nil
	}
	if came.Reply == nil || l.files == nil {
		return content
	}
	if err := l.files.Put(attempt.Namespace, attempt.ID, content); err != nil {
		l.log.Error("a reply is in memory alone until it is saved", "attempt", attempt.ID, "error", err)
		return content
	}
	return nil
}

// contentOf an attempt, sealed. An entry may be nil: an earlier process has left a file.
func (l *Local) contentOf(e *entry, id string) ([]byte, bool) {
	if e != nil {
		l.ledger.Lock()
		content := e.content
		l.ledger.Unlock()
		if content != nil {
			return content, true
		}
	}
	if l.files == nil {
		return nil, false
	}
	return l.files.Find(id)
}

// Ask implements Courier. It never errs.
func (l *Local) Ask(_ context.Context, question Question) (Answer, error) {
	l.ledger.Lock()
	fate, e := l.ledger.ask(question, l.instance, l.now())
	l.ledger.Unlock()
	answer := Answer{Fate: fate}
	if fate == Ended || fate == Stranger {
		content, found := l.contentOf(e, question.Attempt)
		answer = Answer{Fate: Stranger}
		if found {
			answer = Answer{Fate: Ended, Content: content}
		}
	}
	l.log.Info("asked what became of an attempt", "attempt", question.Attempt, "answer", answer.Fate)
	return answer, nil
}

// Saved implements Courier.
func (l *Local) Saved(attempt string) {
	l.ledger.Lock()
	l.ledger.saved(attempt)
	l.ledger.Unlock()
	if l.files != nil {
		l.files.Drop(attempt)
	}
}

// await waits until the exchange of an attempt has ended, if one is under way.
func (l *Local) await(ctx context.Context, attempt string) {
	l.ledger.Lock()
	var done chan struct{}
	if e := l.ledger.of(attempt); e != nil && !e.ended {
		done = e.done
	}
	l.ledger.Unlock()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// load is how much a courier has in hand: exchanges under way, and replies that a manager
// has yet to save.
func (l *Local) load() (underWay, kept int) {
	l.ledger.Lock()
	defer l.ledger.Unlock()
	return l.ledger.underWay, l.ledger.kept
}
