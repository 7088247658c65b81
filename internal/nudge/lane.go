// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package nudge

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/pace"
	"github.com/tokenkeeper/tokenkeeper/internal/pace/queue"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

const (
	// gatherFor is how long after a token its pods are looked for. A kubelet hears of the
	// Secret and of the pod by two watches: the Secret must come first, or it is looked at
	// in vain. What is published meanwhile in the same namespace shares the look.
	gatherFor = 250 * time.Millisecond
	// lookEvery is the least time between two looks at a namespace, and restAfter how much
	// longer than a look itself the next one waits: whoever has many pods, and tokens that
	// live for seconds, takes no more than that share of the lane's time.
	lookEvery = time.Second
	restAfter = 10
	// mostPods of a namespace are nudged for what was published together.
	mostPods = 5000
	// workers is how many requests are made at once: some hundreds a second.
	workers = 4
	// yieldingRate is how many are made a second while credentials wait for a token.
	yieldingRate = 50
	// attempts at one request. After that the kubelet will have come by itself, or soon.
	attempts = 4
	// firstRetry and longestRetry pace them.
	firstRetry   = 200 * time.Millisecond
	longestRetry = 5 * time.Second
	// lookTimeout and nudgeTimeout bound one request.
	lookTimeout  = 30 * time.Second
	nudgeTimeout = 10 * time.Second
)

// Target is a Secret that pods mount, and when its token was published.
type Target struct {
	Secret types.NamespacedName
	At     time.Time
}

// Parts are what a lane is made of.
type Parts struct {
	Pods  Pods
	Clock clock.PassiveClock
	Log   logr.Logger
	// Count counts nudges by their results.
	Count func(Result)
	// TokensWait reports whether credentials wait for a token.
	TokensWait func() bool
	// Published are the targets that ask for nudges when the lane starts: what a process
	// that died has published, and not nudged for, is made up for.
	Published func(context.Context) []Target
}

// Lane nudges pods. Nil is a lane that is turned off. Safe for concurrent use.
type Lane struct {
	Parts
	// queue holds namespaces to look at, as a request without a name, and pods to nudge.
	queue    queue.Queue
	yielding *rate.Limiter

	mu sync.Mutex
	// published are the Secrets of a namespace since its last look. While a namespace is
	// here, a look is to come.
	published map[string]map[string]time.Time
	forbidden map[string]bool // namespaces in which the operator lacks the right
}

// New makes a lane that has nothing to do yet.
func New(parts Parts) *Lane {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, longestRetry)
	alike := func(reconcile.Request) pace.Waiter { return pace.Waiter{Class: pace.Renewal} }
	return &Lane{
		Parts:     parts,
		queue:     queue.New("nudge", limiter, alike),
		yielding:  rate.NewLimiter(yieldingRate, 1),
		published: map[string]map[string]time.Time{},
		forbidden: map[string]bool{},
	}
}

// Published has the pods nudged that mount a credential's target, if the credential asks for
// it: a token was written there now. It does not wait.
func (l *Lane) Published(credential *v1alpha1.TokenCredential) {
	if l != nil && credential.Spec.Target.NudgePods {
		l.add(Target{types.NamespacedName{Namespace: credential.Namespace, Name: credential.TargetName()}, l.Clock.Now()})
	}
}

func (l *Lane) add(target Target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	secrets, willLook := l.published[target.Secret.Namespace]
	if !willLook {
		secrets = map[string]time.Time{}
		l.published[target.Secret.Namespace] = secrets
		l.queue.AddAfter(lookAt(target.Secret.Namespace), gatherFor)
	}
	if target.At.After(secrets[target.Secret.Name]) {
		secrets[target.Secret.Name] = target.At
	}
}

func lookAt(namespace string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace}}
}

