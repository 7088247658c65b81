// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package nudge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
)

func TestAListIsReadPodByPod(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason, list string
		want               []string
		fails              bool
	}{
		{"two pods", "in their order", `{"kind":"PodList","metadata":{"resourceVersion":"7","nested":[{}]},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`, []string{"a", "b"}, false},
		{"what comes after the pods", "the order of keys says nothing", `{"items":[{"metadata":{"name":"a"}}],"kind":"PodList"}`, []string{"a"}, false},
		{"no pods", "there is nothing to visit", `{"kind":"PodList","items":[]}`, nil, false},
		{"null for no pods", "Go writes it so", `{"kind":"PodList","items":null}`, nil, false},
		{"a list that is cut short", "the pods that are missing would not be nudged", `{"kind":"PodList","items":[{"metadata":{"name":"a"}},`, []string{"a"}, true},
		{"a list that is cut short after its pods", "it may be the end of another one", `{"kind":"PodList","items":[{"metadata":{"name":"a"}}]`, []string{"a"}, true},
		{"nothing", "a connection that broke", ``, nil, true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			err := decode(strings.NewReader(each.list), func(pod *corev1.Pod) { got = append(got, pod.Name) })
			if diff := cmp.Diff(each.want, got); diff != "" || (err != nil) != each.fails {
				t.Errorf("error %v, others are read (-want +got):\n%s\nreason: %s", err, diff, each.reason)
			}
		})
	}
}

func TestTheAPIServerIsAskedForPodsThatHaveNotEnded(t *testing.T) {
	t.Parallel()
	asked := ""
	server := httptest.NewServer(http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
		asked = request.Method + " " + request.URL.Path + " " + request.URL.Query().Get("fieldSelector") + " " + request.URL.Query().Get("resourceVersion") + " " + request.Header.Get("Accept")
		reply.Header().Set("Content-Type", "application/json")
		_, _ = reply.Write([]byte(`{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}]}`))
	}))
	t.Cleanup(server.Close)
	pods, err := NewAPIServer(&rest.Config{Host: server.URL}, server.Client(), nil)
	if err != nil {
		t.Fatal(err)
	}
	visited := 0
	if err := pods.Each(t.Context(), "team-a", func(*corev1.Pod) { visited++ }); err != nil || visited != 1 {
		t.Errorf("%d pods are visited, want 1 (%v)", visited, err)
	}
	if want := "GET /api/v1/namespaces/team-a/pods status.phase!=Succeeded,status.phase!=Failed 0 application/json"; asked != want {
		t.Errorf("it is asked %q, want %q", asked, want)
	}
}
