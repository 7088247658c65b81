// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package twins

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

var other = credentialOf("elsewhere", "other")

func TestOlderTwin(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a label of another's state on a Secret of one's own")
	twin := func(change func(*Twin)) *Twin {
		t := &Twin{Namespace: "elsewhere", Credential: "other", StateSecret: "other-token-state"}
		if change != nil {
			change(t)
		}
		return t
	}
	lost := sending(holding("G")).Lose("sending")
	cases := map[string]struct {
		reason  string
		other   rotation.State
		younger bool // than one's own
		gone    bool // its credential
		change  func(*corev1.Secret)
		want    *Twin
		err     error
	}{
		"an older one on the token":      {"it goes first", holding("G"), false, false, nil, twin(nil), nil},
		"a younger one on the token":     {"it gives way", holding("G"), true, false, nil, nil, nil},
		"an older one that sends it":     {"it goes first", sending(holding("G")), false, false, nil, twin(nil), nil},
		"a younger one that may send it": {"it may have looked before this one could be seen", sending(holding("G")), true, false, nil, twin(nil), ErrContended},
		"a younger one that has spent it": {
			"its successor is in that state", rotated(holding("G"), "G2"), true, false, nil, twin(func(t *Twin) { t.Successor = rotation.SuccessorLive }), nil,
		},
		"a younger one that has lost it": {
			"it was spent", lost, true, false, nil, twin(func(t *Twin) { t.Successor = rotation.SuccessorLost }), nil,
		},
		"one with another token":     {"they have nothing in common", holding("H"), false, false, nil, nil, nil},
		"one that may go back to it": {"it is not spent", holding("G").Adopt(text("W")), false, false, nil, nil, nil},
		"one that may go back to its successor": {
			"it is spent", rotated(holding("G"), "G2").Adopt(text("W")), false, false, nil, twin(func(t *Twin) { t.Successor = rotation.SuccessorPrevious }), nil,
		},
		"one that has left it for a login": {
			"a seed that a login followed is of no use", holding("G").Commit(grantOf("L"), rotation.Exchange{}), false, false, nil, twin(func(t *Twin) { t.Successor = rotation.SuccessorLive }), nil,
		},
		"an older one whose ledger has lost it": {
			"the ledger is bounded, and the seed is known all the same", withoutLedger(rotated(holding("G"), "G2")), false, false, nil, twin(func(t *Twin) { t.Successor = rotation.SuccessorLive }), nil,
		},

		"an orphan on the token": {"it would never send it, and must not be in the way", holding("G"), false, true, nil, nil, nil},
		"an orphan that may be sending it": {
			"its credential was deleted during the exchange", sending(holding("G")), false, true, nil, twin(func(t *Twin) { t.Orphaned = true }), ErrContended,
		},
		"an orphan that has spent it": {
			"sending it again could revoke what came of it", rotated(holding("G"), "G2"), false, true, nil, twin(func(t *Twin) { t.Orphaned, t.Successor = true, rotation.SuccessorLive }), nil,
		},
		"an orphan that has lost it": {
			"it was spent", lost, false, true, nil, twin(func(t *Twin) { t.Orphaned, t.Successor = true, rotation.SuccessorLost }), nil,
		},

		"a Secret of another type": {
			"anyone may put a label on a Secret of theirs", holding("G"), false, false, func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }, nil, nil,
		},
		"a Secret of another name": {
			"the operator would not write it", holding("G"), false, false, func(s *corev1.Secret) { s.Name = "other" }, nil, nil,
		},
		"a Secret of no credential": {
			"the operator would not write it", holding("G"), false, false, func(s *corev1.Secret) { s.Annotations = nil }, nil, nil,
		},
		"a damaged one on the token": {
			"the token is read all the same", holding("G"), false, false, func(s *corev1.Secret) { s.Data["sequence"] = []byte("x") }, twin(nil), nil,
		},
		"a damaged one on another token": {
			"the label says that it had the token", rotated(holding("G"), "G2"), false, false, func(s *corev1.Secret) {
				s.Data["sequence"], s.Data["spent"], s.Data["seed"] = []byte("x"), nil, nil
			}, twin(func(t *Twin) { t.Successor = rotation.SuccessorUnsure }), nil,
		},
		"one of the version before": {
			"an upgrade must not make twins invisible", holding("G"), false, false, func(s *corev1.Secret) {
				delete(s.Labels, marks.LabelKey)
				s.Labels[marks.LabelLive], s.Labels[marks.LabelSeed] = plainMark("G"), plainMark("G")
			}, twin(nil), nil,
		},
		"one of the version before that has moved on": {
			"its seed is found", rotated(holding("G"), "G2"), false, false, func(s *corev1.Secret) {
				delete(s.Labels, marks.LabelKey)
				s.Labels[marks.LabelLive], s.Labels[marks.LabelSeed] = plainMark("G2"), plainMark("G")
			}, twin(func(t *Twin) { t.Successor = rotation.SuccessorLive }), nil,
		},
		"one of two versions before": {
			"that upgrade must not either", holding("G"), false, false, func(s *corev1.Secret) {
				for _, label := range []string{marks.LabelKey, marks.LabelLive, marks.LabelSeed} {
					delete(s.Labels, label)
				}
				s.Labels[marks.LabelPrefix+plainMark("G")] = "live"
			}, twin(nil), nil,
		},
		"one with a mark in plain that is none of the operator's": {
			"anyone may put a label on a Secret of theirs", holding("G"), false, false, func(s *corev1.Secret) {
				s.Type = corev1.SecretTypeOpaque
				delete(s.Labels, marks.LabelKey)
				s.Labels[marks.LabelLive] = plainMark("G")
			}, nil, nil,
		},
		"a state on another token that bears the labels of one on this": {
			"a label is an index, and anyone may copy it", holding("H"), false, false, func(s *corev1.Secret) {
				marks.Marks{Cluster: "cluster", Key: key}.Label(s, holding("G"))
			}, nil, nil,
		},
		"one under a key that is lost": {
			"it is found once it is marked anew", holding("G"), false, false, func(s *corev1.Secret) {
				marks.Marks{Cluster: "cluster", Key: digest.Random()}.Label(s, holding("G"))
			}, nil, nil,
		},
	}
	for name, c := range cases {
		for _, namespaces := range [][]string{nil, {"team", "elsewhere"}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				api := newAPIServer(t)
				kept := storeOf(api)
				kept.Namespaces = namespaces
				var own *store.Record
				if c.younger {
					own = saved(t, kept, shop, sending(holding("G")))
				}
				if !c.gone {
					api.Must(t, api.Create(t.Context(), other.DeepCopy()))
				}
				saved(t, kept, other, c.other)
				if c.change != nil {
					api.Remake(t, other, c.change)
				}
				if own == nil {
					own = saved(t, kept, shop, sending(holding("G")))
				}
				got, err := kept.Older(t.Context(), own)
				if !errors.Is(err, c.err) {
					t.Fatalf("%s: got %v, want %v", c.reason, err, c.err)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", c.reason, diff)
				}
			})
		}
	}
}

