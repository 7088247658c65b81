// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/courier"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// dying is the way to a courier of a process that is killed on it: once the provider has the
// request, or, where nobody says when that is, before the courier has it.
type dying struct {
	*courier.Local
	arrived <-chan struct{}
}

// Do implements egress.Caller.
func (d dying) Do(request *egress.Request, singleUse bool) (*egress.Reply, error) {
	if d.arrived != nil {
		request = request.WithContext(context.WithoutCancel(request.Context()))
		go func() { _, _ = d.Local.Do(request, singleUse) }()
		<-d.arrived
	}
	panic("killed")
}

// arrival is closed once the provider has a request, which it then holds until release is
// called.
func (s *scene) arrival() (arrived chan struct{}, release func()) {
	arrived, until := make(chan struct{}), make(chan struct{})
	s.provider.during = func() { close(arrived); <-until }
	return arrived, func() { close(until) }
}

// mute is a courier that does not answer.
type mute struct{ courier.Courier }

func (mute) Ask(context.Context, courier.Question) (courier.Answer, error) {
	return courier.Answer{}, courier.ErrSilent
}

func (s *scene) courierOf(directory string) *courier.Local {
	s.Helper()
	local, err := courier.New(courier.Options{Calls: &s.provider, Directory: directory, Now: s.clock.Now})
	if err != nil {
		s.Fatal(err)
	}
	return local
}

// dies has the process end in the middle of a refresh, and another one begin.
func (s *scene) dies(described string, way courier.Courier, next courier.Courier) {
	s.Helper()
	s.carriedBy(way, way)
	func() {
		defer func() { _ = recover() }()
		_, err := s.renew(s.Context())
		s.Fatalf("the process did not die: %v", err)
	}()
	s.start(described, "two")
	s.carriedBy(next, next)
}

// judged is what the next reconcile finds.
func (s *scene) judged() (Found, error) {
	s.Helper()
	record, err := s.Recover(s.Context(), s.credential)
	if err != nil {
		s.Fatal(err)
	}
	in, err := s.Inputs.Gather(s.Context(), s.credential)
	if err != nil {
		s.Fatal(err)
	}
	return s.Judge(s.Context(), s.credential, in, record)
}

func TestWhatTheCourierHasIsCommittedAsIfItHadJustCome(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		reply        func() (*egress.Reply, error)
		err          string
		came         bool
		recovery     recovery.Verdict
		tokens       string
	}{
		{"a token and its successor", "both are saved, and the token is published", rotates(second), "", true, recovery.Nothing, "second, spent: seed"},
		{"a refusal", "nothing was spent: to ask again brings the same answer", refuses("invalid_grant"), "Pause", false, "", "seed, spent: "},
		{"a failure with a successor", "the refresh token is saved first, whatever else is wrong", replies(http.StatusBadRequest, `{"error":"unavailable","refresh_token":"`+second+`"}`), "Pause", false, "", "second, spent: seed"},
		{"nothing was sent", "the claim is taken back", fails(egress.NotSent("no connection")), "Pause", false, "", "seed, spent: "},
		{"no clear answer", "the outcome is as unknown as to the one who sent it", replies(http.StatusBadGateway, "<html>"), "", false, recovery.Unknown, "seed claimed, spent: "},
		{"no answer", "the outcome is as unknown as to the one who sent it", fails(egress.Unanswered("broke off")), "", false, recovery.Unknown, "seed claimed, spent: "},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.provider.answer(each.reply)
			local := s.courierOf(t.TempDir())
			arrived, release := s.arrival()
			s.dies(singleUse, dying{local, arrived}, local)
			release()
			found, err := s.judged()
			for ; err == nil && found.Recovery == recovery.Wait; found, err = s.judged() { // under way still
			}
			if got := reasonOf(err); got != each.err {
				t.Fatalf("it ends with %q (%v), want %q\nreason: %s", got, err, each.err, each.reason)
			}
			if err == nil && (found.Recovery != each.recovery || (found.Came != nil) != each.came) {
				t.Errorf("recovery %s, with a token: %t; want %s, %t\nreason: %s", found.Recovery, found.Came != nil, each.recovery, each.came, each.reason)
			}
			if each.came && (found.Came.Token.AccessToken.Reveal() != access || !found.Came.Token.IssuedAt.Equal(noon)) {
				t.Errorf("the token is not the one that came, of the time at which it was asked for: %+v", found.Came.Token.Validity)
			}
			if diff := cmp.Diff(each.tokens, tokens(s.stored())); diff != "" {
				t.Errorf("state (-want +got):\n%s\nreason: %s", diff, each.reason)
			}
			if len(s.provider.sent) != 1 {
				t.Errorf("the provider got %v", s.provider.sent)
			}
		})
	}
}

