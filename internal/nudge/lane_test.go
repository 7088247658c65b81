// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package nudge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// cluster has pods, and notes what is asked of it.
type cluster struct {
	mu    sync.Mutex
	pods  map[string]*corev1.Pod // by namespace and name
	looks map[string]int         // by namespace
	// patches are the nudges that were asked for, in their order.
	patches []string
	// answers are the next errors, of looks by namespace and of nudges by pod.
	answers map[string][]error
	// lookTakes is how long a look lasts, nudgeTakes a nudge.
	lookTakes, nudgeTakes time.Duration
}

func (c *cluster) answer(to string) error {
	left := c.answers[to]
	if len(left) == 0 {
		return nil
	}
	c.answers[to] = left[1:]
	return left[0]
}

func (c *cluster) Each(_ context.Context, namespace string, visit func(*corev1.Pod)) error {
	time.Sleep(c.lookTakes)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks[namespace]++
	for _, key := range slices.Sorted(maps.Keys(c.pods)) {
		if pod := c.pods[key]; pod.Namespace == namespace {
			visit(pod.DeepCopy())
		}
	}
	return c.answer(namespace)
}

func (c *cluster) Nudge(_ context.Context, pod types.NamespacedName, at time.Time) error {
	time.Sleep(c.nudgeTakes)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.patches = append(c.patches, pod.String())
	if err := c.answer(pod.String()); err != nil {
		return err
	}
	metav1.SetMetaDataAnnotation(&c.pods[pod.String()].ObjectMeta, v1alpha1.NudgedAtAnnotation, at.Format(time.RFC3339Nano))
	return nil
}

// mounting is a pod that mounts a Secret as a volume.
func mounting(namespace, name, secret string, change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{VolumeMounts: []corev1.VolumeMount{{Name: "token"}}}},
		Volumes:    []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}},
	}}
	for _, each := range change {
		each(pod)
	}
	return pod
}

// nudged are the nudges that were asked for so far.
func (c *cluster) nudged() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.patches)
}

// scene is a lane at work in a bubble.
type scene struct {
	*cluster
	*Lane
	results map[Result]int
	stop    func()
}

func start(t *testing.T, change func(*Parts), pods ...*corev1.Pod) *scene {
	t.Helper()
	s := &scene{cluster: &cluster{pods: map[string]*corev1.Pod{}, looks: map[string]int{}, answers: map[string][]error{}}, results: map[Result]int{}}
	for _, pod := range pods {
		s.pods[pod.Namespace+"/"+pod.Name] = pod
	}
	parts := Parts{
		Pods:  s.cluster,
		Clock: clock.RealClock{},
		Log:   logr.Discard(),
		Count: func(result Result) {
			s.cluster.mu.Lock()
			defer s.cluster.mu.Unlock()
			s.results[result]++
		},
		TokensWait: func() bool { return false },
		Published:  func(context.Context) []Target { return nil },
	}
	if change != nil {
		change(&parts)
	}
	s.Lane = New(parts)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Start(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// published tells the lane of a token of the credential shop, which asks for nudges.
func (s *scene) published(namespace string) { s.Published(shop(namespace)) }

func shop(namespace string) *v1alpha1.TokenCredential {
	return &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
		Spec: v1alpha1.TokenCredentialSpec{Target: v1alpha1.Target{NudgePods: true}}}
}

// later lets time pass, until all that is to happen then has.
func later(by time.Duration) {
	time.Sleep(by)
	synctest.Wait()
}

func status(code int32) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code}}
}

// nudges plays what happens in a bubble, and compares which pods are nudged, in any order.
func nudges(t *testing.T, reason string, want []string, pods []*corev1.Pod, play func(*scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, nil, pods...)
		play(s)
		s.stop()
		got := s.nudged()
		slices.Sort(got)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("other pods are nudged (-want +got):\n%s\nreason: %s", diff, reason)
		}
	})
}

