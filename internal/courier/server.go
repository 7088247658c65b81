// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

const (
	// messageTimeout bounds how long a message takes to arrive, or to leave.
	messageTimeout = 10 * time.Second

	// maxWait is how long the end of an exchange is awaited for who asks.
	maxWait = egress.MaxExchange

	// drainCheck is how often a courier that is ending looks whether it may.
	drainCheck = 50 * time.Millisecond
)

// Serve has a courier answer managers until ctx ends, and then goes last: it ends once
// nothing is under way, no manager is connected and no reply waits to be saved, and after
// grace at the latest.
func Serve(ctx context.Context, l *Local, listener net.Listener, grace time.Duration) error {
	s := &server{local: l, log: l.log}
	routes := http.NewServeMux()
	routes.HandleFunc("GET "+helloPath, s.hello)
	routes.HandleFunc("POST "+checkPath, operation(s, s.check))
	routes.HandleFunc("POST "+exchangePath, operation(s, s.exchange))
	routes.HandleFunc("POST "+askPath, operation(s, s.ask))
	routes.HandleFunc("POST "+savedPath, operation(s, s.saved))
	routes.HandleFunc("/", s.other)
	serving := &http.Server{
		Handler:           routes,
		ReadHeaderTimeout: messageTimeout,
		IdleTimeout:       -1, // a manager stays connected: it is how its end is seen
		ConnState:         s.count,
		ErrorLog:          slog.NewLogLogger(l.log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	ended := make(chan error, 1)
	go func() { ended <- serving.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.drain(grace)
	return serving.Close()
}

type server struct {
	local    *Local
	log      *slog.Logger
	managers atomic.Int64 // connections
}

func (s *server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.managers.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.managers.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}

// drain waits until the courier may end.
func (s *server) drain(grace time.Duration) {
	ended := time.NewTimer(grace)
	defer ended.Stop()
	again := time.NewTicker(drainCheck)
	defer again.Stop()
	underWay, kept := s.local.load()
	s.log.Info("the courier ends once nothing is in its hands", "underWay", underWay, "unsaved", kept, "connections", s.managers.Load())
	for {
		if underWay, kept = s.local.load(); underWay == 0 && kept == 0 && s.managers.Load() == 0 {
			return
		}
		select {
		case <-ended.C:
			s.log.Warn("the grace period ends with replies that no manager has saved, or a manager that is still there", "underWay", underWay, "unsaved", kept)
			return
		case <-again.C:
		}
	}
}

func (s *server) hello(reply http.ResponseWriter, _ *http.Request) {
	s.write(reply, http.StatusOK, s.self())
}

func (s *server) self() hello {
	return hello{Oldest: oldestProtocol, Newest: newestProtocol, Version: version.String(), Instance: s.local.instance}
}

// other answers what this version does not know with what it does.
func (s *server) other(reply http.ResponseWriter, request *http.Request) {
	s.log.Warn("a manager asks in a protocol that this courier does not speak", "path", request.URL.Path)
	s.write(reply, http.StatusNotFound, s.self())
}

// operation reads a message and answers it. What goes on does so also where who asked for
// it has ended.
func operation[T any](s *server, answer func(context.Context, T) result) http.HandlerFunc {
	return func(reply http.ResponseWriter, request *http.Request) {
		deadlines := http.NewResponseController(reply)
		_ = deadlines.SetReadDeadline(time.Now().Add(messageTimeout))
		var message T
		err := json.NewDecoder(http.MaxBytesReader(reply, request.Body, maxMessage)).Decode(&message)
		if err != nil {
			s.log.Warn("a message cannot be read", "path", request.URL.Path)
			http.Error(reply, "the message cannot be read", http.StatusBadRequest)
			return
		}
		_ = deadlines.SetReadDeadline(time.Time{})
		came := answer(context.WithoutCancel(request.Context()), message)
		came.Instance = s.local.instance
		_ = deadlines.SetWriteDeadline(time.Now().Add(messageTimeout))
		s.write(reply, http.StatusOK, came)
		_ = deadlines.SetWriteDeadline(time.Time{})
	}
}

func (s *server) write(reply http.ResponseWriter, status int, message any) {
	reply.Header().Set("Content-Type", "application/json")
	reply.WriteHeader(status)
	if err := json.NewEncoder(reply).Encode(message); err != nil {
		s.log.Info("a manager did not wait for its answer")
	}
}

func (s *server) check(ctx context.Context, message envelope) result {
	request, err := message.request(ctx)
	if err != nil {
		return result{Failure: egress.FailureOf(egress.NotSent(err.Error()))}
	}
	return result{Failure: egress.FailureOf(s.local.Check(request))}
}

func (s *server) exchange(ctx context.Context, message envelope) result {
	limit := s.local.now().Add(egress.MaxExchange)
	if message.Until.After(limit) || message.Until.IsZero() {
		message.Until = limit
	}
	ctx, cancel := context.WithDeadline(ctx, message.Until)
	defer cancel()
	request, err := message.request(ctx)
	if err != nil {
		return result{Failure: egress.FailureOf(egress.NotSent(err.Error()))}
	}
	if message.Attempt == nil {
		reply, err := s.local.Do(request, message.SingleUse)
		came := outcomeOf(reply, err, nil)
		return result{Outcome: &came}
	}
	attempt, _ := attemptOf(request.Context())
	content, err := s.local.carry(request, message.SingleUse, attempt)
	if err != nil {
		return result{Failure: egress.FailureOf(err)}
	}
	return result{Fate: Ended, Content: content}
}

func (s *server) ask(ctx context.Context, message asking) result {
	if message.Wait > 0 {
		ctx, cancel := context.WithTimeout(ctx, min(maxWait, time.Duration(message.Wait)*time.Millisecond))
		s.local.await(ctx, message.Attempt)
		cancel()
	}
	answer, err := s.local.Ask(ctx, message.Question)
	return result{Fate: answer.Fate, Content: answer.Content, Failure: egress.FailureOf(err)}
}

func (s *server) saved(_ context.Context, message savings) result {
	for _, attempt := range message.Attempts {
		s.local.Saved(attempt)
	}
	return result{}
}
