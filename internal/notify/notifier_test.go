// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
)

func TestAStallIsSentAsASignedCloudEvent(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, accept)
	n := start(t, policyFor(t, r), r.URL+"/hooks/s3cr3t-path?token=s3cr3t-query", oneKey+"\n"+anotherKey+"\n")
	before := time.Now().Add(-2 * time.Second)
	n.wrote("shop", "", "ReauthorizationRequired")
	if got := n.await(t, 1); got[0] != "sent" {
		t.Fatalf("it is counted as %v", got)
	}
	got := r.received()[0]
	if kind := got.header.Get("Content-Type"); kind != "application/cloudevents+json; charset=utf-8" {
		t.Errorf("the content type is %q", kind)
	}
	event := map[string]any{}
	if err := json.Unmarshal(got.body, &event); err != nil {
		t.Fatal(err)
	}
	sentAt, err := time.Parse(time.RFC3339, fmt.Sprint(event["time"]))
	if err != nil || sentAt.Before(before) {
		t.Errorf("the time is %v (%v)", event["time"], err)
	}
	delete(event, "time")
	want := map[string]any{
		"specversion": "1.0", "id": "uid-1.42", "type": "io.tokenkeeper.tokencredential.stalled",
		"source": "/clusters/cluster-1/namespaces/team-a/tokencredentials/shop", "subject": "team-a/shop",
		"datacontenttype": "application/json",
		"data": map[string]any{
			"cluster": "cluster-1", "namespace": "team-a", "name": "shop", "uid": "uid-1", "provider": "xiaomi",
			"reason": "ReauthorizationRequired", "message": "do this", "ready": true,
		},
	}
	if diff := cmp.Diff(want, event); diff != "" {
		t.Errorf("the event (-want +got):\n%s", diff)
	}
	if !verified(got, oneKey) || !verified(got, anotherKey) {
		t.Error("one of the two keys does not verify it: a receiver that knows either must take it")
	}
	if id := got.header.Get("webhook-id"); id != "uid-1.42" {
		t.Errorf("the header says the ID is %q", id)
	}
	stamp, err := strconv.ParseInt(got.header.Get("webhook-timestamp"), 10, 64)
	if err != nil || stamp < before.Unix() {
		t.Errorf("the timestamp is %q", got.header.Get("webhook-timestamp"))
	}
}

func TestWhatCallsForAMessage(t *testing.T) {
	t.Parallel()
	for _, each := range []struct{ name, reason, before, after, want string }{
		{"a stall", "a person must act", "", "AppRejected", "stalled AppRejected, before: "},
		{"another reason", "a person must act on something else", "AppRejected", "OutcomeUnknown", "stalled OutcomeUnknown, before: AppRejected"},
		{"the end of a stall", "nobody must act any more", "AppRejected", "", "resolved TokenValid, before: AppRejected"},
		{"the same stall", "it was reported", "AppRejected", "AppRejected", ""},
		{"a healthy credential", "there is nothing to say", "", "", ""},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			old := status(each.before, "")
			got := ""
			if event, ok := transition(&old, written("shop", status(each.after, "")), "c", time.Now()); ok {
				got = fmt.Sprintf("%s %s, before: %s", strings.TrimPrefix(event.Type, "io.tokenkeeper.tokencredential."), event.Data.Reason, event.Data.PreviousReason)
			}
			if got != each.want {
				t.Errorf("it says %q, want %q: %s", got, each.want, each.reason)
			}
		})
	}
}

func TestAReceiverThatFails(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		answer       func(nth int, w http.ResponseWriter, r *http.Request)
		counts       []string
		tries        int
	}{
		{"is tried again until it takes the message", "it may be restarting", func(nth int, w http.ResponseWriter, _ *http.Request) {
			if nth < 4 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}, []string{"failed", "failed", "failed", "sent"}, 4},
		{"closes connections", "no answer is no receipt", func(nth int, _ http.ResponseWriter, _ *http.Request) {
			if nth < 3 {
				panic(http.ErrAbortHandler)
			}
		}, []string{"failed", "failed", "sent"}, 3},
		{"does not know the key yet", "its settings are mended", func(nth int, w http.ResponseWriter, _ *http.Request) {
			if nth < 2 {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}, []string{"failed", "sent"}, 2},
		{"takes such a message never", "to send it again would not help", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}, []string{"dropped"}, 1},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, each.answer)
			n := start(t, policyFor(t, r), r.URL+"/s3cr3t-path", oneKey)
			n.wrote("shop", "", "AppRejected")
			if got := n.await(t, len(each.counts)); !slices.Equal(got, each.counts) {
				t.Errorf("%v is counted, want %v: %s", got, each.counts, each.reason)
			}
			messages := r.received()
			if len(messages) != each.tries {
				t.Errorf("%d tries were made, want %d", len(messages), each.tries)
			}
			for _, m := range messages {
				if m.header.Get("webhook-id") != messages[0].header.Get("webhook-id") || string(m.body) != string(messages[0].body) || !verified(m, oneKey) {
					t.Error("a later try is another message, or is not signed: the receiver could not tell that it has it")
				}
			}
			if strings.Contains(n.log(), "s3cr3t") || strings.Contains(n.log(), oneKey) {
				t.Errorf("the log has the URL's path, or the key:\n%s", n.log())
			}
		})
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newReceiver(t, accept)
	r := newReceiver(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	n := start(t, policyFor(t, r), r.URL, oneKey)
	n.wrote("shop", "", "AppRejected")
	n.await(t, 2)
	if len(elsewhere.received()) > 0 {
		t.Error("the message went to where the receiver pointed")
	}
	if !strings.Contains(n.log(), "redirects are not followed") {
		t.Errorf("the log does not say why:\n%s", n.log())
	}
}

