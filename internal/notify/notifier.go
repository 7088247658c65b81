// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
)

const (
	// senders is how many messages are sent at once: few, since all go to one host.
	senders = 4
	// maxPerNamespace and maxWaiting bound how many credentials have a message that waits.
	// A namespace has a bound of its own, so that one tenant's do not displace another's.
	maxPerNamespace = 200
	maxWaiting      = 10000
	// sendTimeout bounds one try.
	sendTimeout = 10 * time.Second
	// firstRetry and longestRetry pace the tries of one message, keepTrying bounds them:
	// what a receiver has not taken for so long is news no more.
	firstRetry   = time.Second
	longestRetry = 5 * time.Minute
	keepTrying   = 24 * time.Hour
	// lastTimeout bounds the last try of all that waits when the process ends.
	lastTimeout = 10 * time.Second
)

// What becomes of a message: the label result of its metric.
const (
	sent    = "sent"    // the receiver has taken it
	failed  = "failed"  // a try has failed, and another follows
	dropped = "dropped" // it is given up
)

// Options of a notifier.
type Options struct {
	// URL receives the messages.
	URL string
	// KeyFile holds the keys that they are signed with. It is read again for each message.
	KeyFile string
	// Egress sends them.
	Egress egress.Caller
	Clock  clock.PassiveClock
	Log    logr.Logger
}

// Notifier sends messages to a webhook. Safe for concurrent use.
type Notifier struct {
	options Options
	// Cluster is the UID by which a receiver tells clusters apart. Count counts what becomes
	// of messages. Both are set before the notifier is used.
	Cluster string
	Count   func(result string)

	timeout time.Duration // of one try
	queue   workqueue.TypedRateLimitingInterface[types.NamespacedName]

	mu         sync.Mutex
	waiting    map[types.NamespacedName]cloudEvent
	namespaces map[string]int // how many of each wait
	ended      bool
}

// New makes a notifier, or says what is wrong with the URL or the key.
func New(options Options) (*Notifier, error) {
	target, err := url.Parse(options.URL)
	switch {
	case err != nil: // it would quote the URL, which may hold a secret
		return nil, errors.New("--notify-url is no URL: write https://HOST/PATH")
	case target.User != nil:
		return nil, errors.New("--notify-url holds a user name or a password: leave it out, messages are signed instead")
	}
	request, err := request(context.Background(), options.URL, nil)
	if err != nil {
		return nil, errors.New("--notify-url cannot be called: write https://HOST/PATH")
	}
	if err := options.Egress.Check(request); err != nil {
		return nil, fmt.Errorf("--notify-url: %w", err)
	}
	if _, err := keys(options.KeyFile); err != nil {
		return nil, fmt.Errorf("--notify-key-file: %w", err)
	}
	return &Notifier{
		options:    options,
		Count:      func(string) {},
		timeout:    sendTimeout,
		queue:      workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](firstRetry, longestRetry)),
		waiting:    map[types.NamespacedName]cloudEvent{},
		namespaces: map[string]int{},
	}, nil
}

// Wrote is told of a status that was written, and of the one before. It does not wait.
func (n *Notifier) Wrote(before *v1alpha1.TokenCredentialStatus, written *v1alpha1.TokenCredential) {
	event, ok := transition(before, written, n.Cluster, n.options.Clock.Now())
	if !ok {
		return
	}
	key := types.NamespacedName{Namespace: written.Namespace, Name: written.Name}
	if why := n.add(key, event); why != "" {
		n.drop(event, why)
		return
	}
	n.queue.Add(key)
}

// Start sends what comes until ctx ends, and then tries once more what still waits.
func (n *Notifier) Start(ctx context.Context) {
	sendCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var sending sync.WaitGroup
	for range senders {
		sending.Go(func() { n.work(ctx, sendCtx) })
	}
	<-ctx.Done()
	bound := time.AfterFunc(lastTimeout, cancel) //nolint:forbidigo // it bounds the end of the process, and decides nothing
	defer bound.Stop()
	for _, key := range n.close() { // what waits for its backoff has one try more
		n.queue.Add(key)
	}
	n.queue.ShutDownWithDrain()
	sending.Wait()
}

// work sends what is due. Once running has ended nothing is tried again.
func (n *Notifier) work(running, ctx context.Context) {
	for {
		key, ended := n.queue.Get()
		if ended {
			return
		}
		event, ok := n.take(key)
		if !ok {
			n.queue.Done(key)
			continue
		}
		retry, err := n.send(ctx, event)
		switch {
		case err == nil:
			n.Count(sent)
			n.queue.Forget(key)
		case !retry, running.Err() != nil, n.options.Clock.Since(event.Time) > keepTrying:
			n.drop(event, err.Error())
			n.queue.Forget(key)
		default:
			n.Count(failed)
			if n.queue.NumRequeues(key) == 0 { // once for each message that is late
				n.options.Log.Info("a notification could not be sent; it is tried again", "why", err.Error(), "credential", event.Subject)
			}
			n.putBack(key, event)
			n.queue.AddRateLimited(key)
		}
		n.queue.Done(key)
	}
}

func (n *Notifier) drop(event cloudEvent, why string) {
	n.Count(dropped)
	n.options.Log.Info("a notification is given up", "why", why, "credential", event.Subject, "type", event.Type, "reason", event.Data.Reason)
}

// add has a message wait, in place of an earlier one of its credential, or says why it
// cannot.
func (n *Notifier) add(key types.NamespacedName, event cloudEvent) (why string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, waits := n.waiting[key]
	switch {
	case n.ended:
		return "the process ends"
	case !waits && (n.namespaces[key.Namespace] >= maxPerNamespace || len(n.waiting) >= maxWaiting):
		return "too many wait"
	case !waits:
		n.namespaces[key.Namespace]++
	}
	n.waiting[key] = event
	return ""
}

// putBack has a message that could not be sent wait again, unless a later one does.
func (n *Notifier) putBack(key types.NamespacedName, event cloudEvent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, waits := n.waiting[key]; !waits {
		n.waiting[key] = event
		n.namespaces[key.Namespace]++
	}
}

// take takes out the message of a credential.
func (n *Notifier) take(key types.NamespacedName) (cloudEvent, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	event, ok := n.waiting[key]
	if !ok {
		return cloudEvent{}, false
	}
	delete(n.waiting, key)
	if n.namespaces[key.Namespace]--; n.namespaces[key.Namespace] == 0 {
		delete(n.namespaces, key.Namespace)
	}
	return event, true
}

// close takes no more, and returns what waits.
func (n *Notifier) close() []types.NamespacedName {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	all := make([]types.NamespacedName, 0, len(n.waiting))
	for key := range n.waiting {
		all = append(all, key)
	}
	return all
}