func TestATwinAtAnotherOriginTellsNothing(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a guess of a neighbour's refresh token, sent to a host of one's own")
	ours, theirs := rotation.Origin{Refresh: "https://evil.example"}, rotation.Origin{Refresh: "https://id.example"}
	neighbour := credentialOf(shop.Namespace, "other")
	for _, test := range []struct {
		name        string
		credential  *v1alpha1.TokenCredential
		own, others rotation.Origin
		found       bool
		reason      string
	}{
		{"a stranger's grant at another origin", other, ours, theirs, false, "whoever guesses the token must not hear that the guess is right"},
		{"a stranger's grant at the same origin", other, theirs, theirs, true, "the provider would have accepted the token, and taken it from the other"},
		{"a stranger's grant of which the origin is not known", other, ours, rotation.Origin{}, true, "it may be the same"},
		{"a grant of the same namespace at another origin", neighbour, ours, theirs, true, "one provider may have two hosts, and the namespace's Secrets are no secret to it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			api := newAPIServer(t)
			api.Must(t, api.Create(t.Context(), test.credential.DeepCopy()))
			kept := storeOf(api)
			older, own := holding("G"), sending(holding("G"))
			older.Origin, own.Origin = test.others, test.own
			saved(t, kept, test.credential, older)
			got, err := kept.Older(t.Context(), saved(t, kept, shop, own))
			if err != nil || (got != nil) != test.found {
				t.Errorf("found %+v, %v: %s", got, err, test.reason)
			}
		})
	}
}

func withoutLedger(s rotation.State) rotation.State { s.Spent = nil; return s }

func TestATwinOutsideTheWatchedNamespacesIsNotLookedFor(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	saved(t, storeOf(api), other, rotated(holding("G"), "G2"))
	kept := storeOf(api)
	kept.Namespaces = []string{"team"}
	own := saved(t, kept, shop, sending(holding("G")))
	if twin, err := kept.Older(t.Context(), own); twin != nil || err != nil {
		t.Errorf("the operator has no right there: got %v, %v", twin, err)
	}
}

func TestOneThatHasSpentTheTokenGoesBeforeOneThatMaySendIt(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	kept := storeOf(api)
	own := saved(t, kept, shop, sending(holding("G")))
	saved(t, kept, credentialOf("a", "sends"), sending(holding("G")))
	saved(t, kept, credentialOf("b", "spent"), rotated(holding("G"), "G2"))
	saved(t, kept, credentialOf("c", "sends"), sending(holding("G")))
	if twin, err := kept.Older(t.Context(), own); err != nil || twin == nil || twin.Credential != "spent" {
		t.Errorf("there is nothing to wait for: got %v, %v", twin, err)
	}
}

