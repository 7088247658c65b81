// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
)

const (
	oneKey     = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
	anotherKey = "whsec_plJ3nmyCDGBKInavdOK15jsldcL6WVHPplJ3nmyCDGA="
)

// message is what a receiver was sent.
type message struct {
	header http.Header
	body   []byte
}

// receiver is a webhook over TLS. Answer says what it answers to each message.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	messages []message
	arrived  chan struct{} // receives when a message has come, before it is answered
}

func newReceiver(t *testing.T, answer func(nth int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	r := &receiver{arrived: make(chan struct{}, 1000)}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		r.messages = append(r.messages, message{request.Header.Clone(), body})
		nth := len(r.messages)
		r.mu.Unlock()
		r.arrived <- struct{}{}
		answer(nth, w, request)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) received() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// types are those of the messages that came, with their reasons.
func (r *receiver) types(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, each := range r.received() {
		event := cloudEvent{}
		if err := json.Unmarshal(each.body, &event); err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.TrimPrefix(event.Type, "io.tokenkeeper.tokencredential.")+" "+event.Subject+" "+event.Data.Reason)
	}
	return all
}

// running is a notifier at work, and what it counted and logged.
type running struct {
	*Notifier
	mu      sync.Mutex
	counts  []string
	logged  strings.Builder
	changed chan struct{}
	end     func()
}

func fileOf(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// policyFor lets a receiver on loopback be called, whose certificate is its own.
func policyFor(t *testing.T, r *receiver) egress.Policy {
	t.Helper()
	policy := egress.Policy{}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})
	for flag, value := range map[interface{ Set(string) error }]string{&policy.AllowCIDRs: "127.0.0.0/8", &policy.CAFiles: fileOf(t, string(certificate))} {
		if err := flag.Set(value); err != nil {
			t.Fatal(err)
		}
	}
	return policy
}

// start runs a notifier whose retries come fast.
func start(t *testing.T, policy egress.Policy, url, key string) *running {
	t.Helper()
	calls, err := egress.New(policy)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{changed: make(chan struct{}, 1000)}
	log := funcr.New(func(_, args string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.logged.WriteString(args + "\n")
	}, funcr.Options{})
	r.Notifier, err = New(Options{URL: url, KeyFile: fileOf(t, key), Egress: calls, Clock: clock.RealClock{}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	r.queue = workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](time.Millisecond, 10*time.Millisecond))
	r.Cluster = "cluster-1"
	r.Count = func(result string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.counts = append(r.counts, result)
		r.changed <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() { r.Start(ctx) })
	r.end = sync.OnceFunc(func() { cancel(); working.Wait(); calls.CloseIdleConnections() })
	t.Cleanup(r.end)
	return r
}

func (r *running) counted() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.counts)
}

func (r *running) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logged.String()
}

// await waits until so many results were counted.
func (r *running) await(t *testing.T, results int) []string {
	t.Helper()
	for len(r.counted()) < results {
		select {
		case <-r.changed:
		case <-time.After(time.Minute):
			t.Fatalf("%v was counted, want %d results; logged:\n%s", r.counted(), results, r.log())
		}
	}
	return r.counted()
}

// status is one with a stall, or with none where the reason is empty.
func status(reason, text string) v1alpha1.TokenCredentialStatus {
	ready := metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue, Reason: "TokenValid", Message: "a token is in the target"}
	if reason == "" {
		return v1alpha1.TokenCredentialStatus{Conditions: []metav1.Condition{ready}}
	}
	return v1alpha1.TokenCredentialStatus{Conditions: []metav1.Condition{ready, {Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: reason, Message: text}}}
}

func written(name string, status v1alpha1.TokenCredentialStatus) *v1alpha1.TokenCredential {
	credential := &v1alpha1.TokenCredential{Status: status}
	credential.Namespace, credential.Name, credential.UID, credential.ResourceVersion = "team-a", name, "uid-1", strconv.Itoa(42)
	credential.Spec.ProviderRef.Name = "xiaomi"
	return credential
}

func (r *running) wrote(name, before, after string) {
	old := status(before, "")
	r.Wrote(&old, written(name, status(after, "do this")))
}

func accept(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// verified is whether a signature is that of a key over id, time and body, worked out here
// as a receiver does.
func verified(m message, key string) bool {
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_"))
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte(m.header.Get("webhook-id") + "." + m.header.Get("webhook-timestamp") + "." + string(m.body)))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return slices.Contains(strings.Fields(m.header.Get("webhook-signature")), want)
}
