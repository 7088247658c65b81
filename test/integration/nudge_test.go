// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// podRequests counts the requests of operators about pods.
type podRequests struct {
	mu      sync.Mutex
	patches map[string]int // by the path of the pod
	others  []string       // that neither list nor patch
}

// wrap stands between an operator and the API server.
func (p *podRequests) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		if path := request.URL.Path; strings.Contains(path, "/pods") {
			p.mu.Lock()
			switch {
			case request.Method == http.MethodPatch:
				p.patches[path[strings.Index(path, "/namespaces/")+len("/namespaces/"):]]++
			case request.Method != http.MethodGet || request.URL.Query().Has("watch"):
				p.others = append(p.others, request.Method+" "+path)
			}
			p.mu.Unlock()
		}
		return next.RoundTrip(request)
	})
}

func (p *podRequests) counted() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.patches)
}

// pod creates a pod with a volume of a Secret; no kubelet runs it.
func (w *world) pod(namespace, name, secret string, change ...func(*corev1.Pod)) {
	w.t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "app", Image: "app", VolumeMounts: []corev1.VolumeMount{{Name: "token", MountPath: "/token"}}}},
		Volumes:    []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}},
	}}
	for _, each := range change {
		each(pod)
	}
	phase := pod.Status.Phase
	must(w.t, w.Create(w.t.Context(), pod))
	if phase != "" {
		pod.Status.Phase = phase
		must(w.t, w.Status().Update(w.t.Context(), pod))
	}
}

// populateWithPods makes pods of every kind, and returns those that are to be nudged.
func (w *world) populateWithPods(secret string) []string {
	w.t.Helper()
	elsewhere := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	must(w.t, w.Create(w.t.Context(), elsewhere))
	w.pod(elsewhere.Name, "web", secret)
	w.pod(w.namespace, "web-0", secret)
	w.pod(w.namespace, "web-1", secret, func(pod *corev1.Pod) {
		pod.Status.Phase = corev1.PodRunning
		pod.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}}}
	})
	w.pod(w.namespace, "ended", secret, func(pod *corev1.Pod) { pod.Status.Phase = corev1.PodSucceeded })
	w.pod(w.namespace, "other", "another")
	w.pod(w.namespace, "subpath", secret, func(pod *corev1.Pod) { pod.Spec.Containers[0].VolumeMounts[0].SubPath = "access_token" })
	return []string{w.namespace + "/pods/web-0", w.namespace + "/pods/web-1"}
}

func nudging(spec *v1alpha1.TokenCredentialSpec) { spec.Target.NudgePods = true }

func TestPodsThatMountATargetAreNudgedOnceForEachToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	requests := &podRequests{patches: map[string]int{}}
	w.wire, w.nudgePods = requests.wrap, true
	pods := w.populateWithPods(xiaomi + "-token")
	operator := w.start()
	w.fresh(nudging, func(spec *v1alpha1.TokenCredentialSpec) { spec.Target.Name = xiaomi + "-token" })
	for token := 1; token <= 3; token++ {
		if token > 1 {
			w.refreshNow(xiaomi, strings.Repeat("again", token))
			w.awaitRefreshes(xiaomi, int64(token))
		}
		want := map[string]int{}
		for _, pod := range pods {
			want[pod] = token
		}
		if !w.eventually(func() bool { return cmp.Equal(want, requests.counted()) }) {
			t.Fatalf("after %d tokens the patches are others (-want +got):\n%s", token, cmp.Diff(want, requests.counted()))
		}
	}
	if said := describe(w.awaitFresh(xiaomi)); strings.Contains(said, "nudgePods") {
		t.Errorf("something is said of nudges that work: %s", said)
	}
	operator.shutDown()
	want := requests.counted()
	w.start() // which makes up for what was left, and nothing was
	w.nudge(xiaomi)
	w.awaitLook(xiaomi)
	w.pod(w.namespace, "late", xiaomi+"-token")
	w.refreshNow(xiaomi, "after the restart")
	want[w.namespace+"/pods/late"] = 1
	for _, pod := range pods {
		want[pod]++
	}
	if !w.eventually(func() bool { return cmp.Equal(want, requests.counted()) }) {
		t.Errorf("after a restart and one more token the patches are others (-want +got):\n%s", cmp.Diff(want, requests.counted()))
	}
	if len(requests.others) > 0 {
		t.Errorf("pods are asked for otherwise than by list and patch: %v", requests.others)
	}
}

func TestWithoutTheFlagNoPodIsTouchedAndTheCredentialSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Hour)
	requests := &podRequests{patches: map[string]int{}}
	w.wire = requests.wrap
	w.populateWithPods(xiaomi + "-token")
	w.start()
	w.fresh(nudging, func(spec *v1alpha1.TokenCredentialSpec) { spec.Target.Name = xiaomi + "-token" })
	w.awaitFresh(xiaomi)
	_, ready := w.awaitCondition(xiaomi, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.TokenValidReason)
	if !strings.Contains(ready.Message, "--nudge-pods") {
		t.Errorf("the message does not name the flag: %s", ready.Message)
	}
	w.awaitEvents(xiaomi, v1alpha1.PodsNotNudgedEvent, 1)
	w.refreshNow(xiaomi, "again")
	w.awaitRefreshes(xiaomi, 2)
	if n := w.events(xiaomi, v1alpha1.PodsNotNudgedEvent); n != 1 {
		t.Errorf("%d events of it after a second token, want 1", n)
	}
	if len(requests.counted()) > 0 || len(requests.others) > 0 {
		t.Errorf("pods are asked for: %v %v", requests.counted(), requests.others)
	}
}