func TestACertificateThatIsNotTrusted(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, accept)
	policy := policyFor(t, r)
	policy.CAFiles = nil
	n := start(t, policy, r.URL, oneKey)
	n.wrote("shop", "", "AppRejected")
	if got := n.await(t, 2); got[0] != "failed" || len(r.received()) > 0 {
		t.Errorf("%v is counted, and %d messages came", got, len(r.received()))
	}
}

func TestASlowReceiverHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := newReceiver(t, func(nth int, _ http.ResponseWriter, request *http.Request) {
		if nth == 1 {
			select {
			case <-release:
			case <-request.Context().Done():
			}
		}
	})
	n := start(t, policyFor(t, r), r.URL, oneKey)
	n.wrote("slow", "", "AppRejected")
	<-r.arrived
	for _, name := range []string{"one", "two", "three"} { // this returns although the receiver hangs
		n.wrote(name, "", "AppRejected")
	}
	if got := n.await(t, 3); !slices.Equal(got, []string{"sent", "sent", "sent"}) {
		t.Errorf("%v is counted while one message is on its way", got)
	}
	close(release)
	n.await(t, 4)
}

func TestATryEnds(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(nth int, _ http.ResponseWriter, request *http.Request) {
		if nth == 1 {
			<-request.Context().Done() // until the notifier gives the connection up
		}
	})
	calls, err := egress.New(policyFor(t, r))
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(Options{URL: r.URL, KeyFile: fileOf(t, oneKey), Egress: calls, Clock: clock.RealClock{}})
	if err != nil {
		t.Fatal(err)
	}
	n.timeout = 50 * time.Millisecond
	old := status("", "")
	event, _ := transition(&old, written("shop", status("AppRejected", "")), "c", time.Now())
	if retry, err := n.send(t.Context(), event); !retry || err == nil || !strings.Contains(err.Error(), " in time") { // no answer, or no connection yet
		t.Errorf("retry is %v, the error %v", retry, err)
	}
}

func TestOfSeveralTransitionsTheLastIsSent(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := newReceiver(t, func(nth int, w http.ResponseWriter, _ *http.Request) {
		if nth == 1 {
			<-release
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	n := start(t, policyFor(t, r), r.URL, oneKey)
	n.wrote("shop", "", "AppRejected")
	<-r.arrived
	n.wrote("shop", "AppRejected", "OutcomeUnknown")
	n.wrote("shop", "OutcomeUnknown", "")
	close(release)
	if got := n.await(t, 2); !slices.Equal(got, []string{"failed", "sent"}) {
		t.Errorf("%v is counted", got)
	}
	want := []string{"stalled team-a/shop AppRejected", "resolved team-a/shop TokenValid"}
	if diff := cmp.Diff(want, r.types(t)); diff != "" {
		t.Errorf("what came (-want +got):\n%s", diff)
	}
}

func TestTheEndOfTheProcessSendsWhatWaits(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, accept)
	n := start(t, policyFor(t, r), r.URL, oneKey)
	for i := range 50 {
		n.wrote(fmt.Sprint("shop-", i), "", "AppRejected")
	}
	n.end()
	if got := len(r.received()); got != 50 {
		t.Errorf("%d of 50 messages came", got)
	}
	n.wrote("late", "", "AppRejected")
	if got := n.await(t, 51); got[50] != "dropped" {
		t.Errorf("what comes after the end is counted as %q, want dropped: nobody would send it", got[50])
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	calls, err := egress.New(egress.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(Options{URL: "https://hooks.example.com", KeyFile: fileOf(t, oneKey), Egress: calls, Clock: clock.RealClock{}})
	if err != nil {
		t.Fatal(err)
	}
	droppedOnes := 0
	n.Count = func(string) { droppedOnes++ }
	old := status("", "")
	for i := range maxPerNamespace + 10 { // nobody sends: the notifier does not run
		n.Wrote(&old, written(fmt.Sprint("shop-", i), status("AppRejected", "")))
	}
	other := written("shop", status("AppRejected", ""))
	other.Namespace = "team-b"
	n.Wrote(&old, other)
	if droppedOnes != 10 || len(n.waiting) != maxPerNamespace+1 {
		t.Errorf("%d are given up and %d wait, want 10 and %d: one namespace's do not displace another's", droppedOnes, len(n.waiting), maxPerNamespace+1)
	}
}

func TestWhatIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for _, each := range []struct{ name, url, key, want string }{
		{"plain HTTP", "http://hooks.example.com/x", oneKey, "egress-allow-plain-http"},
		{"a private address", "https://10.1.2.3/x", oneKey, "egress-allow-cidrs"},
		{"no host", "/hooks", oneKey, "names no host"},
		{"a password in the URL", "https://u:s3cr3t@hooks.example.com", oneKey, "user name or a password"},
		{"what is no URL", "https://hooks.example.com/s3cr3t\x7f", oneKey, "no URL"},
		{"an empty key file", "https://hooks.example.com", "\n", "holds no key"},
		{"a key that is too short", "https://hooks.example.com", "c2hvcnQ=", "line 1"},
		{"a key that is not base64", "https://hooks.example.com", oneKey + "\ns3cr3t!!", "line 2"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			calls, err := egress.New(egress.Policy{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = New(Options{URL: each.url, KeyFile: fileOf(t, each.key), Egress: calls, Clock: clock.RealClock{}})
			if err == nil || !strings.Contains(err.Error(), each.want) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the error is %v, want one with %q and nothing of a secret", err, each.want)
			}
		})
	}
}
