// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

const canary = "xK7qPz2mWv9tLs4"

// wanting is a credential that wants its live refresh token written back.
func wanting() *v1alpha1.TokenCredential {
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop"}}
	credential.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{Name: "seed", Key: "rt", WriteBack: true}
	return credential
}

// recordOf is a state whose live token came from a seed that was adopted.
func recordOf(live, adopted string) *store.Record {
	return &store.Record{State: rotation.State{Lineage: rotation.Lineage{RefreshToken: secret.New(live), Seed: secret.New(adopted).Digest(), Spent: rotation.Ledger{secret.New("spent").Digest()}}}}
}

func TestAWriteBackIsDueWhileTheUsersSecretIsBehind(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason string
		change       func(credential *v1alpha1.TokenCredential, in *inputs.Inputs, record *store.Record)
		want         bool
	}{
		{"the Secret holds the seed that was adopted", "the live token came after it", func(*v1alpha1.TokenCredential, *inputs.Inputs, *store.Record) {}, true},
		{"the Secret holds a token that was spent before", "a GitOps tool has put it back", func(_ *v1alpha1.TokenCredential, in *inputs.Inputs, _ *store.Record) {
			in.Seed = secret.New("spent")
		}, true},
		{"the Secret has lost its key", "the live token is to be there", func(_ *v1alpha1.TokenCredential, in *inputs.Inputs, _ *store.Record) {
			in.Seed = secret.Text{}
		}, true},
		{"the Secret holds the live token", "there is nothing to write", func(_ *v1alpha1.TokenCredential, in *inputs.Inputs, _ *store.Record) {
			in.Seed = secret.New("live")
		}, false},
		{"the Secret holds a new seed", "a person has authorized again: that is never overwritten", func(_ *v1alpha1.TokenCredential, in *inputs.Inputs, _ *store.Record) {
			in.Seed = secret.New("new")
		}, false},
		{"nobody asked for it", "the seed is the user's", func(credential *v1alpha1.TokenCredential, _ *inputs.Inputs, _ *store.Record) {
			credential.Spec.RefreshTokenSecretRef.WriteBack = false
		}, false},
		{"the credential names no seed", "there is nowhere to write", func(credential *v1alpha1.TokenCredential, _ *inputs.Inputs, _ *store.Record) {
			credential.Spec.RefreshTokenSecretRef = nil
		}, false},
		{"the Secret does not exist", "the operator creates no Secret of the user's", func(_ *v1alpha1.TokenCredential, in *inputs.Inputs, _ *store.Record) {
			in.Seed, in.SeedVersion = secret.Text{}, ""
		}, false},
		{"there is no live token", "an empty one would destroy the user's", func(_ *v1alpha1.TokenCredential, _ *inputs.Inputs, record *store.Record) {
			record.State.RefreshToken = secret.Text{}
		}, false},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			credential, in, record := wanting(), &inputs.Inputs{Seed: secret.New("adopted"), SeedVersion: "1"}, recordOf("live", "adopted")
			each.change(credential, in, record)
			if got := isWriteBackDue(Job{Credential: credential, Inputs: in, Record: record}); got != each.want {
				t.Errorf("it is due: %t, want %t\nreason: %s", got, each.want, each.reason)
			}
		})
	}
}

