// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package described

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Server is the described provider. It is an http.Handler, safe for concurrent use.
type Server struct {
	refresh, login *call   // nil: there is none
	others         []*call // those before and after them
	rotation       v1alpha1.Rotation

	mu       sync.Mutex
	now      func() time.Time
	faults   []Fault
	earlier  []string // refresh tokens that another one took the place of
	current  string   // the refresh token that works; empty: there is none
	issued   int
	problems []error
}

// New plays a provider. parameters are those of the one credential that calls it, defaults
// filled in; now is its clock.
func New(spec v1alpha1.ClusterTokenProviderSpec, parameters map[string]string, now func() time.Time) (*Server, error) {
	language, err := newLanguage()
	if err != nil {
		return nil, err
	}
	s := &Server{now: now, rotation: spec.Rotation}
	known := &known{parameters: parameters, outputs: map[string]any{}}
	compile := func(spec *v1alpha1.ProviderCall) *call {
		if spec == nil || err != nil {
			return nil
		}
		var compiled *call
		compiled, err = language.call(*spec, known)
		return compiled
	}
	s.refresh, s.login = compile(spec.Refresh), compile(spec.Login)
	for _, other := range slices.Concat(spec.Prepare, spec.Finish) {
		s.others = append(s.others, compile(&other))
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Fault is what becomes of a call in place of an ordinary answer.
type Fault struct {
	// Refuse with a reply that the description reads as this reason, before anything is done.
	Refuse string
	// Words that the provider says in it.
	Words string
	// Status of a proxy's page, before anything is done.
	Status int
	// CutShort sends half of a good reply.
	CutShort bool
	// Slovenly sends a good reply whose frame is careless: white space around body and
	// keys, another Content-Type, members that nobody asked for.
	Slovenly bool
	// Nulls sends a good reply in which each member by which the description knows a
	// failure is null.
	Nulls bool
}

// Next queues what becomes of the next calls.
func (s *Server) Next(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Seed gives a refresh token, as a person's consent does.
func (s *Server) Seed() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = s.token("refresh-token")
	return s.current
}

// Revoke ends the grant: its refresh token is refused from now on.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.earlier, s.current = append(s.earlier, s.current), ""
}

// Current is the refresh token that works.
func (s *Server) Current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// Reasons are those by which the description knows failures of a refresh, or of a login
// where there is no refresh.
func (s *Server) Reasons() []string {
	if s.refresh != nil {
		return s.refresh.reasons()
	}
	return s.login.reasons()
}

// Err says what the description gives no reply for. Such a call was answered 500.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.problems...)
}

// token makes a token that no other call gives. The caller holds the lock.
func (s *Server) token(kind string) string {
	s.issued++
	return fmt.Sprintf("%s-%d-of-the-described-provider", kind, s.issued)
}

// ServeHTTP answers one call: a refresh where the request holds a refresh token of the
// grant, wherever it is in it, else a login.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	values, err := valuesOf(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	if other := s.other(r, values); other != nil {
		s.answerOther(w, other)
		return
	}
	var fault Fault
	if len(s.faults) > 0 {
		fault, s.faults = s.faults[0], s.faults[1:]
	}
	call, reply, err := s.answer(values, fault)
	if err != nil {
		s.fail(w, err)
		return
	}
	if err := call.send(w, reply, fault); err != nil {
		s.fail(w, err)
	}
}

func (s *Server) fail(w http.ResponseWriter, err error) {
	s.problems = append(s.problems, err)
	w.WriteHeader(http.StatusInternalServerError)
}

// other is the call before or after a refresh or a login that a request is; nil: it is one
// of these.
func (s *Server) other(r *http.Request, values []string) *call {
	for _, each := range s.others {
		if each.matches(r) && !slices.Contains(values, s.current) {
			return each
		}
	}
	return nil
}

// answerOther gives the outputs of such a call, and an access token where it brings one.
func (s *Server) answerOther(w http.ResponseWriter, other *call) {
	reply, err := other.grant(s.token("access-token"), "", s.now())
	if err == nil {
		err = other.send(w, reply, Fault{})
	}
	if err != nil {
		s.fail(w, err)
	}
}

