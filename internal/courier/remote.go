// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
)

const (
	// answerTimeout bounds what a courier answers at once.
	answerTimeout = 5 * time.Second

	// absence is how long a courier may be away in the middle of an exchange before its
	// attempt is left to recovery: a container starts within that, mostly.
	absence = 5 * time.Second

	// between two questions to a courier that is away.
	retryPause = 100 * time.Millisecond

	maxSaved = 1024 // attempts that wait to be told of
)

// Remote is a courier in another process. Safe for concurrent use.
type Remote struct {
	path     string
	http     *http.Client
	log      *slog.Logger
	instance atomic.Pointer[string]
	finished chan string
}

// ErrSilent: the courier did not answer in time, so that it is not known what became of an
// exchange. It may answer later.
var ErrSilent = errors.New("the courier does not answer")

// Connect makes the courier at a socket. It need not be there yet: each call finds out.
func Connect(path string, log *slog.Logger) *Remote {
	r := &Remote{path: path, log: log, finished: make(chan string, maxSaved)}
	r.http = &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
		MaxIdleConnsPerHost: 256,
		DisableCompression:  true,
	}}
	return r
}

// Run stays in touch until ctx ends: the courier goes last, and tells by the connection that
// the manager is there. It also passes on what was saved.
func (r *Remote) Run(ctx context.Context) error {
	const everySo = 10 * time.Second
	again := time.NewTicker(everySo)
	defer again.Stop()
	isThere := false
	for {
		met, err := r.greet(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			r.log.Error("the courier cannot be asked; nothing is sent to providers until it can", "socket", r.path, "why", reason(err))
		case err == nil && !isThere:
			r.log.Info("the courier answers", "socket", r.path, "version", met.Version)
		}
		isThere = err == nil
		if !r.tellUntil(ctx, again.C) {
			return nil
		}
	}
}

// tellUntil passes on what is saved until it is time to see again whether the courier is
// there; false: ctx has ended.
func (r *Remote) tellUntil(ctx context.Context, again <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-again:
			return true
		case attempt := <-r.finished:
			r.tell(ctx, attempt)
		}
	}
}

// tell passes on what was saved. What cannot be passed on stays with the courier, sealed,
// until it is too old.
func (r *Remote) tell(ctx context.Context, attempt string) {
	all := savings{Attempts: []string{attempt}}
	for {
		select {
		case another := <-r.finished:
			all.Attempts = append(all.Attempts, another)
			continue
		default:
		}
		break
	}
	if _, err := r.post(context.WithoutCancel(ctx), answerTimeout, savedPath, all); err != nil {
		r.log.Info("the courier could not be told what is saved", "attempts", len(all.Attempts))
	}
}

// Saved implements Courier.
func (r *Remote) Saved(attempt string) {
	select {
	case r.finished <- attempt:
	default: // it stays with the courier, sealed, until it is too old
	}
}

// Instance implements Courier.
func (r *Remote) Instance() string {
	if known := r.instance.Load(); known != nil {
		return *known
	}
	return ""
}

// Check implements egress.Caller. It also finds out whether the courier is there, before
// anything is claimed.
func (r *Remote) Check(request *egress.Request) error {
	ctx := request.Context()
	asked := &envelope{Method: request.Method, URL: []byte(request.URL.String())}
	came, err := r.post(ctx, answerTimeout, checkPath, asked)
	if err != nil {
		return r.away(err)
	}
	return came.Failure.Err()
}

// away says that nothing was sent because the courier is not there.
func (r *Remote) away(err error) error {
	return egress.NotSent(fmt.Sprintf("the courier at %s%s cannot be asked (%s): see the logs of its container", scheme, r.path, reason(err)))
}

// Do implements egress.Caller.
func (r *Remote) Do(request *egress.Request, singleUse bool) (*egress.Reply, error) {
	ctx := request.Context()
	until := time.Now().Add(egress.MaxExchange)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	message, err := enclose(request, singleUse, until)
	if err != nil {
		return nil, egress.NotSent(err.Error())
	}
	patience := time.Until(until) + answerTimeout
	came, err := r.post(context.WithoutCancel(ctx), patience, exchangePath, message)
	switch {
	case errors.As(err, new(unread)):
		return nil, r.away(err)
	case err != nil && message.Attempt == nil:
		return nil, egress.Unanswered("the courier broke off; the request may have been acted on")
	case err != nil:
		return r.inquire(ctx, *message.Attempt, until)
	case came.Failure != nil:
		return nil, came.Failure.Err()
	case came.Outcome != nil:
		out := came.Outcome.exported()
		return out.Reply, out.Failure
	case message.Attempt == nil:
		return nil, egress.Unanswered("the courier's answer cannot be read; the request may have been acted on")
	}
	return opened(message.Attempt.Key, came.Content)
}

// inquire finds out what became of an exchange whose answer did not come: the connection
// broke, or the courier has ended.
func (r *Remote) inquire(ctx context.Context, attempt Attempt, until time.Time) (*egress.Reply, error) {
	question := Question{Attempt: attempt.ID, Courier: attempt.Courier, Started: time.Now()}
	lastHeard := time.Now()
	for time.Since(lastHeard) < absence {
		wait := time.Until(until)
		answer, err := r.ask(ctx, question, max(wait, time.Millisecond))
		if err == nil {
			lastHeard = time.Now()
		}
		switch {
		case err != nil:
			time.Sleep(retryPause)
		case answer.Fate == Ended:
			return opened(attempt.Key, answer.Content)
		case answer.Fate == NeverReceived:
			return nil, egress.NotSent("the courier never received the request")
		case answer.Fate == Stranger:
			return nil, egress.Unanswered("the courier ended in the middle of the exchange; the request may have been acted on")
		case wait <= 0:
			return nil, errors.Join(ErrSilent, egress.Unanswered("the exchange goes on at the courier; it is asked again"))
		}
	}
	return nil, errors.Join(ErrSilent, egress.Unanswered("the courier does not answer; the request may have been acted on"))
}

// Ask implements Courier.
func (r *Remote) Ask(ctx context.Context, question Question) (Answer, error) {
	return r.ask(ctx, question, 0)
}

func (r *Remote) ask(ctx context.Context, question Question, wait time.Duration) (Answer, error) {
	came, err := r.post(context.WithoutCancel(ctx), wait+answerTimeout, askPath, asking{question, wait.Milliseconds()})
	if err != nil {
		return Answer{}, errors.Join(ErrSilent, err)
	}
	switch came.Fate {
	case NeverReceived, UnderWay, Ended, Stranger:
		return Answer{Fate: came.Fate, Content: came.Content}, nil
	}
	return Answer{Fate: Stranger}, nil // a word of a later version: as if nobody knew
}
