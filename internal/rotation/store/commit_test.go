// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/states"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func TestCommitGoesOnUntilItIsSaved(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason   string
		fails    func(api *states.APIServer)
		failures int // that are reported
	}{
		"at once":                 {"nothing is in the way", func(*states.APIServer) {}, 0},
		"refused for a while":     {"a quota is lifted", func(api *states.APIServer) { api.Failing("update", 3, apierrors.NewForbidden(secrets, "s", errCanary)) }, 3},
		"unreachable for a while": {"the API server comes back", func(api *states.APIServer) { api.Failing("update", 3, errCanary) }, 3},
		"conflicts":               {"a conflict is merged and no failure", func(api *states.APIServer) { api.Failing("update", 3, apierrors.NewConflict(secrets, "s", errCanary)) }, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newAPIServer(t)
			record := saved(t, storeOf(api), shop, sending(holding("G")))
			c.fails(api)
			var failures int
			err := storeOf(api).Commit(t.Context(), shop, record, bringing("G2", "sending", "G"), func(error) { failures++ })
			if err != nil || failures != c.failures {
				t.Fatalf("%s: %v after %d failures", c.reason, err, failures)
			}
			if stored := api.Secret(t, shop); string(stored.Data["refresh_token"]) != "G2" || stored.Data["attempt"] != nil {
				t.Error("the successor is not stored, or the claim stands")
			}
		})
	}
}

// bringing is the change that commits the reply to an exchange.
func bringing(fresh, attempt, sent string) rotation.Change {
	exchange := rotation.Exchange{Attempt: attempt, Sent: text(sent)}
	return func(stored rotation.State) (rotation.State, bool) {
		return stored.Commit(token.Grant{RefreshToken: text(fresh)}, exchange), stored.Accepts(exchange)
	}
}

func TestCommitMergesWhatOthersWrote(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason    string
		meanwhile func(t *testing.T, api *states.APIServer)
		want      error
		live      string
		attempt   string
	}{
		"a foreign key": {"someone keeps a note there", func(t *testing.T, api *states.APIServer) {
			stored := api.Secret(t, shop)
			stored.Data["note"] = []byte("kept")
			api.Must(t, api.Update(t.Context(), stored))
		}, nil, "G2", ""},
		"another's claim": {"another process has taken the claim over", func(t *testing.T, api *states.APIServer) {
			change(t, api, func(s rotation.State) rotation.State { return s.Claim(rotation.Attempt{ID: "2"}) })
		}, nil, "G2", "2"},
		"another's reply": {"its successor is the live one", func(t *testing.T, api *states.APIServer) {
			change(t, api, func(s rotation.State) rotation.State {
				return s.Commit(token.Grant{RefreshToken: text("other")}, rotation.Exchange{Attempt: "sending", Sent: text("G")})
			})
		}, ErrSuperseded, "other", ""},
		"the user's seed": {"a person has decided, and may undo it", func(t *testing.T, api *states.APIServer) {
			change(t, api, func(s rotation.State) rotation.State { return s.Adopt(text("W")) })
		}, nil, "W", ""},
		"the Secret is deleted": {"it is made again from what is in memory", func(t *testing.T, api *states.APIServer) {
			api.Must(t, api.Delete(t.Context(), api.Secret(t, shop)))
		}, nil, "G2", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newAPIServer(t)
			record := saved(t, storeOf(api), shop, sending(holding("G")))
			c.meanwhile(t, api)
			err := storeOf(api).Commit(t.Context(), shop, record, bringing("G2", "sending", "G"), func(err error) { t.Errorf("failed: %v", err) })
			if !errors.Is(err, c.want) {
				t.Fatalf("%s: got %v, want %v", c.reason, err, c.want)
			}
			stored, err := storeOf(api).Load(t.Context(), shop)
			api.Must(t, err)
			if !stored.State.RefreshToken.Equal(text(c.live)) {
				t.Errorf("%s: %s is not the live token", c.reason, c.live)
			}
			attempt := ""
			if stored.State.Attempt != nil {
				attempt = stored.State.Attempt.ID
			}
			if attempt != c.attempt {
				t.Errorf("%s: the attempt %q stands, want %q", c.reason, attempt, c.attempt)
			}
			if name == "a foreign key" && string(api.Secret(t, shop).Data["note"]) != "kept" {
				t.Error("a key that is not ours is left alone")
			}
		})
	}
}