// answer acts on a call, unless a fault comes before.
func (s *Server) answer(values []string, fault Fault) (*call, Reply, error) {
	call, sent := s.login, ""
	for _, value := range values {
		if s.refresh != nil && (value == s.current && value != "" || slices.Contains(s.earlier, value)) {
			call, sent = s.refresh, value
		}
	}
	if call == nil {
		return nil, Reply{}, fmt.Errorf("a request holds no refresh token, and there is no login")
	}
	reason := fault.Refuse
	if sent != s.current && sent != "" && !s.honours(sent) {
		reason = v1alpha1.ReauthorizationRequiredReason
	}
	switch {
	case fault.Status != 0:
		return call, Reply{Status: fault.Status, Headers: map[string]string{"content-type": "text/html"}, Body: "<html>a proxy's page</html>"}, nil
	case reason != "":
		reply, ok := call.refuse(reason, fault.Words)
		if !ok {
			return nil, Reply{}, fmt.Errorf("no reply was found that the description reads as %s", reason)
		}
		if reason == v1alpha1.RateLimitedReason {
			reply, _ = reply.with(place{"headers", "retry-after"}, "7")
		}
		return call, reply, nil
	}
	reply, err := s.grant(call, sent)
	return call, reply, err
}

// honours reports whether an earlier token still works: any where tokens are reusable, else
// the last one within the window.
func (s *Server) honours(sent string) bool {
	last := s.earlier[len(s.earlier)-1] == sent
	return s.current != "" && (!s.rotates() || last && s.rotation.ReuseWindow.OrDefault(0) > 0)
}

// rotates reports whether a refresh brings another refresh token and spends the one sent.
func (s *Server) rotates() bool { return s.rotation.Mode != v1alpha1.Reusable }

// grant brings tokens: a login a refresh token where the description has one read, a
// refresh as the rotation says.
func (s *Server) grant(call *call, sent string) (Reply, error) {
	refresh := ""
	if s.refresh != nil && call.refreshToken.isSet() && (sent == "" || s.rotates()) {
		refresh = s.token("refresh-token")
	}
	reply, err := call.grant(s.token("access-token"), refresh, s.now())
	if err != nil {
		return Reply{}, err
	}
	if brought, ok := call.refreshToken.value(reply, call.known); ok {
		if sent != "" && sent == s.current {
			s.earlier = append(s.earlier, sent)
		}
		s.current = brought.(string)
	}
	return reply, nil
}

// send writes a reply, in the frame that a fault asks for.
func (c *call) send(w http.ResponseWriter, reply Reply, fault Fault) error {
	if fault.Nulls {
		reply = c.withNulls(reply)
	}
	if fault.Slovenly {
		reply = slovenly(reply)
	}
	body, err := reply.encode(c.prefix, c.format)
	if err != nil {
		return err
	}
	if fault.Slovenly {
		body = []byte(" \r\n" + string(body) + "\n\t ")
	}
	w.Header().Set("Content-Type", "application/json")
	for name, value := range reply.Headers {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(reply.Status)
	if fault.CutShort {
		body = body[:len(body)/2]
	}
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("send the reply: %w", err)
	}
	if !fault.CutShort {
		return nil
	}
	if err := http.NewResponseController(w).Flush(); err != nil {
		return fmt.Errorf("send half of the reply: %w", err)
	}
	panic(http.ErrAbortHandler)
}

// slovenly adds to a good reply what a careless server does.
func slovenly(reply Reply) Reply {
	if object, isObject := reply.Body.(map[string]any); isObject {
		spaced := map[string]any{" and_more": []any{true, nil, 1.5}}
		for name, value := range object {
			spaced[name+" "] = value
		}
		reply.Body = spaced
	}
	reply, _ = reply.with(place{"headers", "content-type"}, "text/html; charset=utf-8")
	return reply
}

// withNulls says with null that there is no failure: for each place that the conditions
// name, at the first member on the way there that the reply does not have.
func (c *call) withNulls(reply Reply) Reply {
	conditions := []expression{c.success}
	for _, rule := range c.failures {
		conditions = append(conditions, rule.when)
	}
	for _, condition := range conditions {
		for _, at := range condition.places {
			for length := 2; at[0] == "body" && length <= len(at); length++ {
				if value, isSet := valueAt(reply.Body, at[1:length]); !isSet || value == nil {
					reply, _ = reply.with(at[:length], nil)
					break
				}
			}
		}
	}
	return reply
}
