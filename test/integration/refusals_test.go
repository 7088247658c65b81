// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// apiRefusals answer requests of the operator in the API server's place. Safe for
// concurrent use.
type apiRefusals struct {
	mu      sync.Mutex
	is      func(*http.Request) bool
	code    int // 0: the connection ends without an answer
	matched int
}

// refuse answers the requests that is matches from now on with a code.
func (r *apiRefusals) refuse(code int, is func(*http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.code, r.is, r.matched = code, is, 0
}

// lift lets everything through again.
func (r *apiRefusals) lift() { r.refuse(0, nil) }

// refused is how many requests were refused since refuse.
func (r *apiRefusals) refused() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.matched
}

func (r *apiRefusals) wrap(direct http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		r.mu.Lock()
		refused, code := r.is != nil && r.is(request), r.code
		if refused {
			r.matched++
		}
		r.mu.Unlock()
		switch {
		case !refused:
			return direct.RoundTrip(request)
		case code == 0:
			return nil, errors.New("the connection was refused")
		}
		return answer(request, code), nil
	})
}

// answer is the API server's to a request that it does not serve.
func answer(request *http.Request, code int) *http.Response {
	reason := map[int]metav1.StatusReason{
		http.StatusForbidden:           metav1.StatusReasonForbidden,
		http.StatusInternalServerError: metav1.StatusReasonInternalError,
	}[code]
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`, reason, code)
	return &http.Response{
		Status: http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: request,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

// reads matches the reading of one Secret.
func reads(name string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/secrets/"+name)
	}
}

// writesTo matches the writing of one Secret that exists, dry runs included.
func writesTo(name string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method != http.MethodGet && strings.HasSuffix(r.URL.Path, "/secrets/"+name)
	}
}