func TestOlderTwinFailsWithTheAPIServer(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		fails  func(verb string, key client.ObjectKey) bool
	}{
		"the list":       {"the look is needed", func(verb string, _ client.ObjectKey) bool { return verb == "list" }},
		"the state":      {"what is in it decides", func(_ string, key client.ObjectKey) bool { return key.Name == "other-token-state" }},
		"the credential": {"an orphan is not in the way, and another is", func(_ string, key client.ObjectKey) bool { return key.Name == "other" }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newAPIServer(t)
			kept := storeOf(api)
			saved(t, kept, other, holding("G"))
			own := saved(t, kept, shop, sending(holding("G")))
			api.Intercept(func(verb string, key client.ObjectKey) error {
				if c.fails(verb, key) {
					return apierrors.NewForbidden(secrets, "s", errCanary)
				}
				return nil
			})
			if twin, err := kept.Older(t.Context(), own); !errors.Is(err, store.ErrBlocked) {
				t.Errorf("%s: got %v, %v", c.reason, twin, err)
			}
		})
	}
}

func TestASecretThatIsDeletedMeanwhileIsNoTwin(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	kept := storeOf(api)
	saved(t, kept, other, rotated(holding("G"), "G2"))
	own := saved(t, kept, shop, sending(holding("G")))
	api.Intercept(func(verb string, key client.ObjectKey) error {
		if verb == "get" && key.Name == "other-token-state" {
			return apierrors.NewNotFound(secrets, key.Name)
		}
		return nil
	})
	if twin, err := kept.Older(t.Context(), own); twin != nil || err != nil {
		t.Errorf("it is gone: got %v, %v", twin, err)
	}
}

func TestOfTwoTwinsOneIsOlderForBoth(t *testing.T) {
	t.Parallel()
	secret := func(created time.Time, uid types.UID) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(created), UID: uid}}
	}
	cases := map[string]struct {
		reason   string
		one, two *corev1.Secret
	}{
		"made one after the other":    {"the earlier is older", secret(noon, "b"), secret(noon.Add(time.Second), "a")},
		"made within the same second": {"the UID decides", secret(noon, "a"), secret(noon, "b")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !isOlder(c.one, c.two) || isOlder(c.two, c.one) || isOlder(c.one, c.one) {
				t.Errorf("%s, and not otherwise", c.reason)
			}
		})
	}
}

func TestManyFirstSendsCostFewLists(t *testing.T) {
	t.Parallel()
	api := newAPIServer(t)
	kept := storeOf(api)
	var records []*store.Record
	for i := range 50 {
		records = append(records, saved(t, kept, credentialOf("team", fmt.Sprintf("c%d", i)), sending(holding(fmt.Sprintf("token-%d", i)))))
	}
	var all sync.WaitGroup
	for _, record := range records {
		all.Go(func() {
			if twin, err := kept.Older(t.Context(), record); twin != nil || err != nil {
				t.Errorf("each has a token of its own: got %v, %v", twin, err)
			}
		})
	}
	all.Wait()
	if _, err := kept.Older(t.Context(), records[0]); err != nil {
		t.Fatal(err)
	}
	before := api.Lists.Load()
	if _, err := kept.Older(t.Context(), records[0]); err != nil {
		t.Fatal(err)
	}
	if got := api.Lists.Load() - before; got != 2 {
		t.Errorf("one that looks alone makes %d lists, want one for each key", got)
	}
}

func TestOfManyOnOneTokenEachReadsTheOldest(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "thousands of credentials on one refresh token")
	api := newAPIServer(t)
	kept := storeOf(api)
	var records []*store.Record
	for i := range 50 {
		credential := credentialOf("team", fmt.Sprintf("c%02d", i))
		api.Must(t, api.Create(t.Context(), credential))
		records = append(records, saved(t, kept, credential, holding("G")))
	}
	var reads atomic.Int64
	api.Intercept(func(verb string, _ client.ObjectKey) error {
		if verb == "get" {
			reads.Add(1)
		}
		return nil
	})
	var all sync.WaitGroup
	for i, record := range records { // which share what is found
		all.Go(func() {
			twin, err := kept.Older(t.Context(), record)
			if err != nil || i > 0 && (twin == nil || twin.Credential != "c00") || i == 0 && twin != nil {
				t.Errorf("c%02d: got %v, %v; the oldest goes first", i, twin, err)
			}
		})
	}
	all.Wait()
	if most := int64(3 * len(records)); reads.Load() > most {
		t.Errorf("%d reads for %d, want %d at most: one state and its credential for each, and all states for the oldest", reads.Load(), len(records), most)
	}
}

func TestTwoThatLookAtTheSameTimeDoNotBothSend(t *testing.T) {
	t.Parallel()
	for range 50 {
		api := newAPIServer(t)
		kept := storeOf(api)
		for _, credential := range []string{"one", "two"} {
			api.Must(t, api.Create(t.Context(), credentialOf("team", credential)))
		}
		var mu sync.Mutex
		var free int
		var both sync.WaitGroup
		for _, name := range []string{"one", "two"} {
			both.Go(func() {
				record := kept.None(credentialOf("team", name))
				if err := kept.Save(t.Context(), record, sending(holding("G"))); err != nil {
					t.Error(err)
				}
				if twin, err := kept.Older(t.Context(), record); twin == nil && err == nil {
					mu.Lock()
					defer mu.Unlock()
					free++
				}
			})
		}
		both.Wait()
		if free > 1 {
			t.Fatal("both would send the token")
		}
	}
}
