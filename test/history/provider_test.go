// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
)

// caller carries requests to the simulator, in this process, and loses some.
type caller struct{ world *world }

var _ egress.Caller = (*caller)(nil)

// errUnanswered stands for every error after bytes were sent.
var errUnanswered = errors.New("the exchange broke off")

// Check implements egress.Caller.
func (*caller) Check(*egress.Request) error { return nil }

// Do implements egress.Caller. The request's deadline counts by the simulated
// clock: after it nothing is sent, and no reply is awaited.
func (c *caller) Do(request *egress.Request, _ bool) (*egress.Reply, error) {
	w := c.world
	sent, err := newRequest(request)
	if err != nil {
		return nil, err
	}
	visit, deadline := visitOf(request.Context()), deadlineOf(request.Context(), w)
	decided := visit.park(&effect{verb: "send", name: sent.token, fates: w.sendFates(visit)})
	if decided == notSent || w.now.After(deadline) {
		w.trying(visit)
		return nil, fmt.Errorf("%w: in time", egress.ErrNotSent)
	}
	w.sending(visit, sent.token)
	w.judgeOrigin(visit, sent.token, request.URL.Host)
	w.now = w.now.Add(time.Second) // an exchange takes time: no two tokens are of the same second
	reply := c.befall(visit, sent, decided)
	if reply == nil {
		w.doubt(visit, sent.token)
		return nil, errUnanswered
	}
	if decided == answeredAfterLong {
		visit.park(&effect{verb: "reply to", name: sent.token, fates: visit.outlivable(replyFates)})
		if w.now.After(deadline) {
			w.doubt(visit, sent.token)
			return nil, errUnanswered
		}
	}
	if reply.Status == http.StatusServiceUnavailable {
		w.doubt(visit, sent.token)
	}
	w.tried[visit.credential] = reply.Status != http.StatusOK || !strings.Contains(string(reply.Body), `"access_token"`)
	if strings.Contains(string(reply.Body), "invalid_grant") {
		w.fateOf(sent.token).refusal = &refusal{visit.decides(), visit.credential, visit.version}
	}
	w.noteOrigin(visit, tokenIn(reply.Body, "refresh_token"), request.URL.Host)
	visit.sent, visit.holds, visit.brings = sent.token, tokenIn(reply.Body, "refresh_token"), tokenIn(reply.Body, "access_token")
	w.noteProof(visit)
	return &egress.Reply{Status: reply.Status, Header: reply.Header, Body: reply.Body}, nil
}

// reply is what comes back.
type reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// befall lets the provider act, or not, and gives the reply that arrives; nil
// where none does.
func (c *caller) befall(visit *visit, sent *request, decided fate) *reply {
	w := c.world
	switch decided {
	case lostOnTheWay:
		return nil
	case underWayForLong:
		w.underWay = append(w.underWay, sent)
		return nil
	case plain503:
		return &reply{Status: http.StatusServiceUnavailable}
	case rateLimited:
		return &reply{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"20"}}}
	case invalidGrant:
		w.fateOf(sent.token).refused = true
		return &reply{Status: http.StatusBadRequest, Body: []byte(`{"error":"invalid_grant"}`)}
	default: // the provider acts
	}
	answer := w.act(sent)
	switch decided {
	case actedReplyLost:
		return nil
	case killedAfter:
		w.doubt(visit, sent.token)
		visit.die()
	case actedThen503:
		return &reply{Status: http.StatusServiceUnavailable}
	case withoutAccess:
		answer.Body = []byte(strings.Replace(string(answer.Body), `"access_token"`, `"other_token"`, 1))
	case withAnError:
		if answer.Status == http.StatusOK {
			answer.Status = http.StatusBadRequest
			answer.Body = []byte(strings.Replace(string(answer.Body), `{`, `{"error":"temporarily_unavailable",`, 1))
		}
	default: // and its answer arrives
	}
	return answer
}

// act has the provider answer a request. A login is answered by another grant, of
// which nobody but the reply knows.
func (w *world) act(sent *request) *reply {
	if sent.URL.Host == elsewhereHost {
		return &reply{Status: http.StatusBadRequest, Body: []byte(`{"error":"invalid_request"}`)}
	}
	if sent.isLogin() {
		sent = sent.refreshing(w.authorize())
	}
	recorder := httptest.NewRecorder()
	w.simulator.ServeHTTP(recorder, sent.again())
	w.stats.Answers++
	answer := &reply{Status: recorder.Code, Header: recorder.Header(), Body: recorder.Body.Bytes()}
	w.issued[tokenIn(answer.Body, "access_token")] = w.now
	if answer.Status == http.StatusBadRequest {
		w.fateOf(sent.token).refused = true
	}
	return answer
}

// request is one that can be sent, now or later.
type request struct {
	*http.Request
	body  string
	token string
}

func newRequest(asked *egress.Request) (*request, error) {
	body, err := io.ReadAll(asked.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	return &request{Request: asked, body: string(body), token: form.Get("refresh_token")}, err
}

func (r *request) isLogin() bool { return r.token == "" }

// refreshing is the request that refreshes a token, where a login was asked for.
func (r *request) refreshing(token string) *request {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	return &request{Request: r.Request, body: form.Encode(), token: token}
}

func (r *request) again() *http.Request {
	return &http.Request{
		Method: r.Method, URL: r.URL, Host: r.URL.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Header, Body: io.NopCloser(strings.NewReader(r.body)), ContentLength: int64(len(r.body)), RemoteAddr: "simulated",
	}
}

// tokenIn finds a token in a reply, as the simulator writes it.
func tokenIn(body []byte, key string) string {
	_, rest, _ := strings.Cut(string(body), `"`+key+`":"`)
	token, _, _ := strings.Cut(rest, `"`)
	return token
}