func TestEachPodIsNudgedOnceForEachToken(t *testing.T) {
	t.Parallel()
	two := func() []*corev1.Pod {
		return []*corev1.Pod{mounting("a", "web-0", "shop"), mounting("a", "web-1", "shop")}
	}
	for _, each := range []struct {
		name, reason string
		pods         []*corev1.Pod
		play         func(*scene)
		want         []string
	}{
		{"one token", "each pod that mounts it", two(), func(s *scene) { s.published("a"); later(time.Minute) }, []string{"a/web-0", "a/web-1"}},
		{"two tokens", "once for each", two(), func(s *scene) {
			s.published("a")
			later(time.Minute)
			s.published("a")
			later(time.Minute)
		}, []string{"a/web-0", "a/web-0", "a/web-1", "a/web-1"}},
		{"the same target written twice at once", "one nudge shows both", two(), func(s *scene) {
			s.published("a")
			s.published("a")
			later(time.Minute)
		}, []string{"a/web-0", "a/web-1"}},
		{"a token just after a look", "it is looked again, though not at once", two()[:1], func(s *scene) {
			s.published("a")
			later(300 * time.Millisecond)
			s.published("a")
			later(time.Minute)
		}, []string{"a/web-0", "a/web-0"}},
		{"a pod that mounts something else", "it has nothing to see", []*corev1.Pod{mounting("a", "web-0", "other")},
			func(s *scene) { s.published("a"); later(time.Minute) }, nil},
		{"a pod of another namespace", "a Secret of the same name there is another one", []*corev1.Pod{mounting("b", "web-0", "shop")},
			func(s *scene) { s.published("a"); later(time.Minute) }, nil},
		{"a credential that does not ask", "it is an opt-in", two(), func(s *scene) {
			silent := shop("a")
			silent.Spec.Target.NudgePods = false
			s.Published(silent)
			later(time.Minute)
		}, nil},
		{"a target with a name of its own", "the target counts, not the credential's name", []*corev1.Pod{mounting("a", "web-0", "named"), mounting("a", "web-1", "shop")},
			func(s *scene) {
				c := shop("a")
				c.Spec.Target.Name = "named"
				s.Published(c)
				later(time.Minute)
			}, []string{"a/web-0"}},
		{"an API server that is busy", "it is asked again", two()[:1], func(s *scene) {
			s.answers["a"] = []error{status(http.StatusServiceUnavailable)}
			s.answers["a/web-0"] = []error{status(http.StatusTooManyRequests), errors.New("connection refused")}
			s.published("a")
			later(time.Minute)
		}, []string{"a/web-0", "a/web-0", "a/web-0"}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			nudges(t, each.reason, each.want, each.pods, each.play)
		})
	}
}

func TestALookComesAfterTheKubeletsHaveHeardOfTheSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, nil, mounting("a", "web-0", "shop"))
		defer s.stop()
		s.published("a")
		if later(gatherFor - time.Millisecond); len(s.nudged()) > 0 {
			t.Error("a pod is nudged before its kubelet can have heard of the new token, so in vain")
		}
		if later(time.Millisecond); len(s.nudged()) != 1 {
			t.Errorf("%d pods are nudged a quarter of a second after the token", len(s.nudged()))
		}
	})
}

func TestWhatADeadProcessDidNotNudgeForIsMadeUpFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		token := time.Now().Add(-time.Minute)
		marked := func(at time.Duration) func(*corev1.Pod) {
			return func(pod *corev1.Pod) {
				metav1.SetMetaDataAnnotation(&pod.ObjectMeta, v1alpha1.NudgedAtAnnotation, token.Add(at).Format(time.RFC3339Nano))
			}
		}
		s := start(t, func(parts *Parts) {
			parts.Published = func(context.Context) []Target {
				return []Target{{types.NamespacedName{Namespace: "a", Name: "shop"}, token}}
			}
		}, mounting("a", "before", "shop", marked(-time.Hour)), mounting("a", "done", "shop", marked(time.Second)))
		later(time.Minute)
		s.stop()
		if diff := gocmp.Diff([]string{"a/before"}, s.nudged()); diff != "" {
			t.Errorf("after a restart other pods are nudged than those that were not yet (-want +got):\n%s", diff)
		}
	})
}

func TestResultsAreCounted(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		look, nudge  []error
		want         map[Result]int
		tries        int
	}{
		{"a nudge", "it went well", nil, nil, map[Result]int{nudged: 1}, 1},
		{"a pod that is gone", "nothing is left to do", nil, []error{status(http.StatusNotFound)}, map[Result]int{gone: 1}, 1},
		{"an admission policy", "it would refuse it again", nil, []error{status(http.StatusForbidden)}, map[Result]int{forbidden: 1}, 1},
		{"a pod that is not taken", "it would not be taken later either", nil, []error{status(http.StatusUnprocessableEntity)}, map[Result]int{refused: 1}, 1},
		{"a conflict", "another try reads anew", nil, []error{status(http.StatusConflict)}, map[Result]int{nudged: 1}, 2},
		{"an API server that stays away", "after some tries the kubelet comes by itself", nil, slices.Repeat([]error{errors.New("away")}, 9), map[Result]int{failed: 1}, attempts},
		{"a look without the right", "it is counted, and no pod is touched", []error{status(http.StatusForbidden)}, nil, map[Result]int{forbidden: 1}, 0},
		{"a look that cannot be had", "it is counted once", slices.Repeat([]error{errors.New("away")}, attempts), nil, map[Result]int{failed: 1}, 0},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := start(t, nil, mounting("a", "web-0", "shop"))
				s.answers["a"], s.answers["a/web-0"] = each.look, each.nudge
				s.published("a")
				later(time.Hour)
				s.stop()
				if diff := gocmp.Diff(each.want, s.results); diff != "" {
					t.Errorf("the counts are others (-want +got):\n%s\nreason: %s", diff, each.reason)
				}
				if len(s.nudged()) != each.tries {
					t.Errorf("%d tries, want %d\nreason: %s", len(s.nudged()), each.tries, each.reason)
				}
			})
		})
	}
}

