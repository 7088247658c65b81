// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestARequestArrivesAsItWasMade(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *way, _ *Local, c Courier) {
		reply, err := exchange(t, c, attemptAt(c, "1"))
		checkReply(t, reply, err)
		got := w.sent[0]
		if got.method != "POST" || got.url != "https://auth.example/token?a=%2F&b=c%20d" || got.host != "auth.example" ||
			got.body != "canary-request" || !got.singleUse || strings.Join(got.header["x-spelled-Oddly"], ",") != "one,two\xff" { //nolint:staticcheck // as its provider spells it
			t.Errorf("what is sent is not what was asked for: %+v", got)
		}
	})
}

func TestACallWithoutAnAttemptIsPassedThrough(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *way, l *Local, c Courier) {
		for range 2 {
			reply, err := c.Do(requestOf(t, t.Context()), false)
			checkReply(t, reply, err)
		}
		if _, kept := l.load(); w.count() != 2 || kept != 0 || w.sent[0].singleUse {
			t.Errorf("%d calls, %d kept, want two and none: nothing is spent by them", w.count(), kept)
		}
	})
}

func TestTheErrorsOfTheWayOutAreTold(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *way, _ *Local, c Courier) {
		request := requestOf(t, t.Context())
		request.URL.Host = "denied.example"
		if err := c.Check(request); !errors.Is(err, egress.ErrDenied) {
			t.Errorf("got %v, want what the policy says", err)
		}
		if err := c.Check(requestOf(t, t.Context())); err != nil {
			t.Errorf("got %v for a request that may be sent", err)
		}
		for kind, failure := range map[error]error{
			egress.ErrNotSent:     egress.NotSent("nothing left"),
			egress.ErrCertificate: egress.ErrCertificate,
		} {
			w.reply, w.err = nil, failure
			if _, err := c.Do(requestOf(t, t.Context()), false); !errors.Is(err, egress.ErrNotSent) {
				t.Errorf("got %v, want one that says that nothing was sent, as %v", err, kind)
			}
		}
		w.reply, w.err = &egress.Reply{Status: 200, CutShort: true, Body: []byte("half")}, egress.Unanswered("cut short")
		reply, err := exchange(t, c, attemptAt(c, "2"))
		if reply == nil || string(reply.Body) != "half" || err == nil || isNotSent(err) || err.Error() != "cut short" {
			t.Errorf("got %v, %v, want the part that came, and that bytes were sent", reply, err)
		}
	})
}

func TestAnAttemptIsSentOnce(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a courier asked twice for one attempt")
	each(t, func(t *testing.T, w *way, _ *Local, c Courier) {
		w.hold = make(chan struct{})
		attempt := attemptAt(c, "1")
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() {
				reply, err := exchange(t, c, attempt)
				if err != nil || reply.Status != 200 {
					t.Errorf("got %v, %v, want the one reply", reply, err)
				}
			})
		}
		<-w.begun
		if answer := ask(t, c, "1", attempt.Courier); answer.Fate != UnderWay {
			t.Errorf("asked in the middle it says %s, want that it is under way", answer.Fate)
		}
		close(w.hold)
		wait.Wait()
		reply, err := exchange(t, c, attempt)
		checkReply(t, reply, err)
		c.Saved("1")
		waitFor(t, "what was saved is forgotten", func() bool { return ask(t, c, "1", attempt.Courier).Fate == Stranger })
		if _, err := exchange(t, c, attempt); err == nil || isNotSent(err) {
			t.Errorf("got %v, want that it was sent before", err)
		}
		if w.count() != 1 {
			t.Errorf("the request was sent %d times", w.count())
		}
	})
}

func TestWhatBecameOfAnAttempt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ *way, _ *Local, c Courier) {
		attempt := attemptAt(c, "1")
		_, _ = exchange(t, c, attempt)
		answer := ask(t, c, "1", attempt.Courier)
		came, ok := answer.Open(key)
		if answer.Fate != Ended || !ok || string(came.Note) != "note" {
			t.Fatalf("got %s, want the reply with its note", answer.Fate)
		}
		checkReply(t, came.Reply, came.Failure)
		if _, ok := answer.Open(secret.New(strings.Repeat("k", 32))); ok {
			t.Error("another key opens it")
		}
	})
}

func TestWhatWasNeverReceivedNeverIs(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a courier asked for an attempt that it never received")
	each(t, func(t *testing.T, w *way, _ *Local, c Courier) {
		attempt := attemptAt(c, "1")
		for range 2 {
			if answer := ask(t, c, "1", attempt.Courier); answer.Fate != NeverReceived {
				t.Fatalf("it says %s, want that it never received it", answer.Fate)
			}
		}
		if _, err := exchange(t, c, attempt); !isNotSent(err) || w.count() != 0 {
			t.Errorf("got %v and %d requests: who asked goes on, so a request that comes late must not be sent", err, w.count())
		}
	})
}