func TestAWriteBackIsNeverOverAChange(t *testing.T) {
	t.Parallel()
	resource := schema.GroupResource{Resource: "secrets"}
	well := map[string][]byte{"rt": []byte("live"), "other": []byte("kept")}
	untouched := map[string][]byte{"rt": []byte("adopted"), "other": []byte("kept")}
	refusing := func(err error) func(t *testing.T, server client.WithWatch) client.Client {
		return func(_ *testing.T, server client.WithWatch) client.Client {
			return interceptor.NewClient(server, interceptor.Funcs{Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
				return err
			}})
		}
	}
	for _, each := range []struct {
		name, reason string
		between      func(t *testing.T, server client.WithWatch) client.Client // the read and the write
		want         map[string][]byte
		says         []string // empty: it is no problem
	}{
		{"nothing has changed", "the live token is written, and nothing else", func(_ *testing.T, server client.WithWatch) client.Client { return server }, well, nil},
		{"a person writes a new seed meanwhile", "it stays: the change brings the next reconcile", func(t *testing.T, server client.WithWatch) client.Client {
			seed := seedIn(t, server)
			seed.Data["rt"] = []byte("new")
			if err := server.Update(t.Context(), seed); err != nil {
				t.Fatal(err)
			}
			return server
		}, map[string][]byte{"rt": []byte("new"), "other": []byte("kept")}, nil},
		{"the Secret is deleted meanwhile", "it is not made again", func(t *testing.T, server client.WithWatch) client.Client {
			if err := server.Delete(t.Context(), seedIn(t, server)); err != nil {
				t.Fatal(err)
			}
			return server
		}, nil, nil},
		{"the API server forbids it", "the token is not lost, and a person learns what to do", refusing(apierrors.NewForbidden(resource, "seed", errors.New(canary))),
			untouched, []string{"is kept in the state Secret", `"seed"`, "Forbidden", "writeBack to false"}},
		{"the Secret is immutable", "the message does not quote what was written", refusing(apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, canary, nil)),
			untouched, []string{"is kept in the state Secret", `"seed"`, "Invalid"}},
		{"the API server cannot be reached", "that is no refusal", refusing(errors.New("dial tcp: " + canary)), untouched, []string{"could not be reached"}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			seed := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "seed"}, Data: map[string][]byte{"rt": []byte("adopted"), "other": []byte("kept")}}
			server := fake.NewClientBuilder().WithObjects(seed).Build()
			in := &inputs.Inputs{Seed: secret.New("adopted"), SeedVersion: seedIn(t, server).ResourceVersion}
			p := writeSeed(t.Context(), each.between(t, server), Job{Credential: wanting(), Inputs: in, Record: recordOf("live", "adopted")})
			var got map[string][]byte
			if stored := seedIn(t, server); stored != nil {
				got = stored.Data
			}
			if diff := cmp.Diff(each.want, got); diff != "" {
				t.Errorf("(-want +got)\n%sreason: %s", diff, each.reason)
			}
			if (p == nil) != (len(each.says) == 0) {
				t.Fatalf("the problem is %v\nreason: %s", p, each.reason)
			}
			for _, part := range each.says {
				if !strings.Contains(p.Message, part) || p.Reason != v1alpha1.PersistBlockedReason {
					t.Errorf("%s does not say %q\nreason: %s", p, part, each.reason)
				}
			}
			if p != nil && strings.Contains(p.Message, canary) {
				t.Error("the message quotes the API server")
			}
		})
	}
}

// seedIn is the user's Secret; nil where there is none.
func seedIn(t *testing.T, server client.Client) *corev1.Secret {
	t.Helper()
	seed := &corev1.Secret{}
	err := server.Get(t.Context(), client.ObjectKey{Namespace: "team", Name: "seed"}, seed)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func TestWriteLeavesASecretThatIsNotToBeWritten(t *testing.T) {
	t.Parallel()
	seed := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "seed"}, Data: map[string][]byte{"rt": []byte("adopted")}}
	server := fake.NewClientBuilder().WithObjects(seed).Build()
	in := &inputs.Inputs{Seed: secret.New("adopted"), SeedVersion: seedIn(t, server).ResourceVersion, SeedUnwritable: `is owned by Deployment "web"`}
	p := writeSeed(t.Context(), server, Job{Credential: wanting(), Inputs: in, Record: recordOf("live", "adopted")})
	if p == nil || p.Reason != v1alpha1.TargetConflictReason {
		t.Fatalf("the problem is %v, want a TargetConflict", p)
	}
	for _, part := range []string{`"seed"`, `owned by Deployment "web"`, "is kept in the state Secret", "writeBack to false"} {
		if !strings.Contains(p.Message, part) {
			t.Errorf("%s does not say %q", p, part)
		}
	}
	if got := string(seedIn(t, server).Data["rt"]); got != "adopted" {
		t.Errorf("somebody else's Secret was written: %q", got)
	}
}

