// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

// prometheus is a user as an API server tells of it.
var prometheus = authenticationv1.UserInfo{
	Username: "system:serviceaccount:monitoring:prometheus", UID: "1", Groups: []string{"system:serviceaccounts"},
	Extra: map[string]authenticationv1.ExtraValue{"pod": {"prometheus-0"}},
}

// TestMetricsAreReadByWhoMay asks an API server that knows the tokens "prometheus",
// who may, and "stranger", who may not, and that fails for "broken" and "undecided".
func TestMetricsAreReadByWhoMay(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, method, authorization string
		want                        int
		reason                      string
	}{
		{"the one who may", http.MethodGet, "Bearer prometheus", http.StatusOK, "RBAC allows it"},
		{"the scheme in small letters", http.MethodGet, "bearer prometheus", http.StatusOK, "RFC 9110 section 11.1: the scheme has no case"},
		{"the one who may not", http.MethodGet, "Bearer stranger", http.StatusForbidden, "RBAC does not allow it"},
		{"another verb", http.MethodPost, "Bearer prometheus", http.StatusForbidden, "what is allowed is get"},
		{"a token that nobody knows", http.MethodGet, "Bearer made-up", http.StatusUnauthorized, "the API server does not know who it is"},
		{"no token", http.MethodGet, "", http.StatusUnauthorized, "nothing says who it is"},
		{"an empty token", http.MethodGet, "Bearer ", http.StatusUnauthorized, "an empty token must not be reviewed"},
		{"a password", http.MethodGet, "Basic cHJvbWV0aGV1cw==", http.StatusUnauthorized, "only tokens are known"},
		{"an API server that cannot tell who it is", http.MethodGet, "Bearer broken", http.StatusInternalServerError, "who is not known must not read"},
		{"an API server that cannot tell what they may", http.MethodGet, "Bearer undecided", http.StatusInternalServerError, "who may is not known"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			cluster := httptest.NewServer(http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) { answer(t, reply, request) }))
			defer cluster.Close()
			filter, err := reviewedByCluster(&rest.Config{Host: cluster.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, cluster.Client())
			if err != nil {
				t.Fatal(err)
			}
			var logged strings.Builder
			guarded, err := filter(funcr.New(func(_, line string) { logged.WriteString(line) }, funcr.Options{}),
				http.HandlerFunc(func(reply http.ResponseWriter, _ *http.Request) { _, _ = reply.Write([]byte("metrics")) }))
			if err != nil {
				t.Fatal(err)
			}
			request := httptest.NewRequest(each.method, "/metrics", nil)
			request.Header.Set("Authorization", each.authorization)
			reply := httptest.NewRecorder()
			guarded.ServeHTTP(reply, request)
			if reply.Code != each.want {
				t.Errorf("%s: got %d, want %d", each.reason, reply.Code, each.want)
			}
			if shown := reply.Body.String() == "metrics"; shown != (each.want == http.StatusOK) {
				t.Errorf("%s: the reply is %q", each.reason, reply.Body)
			}
			if _, token, _ := strings.Cut(each.authorization, " "); token != "" && strings.Contains(logged.String()+reply.Body.String(), token) {
				t.Errorf("the token is shown: %s %s", &logged, reply.Body)
			}
		})
	}
}

// answer reviews as an API server does.
func answer(t *testing.T, reply http.ResponseWriter, request *http.Request) {
	t.Helper()
	switch request.URL.Path {
	case "/apis/authentication.k8s.io/v1/tokenreviews":
		review := read[authenticationv1.TokenReview](t, request)
		user := prometheus
		switch review.Spec.Token {
		case "prometheus":
		case "stranger", "undecided":
			user = authenticationv1.UserInfo{Username: review.Spec.Token}
		case "broken":
			http.Error(reply, "no review of "+review.Spec.Token, http.StatusInternalServerError)
			return
		default:
			user = authenticationv1.UserInfo{}
		}
		review.Status = authenticationv1.TokenReviewStatus{Authenticated: user.Username != "", User: user}
		write(t, reply, review)
	case "/apis/authorization.k8s.io/v1/subjectaccessreviews":
		review := read[authorizationv1.SubjectAccessReview](t, request)
		if review.Spec.User == "undecided" {
			http.Error(reply, "no review of "+review.Spec.User, http.StatusInternalServerError)
			return
		}
		wanted := subject(prometheus)
		wanted.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"}
		review.Status.Allowed = reflect.DeepEqual(review.Spec, wanted)
		write(t, reply, review)
	default:
		t.Errorf("unexpected request: %s", request.URL)
	}
}

func read[T any](t *testing.T, request *http.Request) *T {
	t.Helper()
	into := new(T)
	if err := json.NewDecoder(request.Body).Decode(into); err != nil {
		t.Error(err)
	}
	return into
}

func write(t *testing.T, reply http.ResponseWriter, object any) {
	t.Helper()
	reply.Header().Set("Content-Type", "application/json")
	reply.WriteHeader(http.StatusCreated)
	if err := json.NewEncoder(reply).Encode(object); err != nil {
		t.Error(err)
	}
}