func TestTheSecondRequestOfAnAttempt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *way, _ *Local, c Courier) {
		first := attemptAt(c, "1")
		second := first
		second.Again = true
		if _, err := exchange(t, c, second); !isNotSent(err) {
			t.Errorf("got %v, want that nothing is sent before the first", err)
		}
		for _, each := range []Attempt{first, second, second} {
			if _, err := exchange(t, c, each); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := exchange(t, c, first); err == nil || isNotSent(err) || w.count() != 2 {
			t.Errorf("got %v and %d requests, want two: each was sent once", err, w.count())
		}
		other := attemptAt(c, "2")
		_, _ = exchange(t, c, other)
		_ = ask(t, c, "2", other.Courier)
		other.Again = true
		if _, err := exchange(t, c, other); !isNotSent(err) {
			t.Errorf("got %v: who asked has gone on from the first reply", err)
		}
	})
}

// TestWhatCannotBeKnown: "never received" is said where that is sure, and nowhere else.
func TestWhatCannotBeKnown(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for _, each := range []struct {
		name, reason string
		courier      string
		started      time.Time
		saved        bool
		want         Fate
	}{
		{"of this courier, lately", "it would remember it", "own", now.Add(-time.Minute), false, NeverReceived},
		{"of another courier", "that one may have sent it", "other", now.Add(-time.Minute), false, Stranger},
		{"of no courier", "the claim is of a version without one", "", now.Add(-time.Minute), false, Stranger},
		{"from before what is remembered", "it may have been forgotten", "own", now.Add(-2 * time.Hour), false, Stranger},
		{"from the future", "the clocks do not agree, so nothing is known of the time", "own", now.Add(time.Hour), false, Stranger},
		{"saved before", "an older state was put back: its token is spent", "own", now.Add(-time.Minute), true, Stranger},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			clock := now.Add(-3 * time.Hour)
			l, err := New(Options{Calls: newWay(), Now: func() time.Time { return clock }})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = exchange(t, l, attemptAt(l, "long ago"))
			l.Saved("long ago")
			l.ledger.of("long ago").since = now.Add(-90 * time.Minute)
			clock = now
			if each.saved {
				_, _ = exchange(t, l, attemptAt(l, "1"))
				l.Saved("1")
			} else {
				_, _ = exchange(t, l, attemptAt(l, "another")) // it makes the oldest be forgotten
			}
			instance := each.courier
			if instance == "own" {
				instance = l.Instance()
			}
			answer, _ := l.Ask(t.Context(), Question{Attempt: "1", Courier: instance, Started: each.started})
			if answer.Fate != each.want {
				t.Errorf("it says %s, want %s\nreason: %s", answer.Fate, each.want, each.reason)
			}
		})
	}
}

func TestAnotherCourierTakesNothingUnderTheClaim(t *testing.T) {
	t.Parallel()
	w := newWay()
	before, after := local(t, w, ""), local(t, w, "")
	if _, err := exchange(t, after, attemptAt(before, "1")); !isNotSent(err) || w.count() != 0 {
		t.Errorf("got %v and %d requests: a manager that comes back would ask the courier that the claim names", err, w.count())
	}
}

func TestAReplyOutlivesItsCourier(t *testing.T) {
	t.Parallel()
	directory, w := t.TempDir(), newWay()
	before := local(t, w, directory)
	attempt := attemptAt(before, "1")
	_, _ = exchange(t, before, attempt)
	for _, file := range filesIn(t, directory) {
		content, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(content), "canary") || strings.Contains(string(content), "Y2FuYXJ5") {
			t.Errorf("%s holds a reply in clear (%v)", filepath.Base(file), err)
		}
	}
	after := local(t, w, directory)
	answer := ask(t, after, "1", attempt.Courier)
	came, ok := answer.Open(key)
	if !ok {
		t.Fatalf("a courier that was restarted says %s, want the reply: it was sealed before the answer", answer.Fate)
	}
	checkReply(t, came.Reply, came.Failure)
	after.Saved("1")
	if left := filesIn(t, directory); len(left) > 0 {
		t.Errorf("%v stay although they are saved", left)
	}
	if answer := ask(t, after, "2", attempt.Courier); answer.Fate != Stranger {
		t.Errorf("it says %s of what the one before may have sent", answer.Fate)
	}
}