// TestWhatTheCourierHasOfATokenThatWasReplaced has another process bring a successor while the
// courier holds the reply to a later exchange of the same token.
func TestWhatTheCourierHasOfATokenThatWasReplaced(t *testing.T) {
	t.Parallel()
	refresh := rotation.Exchange{Attempt: "theirs", Sent: secret.New(seed)}
	for _, each := range []struct {
		name, reason string
		by           rotation.Exchange
		reply        func() (*egress.Reply, error)
		err          string
		recovery     recovery.Verdict
		tokens       string
	}{
		{"a later successor", "the provider goes on from the one that it gave last", refresh, rotates(third), "", recovery.Nothing, "third, spent: second seed"},
		{"a refusal", "it was of the token before", refresh, refuses("invalid_grant"), "Pause", recovery.Nothing, "second, spent: seed"},
		{"that nothing was spent", "no later successor was given", refresh, refuses("slow_down"), "Pause", recovery.Nothing, "second, spent: seed"},
		{"no clear answer", "a later successor may have been given", refresh, replies(http.StatusBadGateway, "<html>"), "", recovery.Unknown, "second claimed, spent: seed"},
		{"a refusal, beside a login", "it was of the token before", rotation.Exchange{}, refuses("invalid_grant"), "Pause", recovery.Nothing, "second, spent: seed"},
		{"a successor, beside a login", "that is live, and this one is kept behind it", rotation.Exchange{}, rotates(third), "", recovery.Nothing, "second, spent: seed"},
		{"no clear answer, beside a login", "that is another grant", rotation.Exchange{}, replies(http.StatusBadGateway, "<html>"), "", recovery.Nothing, "second claimed, spent: seed"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, windowed)
			if each.by.Sent.IsZero() {
				s.mayLogIn()
			}
			s.provider.answer(each.reply)
			local := s.courierOf(t.TempDir())
			arrived, release := s.arrival()
			s.dies(windowed, dying{local, arrived}, local)
			s.keeps(func(stored rotation.State) rotation.State {
				return stored.Commit(token.Grant{RefreshToken: secret.New(second)}, each.by)
			})
			release()
			found, err := s.judged()
			for ; err == nil && found.Recovery == recovery.Wait; found, err = s.judged() { // under way still
			}
			if got := reasonOf(err); got != each.err || found.Recovery != each.recovery {
				t.Errorf("it ends with %q (%v) and %q, want %q and %q\nreason: %s", got, err, found.Recovery, each.err, each.recovery, each.reason)
			}
			if diff := cmp.Diff(each.tokens, tokens(s.stored())); diff != "" || s.stored().IsRefused() {
				t.Errorf("the live token counts as refused: %t, state (-want +got):\n%s\nreason: %s", s.stored().IsRefused(), diff, each.reason)
			}
		})
	}
}

func TestWhatTheCourierNeverReceivedIsSentAtOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.provider.answer(rotates(second))
	local := s.courierOf("")
	s.dies(singleUse, dying{Local: local}, local)
	if _, err := s.renew(t.Context()); err != nil {
		t.Fatalf("nothing was sent, so nothing is unknown: %v", err)
	}
	if diff := cmp.Diff("second, spent: seed", tokens(s.stored())); diff != "" || len(s.provider.sent) != 1 {
		t.Errorf("the provider got %v, state (-want +got):\n%s", s.provider.sent, diff)
	}
}

func TestAnExchangeUnderWayIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	arrived, release := s.arrival()
	s.provider.answer(rotates(second))
	local := s.courierOf("")
	s.dies(singleUse, dying{local, arrived}, local)
	s.clock.SetTime(noon.Add(2 * recovery.HolderTimeout))
	if found, err := s.judged(); err != nil || found.Recovery != recovery.Wait {
		t.Errorf("got %s, %v, want that it is waited for, however long ago it was first seen", found.Recovery, err)
	}
	release()
	found, err := s.judged()
	for ; err == nil && found.Recovery == recovery.Wait; found, err = s.judged() {
	}
	if err != nil || found.Came == nil || tokens(s.stored()) != "second, spent: seed" {
		t.Errorf("got %+v, %v and %s, want the reply", found.Recovery, err, tokens(s.stored()))
	}
}

