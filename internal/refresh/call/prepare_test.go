// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package call

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
)

func TestAPreparationIsUsedUntilItsEnd(t *testing.T) {
	t.Parallel()
	kept, key := &preparations{}, preparation{namespace: "team", request: "digest"}
	outputs := map[string]any{"app_token": "x"}
	kept.put(key, outputs, noon)
	for _, each := range []struct {
		name string
		key  preparation
		at   time.Time
		want bool
	}{
		{"before its end", key, noon.Add(-1), true},
		{"at its end", key, noon, false},
		{"in another namespace", preparation{namespace: "other", request: "digest"}, noon.Add(-1), false},
		{"for one credential alone", preparation{namespace: "team", credential: "uid", request: "digest"}, noon.Add(-1), false},
		{"of another request", preparation{namespace: "team", request: "another"}, noon.Add(-1), false},
	} {
		got, ok := kept.get(each.key, each.at)
		if ok != each.want || ok && !maps.Equal(got, outputs) {
			t.Errorf("%s: %v, %t, want it: %t", each.name, got, ok, each.want)
		}
	}
	kept.drop([]preparation{key})
	if _, ok := kept.get(key, noon.Add(-1)); ok {
		t.Error("what was dropped is used")
	}
	kept.put(key, map[string]any{"no JSON": func() {}}, noon)
	if _, ok := kept.get(key, noon.Add(-1)); ok {
		t.Error("what cannot be measured is kept")
	}
}

// TestRequestsAreToldApart changes one part of a request.
func TestRequestsAreToldApart(t *testing.T) {
	t.Parallel()
	made := func(change func(r *egress.Request)) string {
		r := &egress.Request{Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: "a.example", Path: "/token"}, Header: http.Header{"Accept": {"text/html", "text/plain"}}}
		change(r)
		return described(r)
	}
	same := made(func(*egress.Request) {})
	if again := made(func(*egress.Request) {}); again != same {
		t.Errorf("the same request is %s, and then %s", same, again)
	}
	for name, change := range map[string]func(r *egress.Request){
		"another method":                 func(r *egress.Request) { r.Method = http.MethodPut },
		"another query":                  func(r *egress.Request) { r.URL.RawQuery = "x=1" },
		"a body":                         func(r *egress.Request) { r.Body = io.NopCloser(strings.NewReader("x")) },
		"another header":                 func(r *egress.Request) { r.Header.Set("Host", "b") },
		"one value in the place of two":  func(r *egress.Request) { r.Header["Accept"] = []string{strings.Join(r.Header["Accept"], ", ")} },
		"a header that reads like a URL": func(r *egress.Request) { r.Header["Accept\nx"] = nil },
	} {
		if made(change) == same {
			t.Errorf("with %s it counts as the same: another's outputs would be used", name)
		}
	}
}
