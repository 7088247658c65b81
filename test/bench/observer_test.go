// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

var (
	noon  = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	shopA = types.NamespacedName{Namespace: "a", Name: "shop"}
)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// target puts a token into the target of a credential, good for a hundred seconds.
func (o *observer) target(name types.NamespacedName, token string, now time.Time) {
	o.sawSecret(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name},
		Data:       map[string][]byte{"access_token": []byte(token), "expires_at": []byte(now.Add(100 * time.Second).Format(time.RFC3339))},
	}, now)
}

// status lets it tell of the token that was issued at a time, and that it is due 80
// seconds later.
func (o *observer) status(name types.NamespacedName, issued, now time.Time) {
	expires, due := metav1.NewTime(issued.Add(100*time.Second)), metav1.NewTime(issued.Add(80*time.Second))
	o.sawCredential(&v1alpha1.TokenCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name},
		Status: v1alpha1.TokenCredentialStatus{
			ExpirationTime: &expires, NextRefreshTime: &due,
			Conditions: []metav1.Condition{
				{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionTrue},
				{Type: v1alpha1.RefreshedCondition, Status: metav1.ConditionTrue},
			},
		},
	}, now)
}

func TestTokensCountOnceTheyAreInATarget(t *testing.T) {
	t.Parallel()
	o := newObserver()
	o.target(shopA, "one", at(0))
	o.target(shopA, "one", at(0)) // an annotation has changed
	o.target(types.NamespacedName{Namespace: "b", Name: "shop"}, "other", at(5))
	o.target(shopA, "two", at(85))
	targets, last, published, err := o.tokens()
	if err != nil || targets != 2 || published != 3 || !last.Equal(at(5)) {
		t.Errorf("%d targets, the newest at %s, %d tokens, %v; want 2, %s and 3: the namespace tells names apart, no status is needed", targets, last, published, err, at(5))
	}
	replaced := o.forget()
	if len(replaced) != 1 || replaced[0].age != 85*time.Second || !replaced[0].due.IsZero() {
		t.Errorf("got %+v, want one of 85 s that no status told of", replaced)
	}
}

func TestDueIsThatOfTheTokenThatIsReplaced(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		events func(*observer)
		want   time.Time
	}{
		{"the status came seconds later", func(o *observer) {
			o.target(shopA, "one", at(0))
			o.status(shopA, at(0), at(7))
			o.target(shopA, "two", at(81))
		}, at(80)},
		{"the next status was seen before the next target", func(o *observer) {
			o.target(shopA, "one", at(0))
			o.status(shopA, at(0), at(1))
			o.status(shopA, at(81), at(81))
			o.target(shopA, "two", at(81))
		}, at(80)},
		{"the status of a token in between was never written", func(o *observer) {
			o.target(shopA, "one", at(0))
			o.status(shopA, at(0), at(1))
			o.target(shopA, "two", at(81))
			o.forget()
			o.target(shopA, "three", at(162))
		}, time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := newObserver()
			test.events(o)
			replaced := o.forget()
			if len(replaced) != 1 || !replaced[0].due.Equal(test.want) {
				t.Errorf("got %+v, want one that was due at %s", replaced, test.want)
			}
		})
	}
}

func TestStatusesThatComeBehind(t *testing.T) {
	t.Parallel()
	o := newObserver()
	o.status(shopA, at(-81), at(-80)) // of a token that was never seen
	o.target(shopA, "one", at(0))
	if o.staleStatuses() != 1 || o.expectAgreement(at(1)) != 1 {
		t.Error("a status of an earlier token agrees with a target")
	}
	o.target(shopA, "two", at(2))
	if pending, _, _ := o.pending(); pending != 1 {
		t.Error("a further token ended the wait for a status")
	}
	o.status(shopA, at(2), at(6))
	pending, last, err := o.pending()
	if pending != 0 || !last.Equal(at(6)) || err != nil {
		t.Errorf("%d pending, the last agreed at %s, %v; want none, and %s", pending, last, err, at(6))
	}
	if lags := o.forgetLags(); len(lags) != 1 || lags[0] != 4 {
		t.Errorf("lags are %v, want 4 s after the newest token", lags)
	}
	o.target(shopA, "three", at(90))
	if pending, _, _ := o.pending(); pending != 0 || o.staleStatuses() != 1 {
		t.Error("a token after the agreement begins the wait anew")
	}
}

func TestWaitsForAFirstToken(t *testing.T) {
	t.Parallel()
	o := newObserver()
	o.target(shopA, "one", at(3))
	o.target(shopA, "two", at(60))
	waits, unserved, err := o.waits(map[types.NamespacedName]time.Time{shopA: at(1)})
	if err != nil || unserved != 0 || len(waits) != 1 || waits[0] != 2 {
		t.Errorf("waits %v, %d unserved, %v; want 2 s: later tokens change nothing", waits, unserved, err)
	}
	waits, unserved, _ = o.waits(map[types.NamespacedName]time.Time{{Namespace: "b", Name: "shop"}: time.Now().Add(-time.Hour)})
	if unserved != 1 || waits[0] < 3600 {
		t.Errorf("waits %v, %d unserved; want an hour so far", waits, unserved)
	}
}

func TestWhatARestartDid(t *testing.T) {
	t.Parallel()
	right := seenStatus{ready: true, refreshed: true, plan: plan{expires: at(100)}, changes: 3}
	wrong := seenStatus{changes: 3}
	held := seenTarget{expires: at(100), tokens: 1}
	changed := func(s seenStatus, n int) seenStatus { s.changes += n; return s }
	for _, test := range []struct {
		name                        string
		before, after               seenStatus
		target                      seenTarget
		attemptsBefore, attemptsNow int
		want                        deeds
	}{
		{"nothing was owed, nothing was done", right, right, held, 2, 2, deeds{}},
		{"a status that was owed was written", wrong, changed(right, 1), held, 2, 2, deeds{owed: 1}},
		{"one that was owed was written twice", wrong, changed(right, 2), held, 2, 2, deeds{owed: 1, needless: 1}},
		{"one that was right was written", right, changed(right, 1), held, 2, 2, deeds{needless: 1}},
		{"a fresh token was refreshed", right, right, seenTarget{expires: at(200), tokens: 2}, 2, 3, deeds{calls: 1, targets: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			observed := func(status seenStatus, target seenTarget, attempts int) *observation {
				return &observation{targets: map[types.NamespacedName]seenTarget{shopA: target}, statuses: map[types.NamespacedName]seenStatus{shopA: status},
					attempts: map[string]int{"a/shop": attempts}}
			}
			before := observed(test.before, held, test.attemptsBefore)
			names, _ := before.fresh(func(seenTarget) bool { return true })
			if got := difference(before, observed(test.after, test.target, test.attemptsNow), names); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