func TestACourierThatCannotKnowLeavesThingsAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		next         func(s *scene, before *courier.Local) courier.Courier
		want         []recovery.Verdict // at once, and once no holder can live
		silent       bool
	}{
		{"another courier", "the one of the claim may have sent it", func(s *scene, _ *courier.Local) courier.Courier { return s.courierOf("") },
			[]recovery.Verdict{recovery.Unknown, recovery.Unknown}, false},
		{"no courier", "as a manager without one", func(*scene, *courier.Local) courier.Courier { return nil },
			[]recovery.Verdict{recovery.Unknown, recovery.Unknown}, false},
		{"a courier that does not answer", "it may have the reply, so it is not given up at once; and nobody waits for ever",
			func(_ *scene, before *courier.Local) courier.Courier { return mute{before} }, []recovery.Verdict{recovery.Wait, recovery.Unknown}, true},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.provider.answer(rotates(second))
			local := s.courierOf("")
			s.dies(singleUse, dying{Local: local}, each.next(s, local))
			if each.next(s, local) == nil {
				s.carriedBy(s.Calls.Egress, nil)
			}
			for i, want := range each.want {
				found, err := s.judged()
				if err != nil || found.Recovery != want || found.IsSilent() != each.silent || s.Pending(client.ObjectKeyFromObject(s.credential), true) != each.silent {
					t.Errorf("the %d. time: got %s (silent: %t, asked again: %t), %v, want %s\nreason: %s",
						i+1, found.Recovery, found.IsSilent(), s.Pending(client.ObjectKeyFromObject(s.credential), true), err, want, each.reason)
				}
				s.clock.SetTime(noon.Add(2 * recovery.HolderTimeout))
			}
			if !each.silent {
				return
			}
			s.carriedBy(local, local)
			if _, err := s.renew(t.Context()); err != nil || len(s.provider.sent) != 1 {
				t.Errorf("what it says in the end is not taken: %v", err)
			}
		})
	}
}

func TestACourierThatFallsSilentInTheExchangeIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, singleUse)
	s.provider.answer(fails(errors.Join(courier.ErrSilent, egress.Unanswered("no word"))))
	local := s.courierOf("")
	s.carriedBy(&s.provider, local)
	if _, err := s.renew(t.Context()); reasonOf(err) != "Pause" {
		t.Errorf("got %v, want that the courier is asked before anything is said", err)
	}
	if s.stored().Attempt == nil {
		t.Error("the claim is gone although the token may be spent")
	}
}

// TestARetryThatTheProviderRefusesIsTakenInOnce has the one retry be told to come later:
// nothing was spent by it, and of the first time nothing is known.
func TestARetryThatTheProviderRefusesIsTakenInOnce(t *testing.T) {
	t.Parallel()
	for name, died := range map[string]bool{"its process has seen it": false, "the next process finds it at the courier": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, singleUse)
			s.credential.Spec.OnUnknownOutcome = v1alpha1.RetryOnce
			s.provider.answer(breaksOff(), refuses("invalid_request"))
			local := s.courierOf("")
			s.carriedBy(local, local)
			if _, err := s.renew(t.Context()); reasonOf(err) != "Pause" {
				t.Fatalf("the first time ends with %v, want a pause", err)
			}
			if died {
				arrived, release := s.arrival()
				s.dies(singleUse, dying{local, arrived}, local)
				release()
			} else if _, err := s.renew(t.Context()); reasonOf(err) != v1alpha1.RequestRejectedReason {
				t.Fatalf("the retry ends with %v, want what the provider says", err)
			}
			found, err := s.judged()
			for ; err == nil && found.Recovery == recovery.Wait; found, err = s.judged() {
			}
			if err != nil || found.Recovery != recovery.Unknown || len(s.provider.sent) != 2 {
				t.Errorf("got %s, %v after %d requests, want that a person is asked about the first time", found.Recovery, err, len(s.provider.sent))
			}
		})
	}
}