func filesIn(t *testing.T, directory string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestAFullSpoolSendsNothing(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a courier whose spool is full")
	w := newWay()
	w.reply = &egress.Reply{Status: 200, Body: []byte(strings.Repeat("x", 500<<10))}
	l := local(t, w, t.TempDir())
	for i := 0; ; i++ {
		id := "flood" + string(rune('a'+i))
		_, err := exchange(t, l, attemptAt(l, id))
		if err == nil && i < 40 {
			continue
		}
		if !isNotSent(err) || !strings.Contains(err.Error(), "spool") || w.count() != i {
			t.Fatalf("got %v after %d requests of %d, want that nothing is sent for lack of room", err, w.count(), i+1)
		}
		break
	}
	other := attemptAt(l, "another's")
	other.Namespace = "another"
	if _, err := exchange(t, l, other); err != nil {
		t.Errorf("another namespace finds no room: %v", err)
	}
}

// TestANamespaceFillsNoMoreThanItsShareOfTheMemory has a courier without files, as one
// within the manager is, and a namespace whose replies are never saved.
func TestANamespaceFillsNoMoreThanItsShareOfTheMemory(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "replies without number that nobody saves")
	w := newWay()
	w.reply = &egress.Reply{Status: 200, Body: []byte(strings.Repeat("x", 500<<10))}
	l := local(t, w, "")
	for i := 0; ; i++ {
		_, err := exchange(t, l, attemptAt(l, fmt.Sprint("flood-", i)))
		if err == nil && i < 40 {
			continue
		}
		if !isNotSent(err) || !strings.Contains(err.Error(), "of this namespace") || w.count() != i {
			t.Fatalf("got %v after %d requests of %d, want that nothing is sent for lack of memory", err, w.count(), i+1)
		}
		break
	}
	other := attemptAt(l, "another's")
	other.Namespace = "another"
	if _, err := exchange(t, l, other); err != nil {
		t.Errorf("another namespace finds no memory: %v", err)
	}
	for i := range w.count() - 1 {
		l.Saved(fmt.Sprint("flood-", i))
	}
	l.Saved("another's")
	if len(l.ledger.bytes) != 0 || l.ledger.total != 0 {
		t.Errorf("%v bytes are kept although all is saved", l.ledger.bytes)
	}
}

func TestAReplyThatFindsNoFileIsInMemory(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	l := local(t, newWay(), directory)
	if err := os.RemoveAll(directory); err != nil {
		t.Fatal(err)
	}
	attempt := attemptAt(l, "1")
	reply, err := exchange(t, l, attempt)
	checkReply(t, reply, err)
	if answer := ask(t, l, "1", attempt.Courier); answer.Fate != Ended {
		t.Errorf("it says %s: what no disk takes must not be lost", answer.Fate)
	}
	l.Saved("1")
	if l.ledger.total != 0 || l.ledger.kept != 0 {
		t.Errorf("%d bytes of %d replies are kept still", l.ledger.total, l.ledger.kept)
	}
}

func TestAPanicOnTheWayOutIsAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	l, err := New(Options{Calls: panics{}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	attempt := attemptAt(l, "1")
	func() {
		defer func() { _ = recover() }()
		_, _ = exchange(t, l, attempt)
	}()
	came, ok := ask(t, l, "1", attempt.Courier).Open(key)
	if !ok || came.Reply != nil || came.Failure == nil || isNotSent(came.Failure) {
		t.Errorf("got %+v, want that bytes may have been sent", came)
	}
}

type panics struct{ egress.Caller }

func (panics) Do(*egress.Request, bool) (*egress.Reply, error) { panic("on the way") }

func TestTheLedgerIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	ledger := newLedger()
	for i := range maxRemembered + 100 {
		received, err := ledger.receive(Attempt{ID: string(rune(i)) + "x"}, now.Add(time.Duration(i)))
		if err != nil {
			t.Fatal(err)
		}
		ledger.end(received.entry, nil, false)
	}
	if got := len(ledger.entries); got > maxRemembered+1 || got != ledger.order.Len() {
		t.Errorf("%d attempts are remembered in %d places, want %d at most", got, ledger.order.Len(), maxRemembered)
	}
	if ledger.forgotten.IsZero() {
		t.Error("nothing says that some were forgotten")
	}
}

// TestNoKubernetesClientIsLinkedIntoACourier asks the toolchain, which the import rules of
// the linter do not: they see a package's own imports alone.
func TestNoKubernetesClientIsLinkedIntoACourier(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if !strings.Contains(string(out), "tokenkeeper/internal/egress") {
		t.Fatalf("the list lacks what a courier is made of: %s", out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "k8s.io/") || strings.HasPrefix(line, "sigs.k8s.io/") || strings.Contains(line, "tokenkeeper/internal/provider") {
			t.Errorf("a courier has %s", line)
		}
	}
}

func waitFor(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !isSo() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("it does not come true that %s", what)
		}
	}
}