func TestOverwrittenNamesTheSecretAndTheKey(t *testing.T) {
	t.Parallel()
	p := overwritten(wanting())
	for _, part := range []string{`"seed"`, `"rt"`, "writeBack to false"} {
		if !strings.Contains(p.Message, part) {
			t.Errorf("a person must know what to change: %s does not say %s", p.Message, part)
		}
	}
}

// TestAWriteBackThatIsUndoneIsPaced has another tool put something back as soon as the
// refresh token has been written.
func TestAWriteBackThatIsUndoneIsPaced(t *testing.T) {
	t.Parallel()
	for _, each := range []struct{ name, putBack string }{
		{"the token that was replaced last", "previous"},
		{"a seed of long ago", "spent"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			seed := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "seed"}, Data: map[string][]byte{"rt": []byte("previous")}}
			server := fake.NewClientBuilder().WithObjects(seed).Build()
			clock := clocktesting.NewFakePassiveClock(noon)
			d := New(Parts{Seeds: server, Clock: clock})
			record := recordOf("live", "adopted")
			record.State = record.State.Adopt(secret.New("previous"))
			record.State.PreviousRefreshToken, record.State.RefreshToken = secret.New("previous"), secret.New("live")
			deliver := func(isNew bool) Delivery {
				held := seedIn(t, server)
				in := &inputs.Inputs{Seed: secret.New(string(held.Data["rt"])), SeedVersion: held.ResourceVersion}
				return d.writeBack(t.Context(), Job{Credential: wanting(), Inputs: in, Record: record, IsNew: isNew}, Delivery{})
			}
			putBack := func() {
				held := seedIn(t, server)
				held.Data["rt"] = []byte(each.putBack)
				if err := server.Update(t.Context(), held); err != nil {
					t.Fatal(err)
				}
			}
			holds := func() string { return string(seedIn(t, server).Data["rt"]) }
			if deliver(true); holds() != "live" {
				t.Fatal("a Secret that holds the token before is to follow at once")
			}
			if putBack(); deliver(false).Notice != nil || holds() != "live" {
				t.Error("the first time it is written again at once, and nobody is accused")
			}
			for i := range 3 {
				putBack()
				waits := deliver(false)
				if holds() != each.putBack || !waits.Again.After(clock.Now()) || !d.IsHeldBack(client.ObjectKeyFromObject(wanting())) {
					t.Errorf("time %d: it holds %q, again at %s: it is to wait, and to be looked at again", i+2, holds(), waits.Again)
				}
				clock.SetTime(waits.Again)
				done := deliver(false)
				if holds() != "live" {
					t.Errorf("time %d: it holds %q after the pause", i+2, holds())
				}
				if told := done.Notice != nil; told != (i == 2) {
					t.Errorf("time %d: another writer is told: %t, want it after three", i+2, told)
				}
			}
		})
	}
}

func TestAWriteBackThatIsRefusedIsToldEachTime(t *testing.T) {
	t.Parallel()
	refusing := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return apierrors.NewForbidden(corev1.Resource("secrets"), "seed", nil)
		},
	})
	d := New(Parts{Seeds: refusing, Clock: clocktesting.NewFakePassiveClock(noon)})
	job := Job{Credential: wanting(), Inputs: &inputs.Inputs{Seed: secret.New("spent"), SeedVersion: "1"}, Record: recordOf("live", "adopted")}
	for range 3 {
		told := d.writeBack(t.Context(), job, Delivery{})
		if told.WriteBack == nil || told.Notice != nil {
			t.Errorf("told %v and %v, want the refusal alone: it stands for as long as it is not mended, and nobody else writes", told.WriteBack, told.Notice)
		}
	}
}