func TestANoticeSaysWhyNothingIsNudged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		silent := shop("a")
		silent.Spec.Target.NudgePods = false
		var off *Lane
		off.Published(shop("a"))
		if said := off.Notice(silent); said != nil {
			t.Errorf("who does not ask is told %v", said)
		}
		if said := off.Notice(shop("a")); said == nil || !strings.Contains(said.Message, "--nudge-pods") {
			t.Errorf("a lane that is turned off says %v, want the flag", said)
		}
		s := start(t, nil, mounting("a", "web-0", "shop"))
		defer s.stop()
		s.answers["a"] = []error{status(http.StatusForbidden)}
		s.published("a")
		if later(time.Minute); s.Notice(shop("a")) == nil || !strings.Contains(s.Notice(shop("a")).Message, "config/nudge-pods") {
			t.Errorf("without the right it says %v, want what gives it", s.Notice(shop("a")))
		}
		if said := s.Notice(shop("b")); said != nil {
			t.Errorf("another namespace is told %v", said)
		}
		s.published("a")
		if later(time.Minute); s.Notice(shop("a")) != nil {
			t.Errorf("with the right it still says %v", s.Notice(shop("a")))
		}
	})
}

// many are pods of a namespace.
func many(namespace string, n int) []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range n {
		pods = append(pods, mounting(namespace, fmt.Sprintf("web-%05d", i), "shop"))
	}
	return pods
}

func TestANamespaceWithManyPodsDelaysAnotherByATurn(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "pods without number to be nudged for tokens that live for seconds")
	synctest.Test(t, func(t *testing.T) {
		s := start(t, nil, append(many("crowd", mostPods+7), mounting("small", "web", "shop"))...)
		s.nudgeTakes = 10 * time.Millisecond
		s.published("crowd")
		later(2 * gatherFor)
		s.published("small")
		later(time.Minute)
		s.stop()
		first := slices.Index(s.nudged(), "small/web")
		before := int(2*gatherFor/s.nudgeTakes+4) * workers // of the other alone, and some turns
		if first < 0 || first > before {
			t.Errorf("the pod of a small namespace comes after %d others, want %d at most", first, before)
		}
		if got := s.results[tooMany]; got != 7 || len(s.nudged()) != mostPods+1 {
			t.Errorf("%d pods are nudged and %d left out, want %d and 7", len(s.nudged()), got, mostPods+1)
		}
	})
}

func TestANamespaceIsLookedAtATenthOfTheTimeAtMost(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "pods without number to be nudged for tokens that live for seconds")
	for _, each := range []struct {
		takes time.Duration
		most  int
	}{{0, 61}, {500 * time.Millisecond, 12}} {
		synctest.Test(t, func(t *testing.T) {
			s := start(t, nil, mounting("a", "web-0", "shop"))
			s.lookTakes = each.takes
			for range 600 {
				s.published("a")
				later(100 * time.Millisecond)
			}
			s.stop()
			if got := s.looks["a"]; got > each.most || got < each.most/2 {
				t.Errorf("%d looks of %s in a minute, want %d at most", got, cmp.Or(each.takes, time.Nanosecond), each.most)
			}
		})
	}
}

func TestNudgesYieldToTokens(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "pods without number to be nudged for tokens that live for seconds")
	synctest.Test(t, func(t *testing.T) {
		s := start(t, func(parts *Parts) { parts.TokensWait = func() bool { return true } }, many("a", 1000)...)
		s.published("a")
		later(4 * time.Second)
		s.stop()
		if got := len(s.nudged()); got > 4*yieldingRate || got < 3*yieldingRate {
			t.Errorf("%d pods are nudged in four seconds while credentials wait for a token, want %d a second", got, yieldingRate)
		}
	})
}

func TestNothingIsKeptOfANamespaceThatIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := start(t, nil, mounting("a", "web-0", "shop"))
		defer s.stop()
		s.published("a")
		later(time.Minute)
		if len(s.Lane.published) > 0 || s.queue.Len() > 0 || s.looks["a"] != 1 {
			t.Errorf("%d looks, and what is left: %v, %d in the queue", s.looks["a"], s.Lane.published, s.queue.Len())
		}
	})
}

func TestResultsOfErrors(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		err  error
		want Result
	}{
		{nil, nudged},
		{apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "web"), gone},
		{apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "web", nil), forbidden},
		{apierrors.NewUnauthorized("later"), failed},
		{apierrors.NewBadRequest("no"), refused},
		{apierrors.NewInternalError(errors.New("webhook")), failed},
		{context.DeadlineExceeded, failed},
	} {
		if got := resultOf(each.err); got != each.want {
			t.Errorf("%v counts as %s, want %s", each.err, got, each.want)
		}
	}
}