// Notice says why a credential that asks for nudges gets none; nil: it does, or asks for
// none.
func (l *Lane) Notice(credential *v1alpha1.TokenCredential) *problem.Problem {
	switch {
	case !credential.Spec.Target.NudgePods:
		return nil
	case l == nil:
		return problem.New(v1alpha1.PodsNotNudgedEvent,
			"spec.target.nudgePods has no effect, since the operator runs without its flag --nudge-pods: pods see a new token when their kubelet next looks, within 90 seconds; have an admin of the cluster turn it on (config/nudge-pods), or leave nudgePods out")
	case l.isForbidden(credential.Namespace):
		return problem.New(v1alpha1.PodsNotNudgedEvent,
			"spec.target.nudgePods has no effect, since the operator may not list and patch the pods of this namespace: pods see a new token when their kubelet next looks, within 90 seconds; have an admin of the cluster give it that right (config/nudge-pods), or leave nudgePods out")
	}
	return nil
}

func (l *Lane) isForbidden(namespace string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.forbidden[namespace]
}

// Start nudges until ctx ends.
func (l *Lane) Start(ctx context.Context) error {
	for _, target := range l.Parts.Published(ctx) {
		l.add(target)
	}
	var working sync.WaitGroup
	for range workers {
		working.Go(func() { l.work(ctx) })
	}
	<-ctx.Done()
	l.queue.ShutDown()
	working.Wait()
	return nil
}

// work makes the requests that are due, as far as tokens leave room for them.
func (l *Lane) work(ctx context.Context) {
	for {
		if l.TokensWait() {
			_ = l.yielding.Wait(ctx) // it fails where the process ends
		}
		request, isOver := l.queue.Get()
		if isOver || ctx.Err() != nil {
			return
		}
		if request.Name == "" {
			l.look(ctx, request)
		} else {
			l.nudge(ctx, request)
		}
		l.queue.Done(request)
	}
}

// look queues the pods of a namespace that mount what was published there. It comes again
// until nothing more is.
func (l *Lane) look(ctx context.Context, request reconcile.Request) {
	published := l.take(request.Namespace)
	if len(published) == 0 {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var due []string
	began, dropped := l.Clock.Now(), 0
	err := l.Pods.Each(bounded, request.Namespace, func(pod *corev1.Pod) {
		switch {
		case !isDue(pod, published, began):
		case len(due) < mostPods:
			due = append(due, pod.Name)
		default:
			dropped++
		}
	})
	result := resultOf(err)
	if result == failed && l.queue.NumRequeues(request) < attempts-1 {
		l.putBack(request.Namespace, published)
		l.queue.AddRateLimited(request)
		return
	}
	l.queue.Forget(request)
	l.queue.AddAfter(request, max(lookEvery, restAfter*l.Clock.Now().Sub(began)))
	l.noteRight(request.Namespace, result)
	if err != nil {
		l.Log.Info("pods that mount a new token cannot be looked for", "namespace", request.Namespace, "why", apierrors.ReasonForError(err))
		l.Count(result)
		return
	}
	for range dropped {
		l.Count(tooMany)
	}
	for _, name := range due {
		l.queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: request.Namespace, Name: name}})
	}
}

// take takes what was published in a namespace; with nothing, no further look is to come.
func (l *Lane) take(namespace string) map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	published := l.published[namespace]
	if len(published) == 0 {
		delete(l.published, namespace)
		return nil
	}
	l.published[namespace] = map[string]time.Time{}
	return published
}

// putBack has the next look ask for what this one could not find out.
func (l *Lane) putBack(namespace string, published map[string]time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.Copy(published, l.published[namespace]) // what was published meanwhile is later
	l.published[namespace] = published
}

// noteRight notes whether the operator may do in a namespace what it was about to.
func (l *Lane) noteRight(namespace string, result Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if result == forbidden {
		l.forbidden[namespace] = true
	} else {
		delete(l.forbidden, namespace)
	}
}

// nudge nudges one pod.
func (l *Lane) nudge(ctx context.Context, request reconcile.Request) {
	bounded, cancel := context.WithTimeout(ctx, nudgeTimeout)
	defer cancel()
	result := resultOf(l.Pods.Nudge(bounded, request.NamespacedName, l.Clock.Now()))
	if result == failed && l.queue.NumRequeues(request) < attempts-1 {
		l.queue.AddRateLimited(request)
		return
	}
	l.queue.Forget(request)
	l.Count(result)
}