// change is what another process writes.
func change(t *testing.T, api *states.APIServer, transition func(rotation.State) rotation.State) {
	t.Helper()
	record, err := storeOf(api).Load(t.Context(), shop)
	api.Must(t, err)
	api.Must(t, storeOf(api).Save(t.Context(), record, transition(record.State)))
}

func TestCommitEnds(t *testing.T) {
	t.Parallel()
	forbidden := apierrors.NewForbidden(secrets, "s", errCanary)
	t.Run("without a claim the first failure is returned", func(t *testing.T) {
		t.Parallel()
		api := newAPIServer(t)
		record := saved(t, storeOf(api), shop, holding("G"))
		api.Failing("update", 2, forbidden)
		failures := 0
		err := storeOf(api).Commit(t.Context(), shop, record, bringing("G2", "", "G"), func(error) { failures++ })
		if !errors.Is(err, ErrBlocked) || failures != 1 {
			t.Errorf("nothing is at stake: got %v after %d failures", err, failures)
		}
	})
	t.Run("when its context does", func(t *testing.T) {
		t.Parallel()
		api := newAPIServer(t)
		record := saved(t, storeOf(api), shop, sending(holding("G")))
		api.Failing("update", 1<<40, forbidden)
		ctx, cancel := context.WithCancel(t.Context())
		err := storeOf(api).Commit(ctx, shop, record, bringing("G2", "sending", "G"), func(error) { cancel() })
		if !errors.Is(err, ErrBlocked) || !errors.Is(err, context.Canceled) {
			t.Errorf("why it failed and why it ended: got %v", err)
		}
	})
	t.Run("when the namespace is gone", func(t *testing.T) {
		t.Parallel()
		api := newAPIServer(t)
		record := saved(t, storeOf(api), shop, sending(holding("G")))
		api.Must(t, api.Delete(t.Context(), api.Secret(t, shop)))
		api.Failing("create", 1, apierrors.NewNotFound(secrets, "team"))
		err := storeOf(api).Commit(t.Context(), shop, record, bringing("G2", "sending", "G"), func(error) {})
		if !errors.Is(err, ErrGone) {
			t.Errorf("there is no place left for it: got %v", err)
		}
	})
}

func TestACommitThatWasAppliedWithoutAnAnswerIsOnesOwn(t *testing.T) {
	t.Parallel()
	withdraw := func(stored rotation.State) (rotation.State, bool) {
		return stored.Withdraw("sending", nil), stored.Attempt != nil
	}
	cases := map[string]struct {
		reason string
		change rotation.Change
	}{
		"a reply":      {"its successor is stored, and nobody has superseded it", bringing("G2", "sending", "G")},
		"a withdrawal": {"the claim is gone, and nobody has taken it over", withdraw},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newAPIServer(t)
			record := saved(t, storeOf(api), shop, sending(holding("G")))
			var applied atomic.Bool
			api.Intercept(func(verb string, _ client.ObjectKey) error {
				if verb != "update" || applied.Swap(true) {
					return nil
				}
				change(t, api, func(s rotation.State) rotation.State { next, _ := c.change(s); return next })
				return errCanary
			})
			if err := storeOf(api).Commit(t.Context(), shop, record, c.change, func(error) {}); err != nil {
				t.Errorf("%s: %v", c.reason, err)
			}
			if record.State.Attempt != nil || record.ResourceVersion() != api.Secret(t, shop).ResourceVersion {
				t.Error("the record is not what is stored")
			}
		})
	}
}

func TestACommitThatWouldDropAnothersAttemptEnds(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	record := saved(t, storeOf(api), shop, sending(holding("G")))
	careless := func(stored rotation.State) (rotation.State, bool) { stored.Attempt = nil; return stored, true }
	if err := storeOf(api).Commit(t.Context(), shop, record, careless, func(error) {}); !errors.Is(err, ErrForeignAttempt) {
		t.Errorf("no retry cures a mistake: got %v", err)
	}
}
