// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

func TestTheYoungerOfTwoWritersGivesWay(t *testing.T) {
	t.Parallel()
	const owner, merge = v1alpha1.OwnerPolicy, v1alpha1.MergePolicy
	spec := func(policy v1alpha1.CreationPolicy, keys ...string) v1alpha1.Target {
		target := templated(map[string]string{})
		target.Name, target.CreationPolicy = "token", policy
		for _, key := range keys {
			target.Template.Data[key] = "x"
		}
		return target
	}
	rival := func(uid types.UID, age time.Duration, target v1alpha1.Target) Rival {
		credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: "rival-" + string(uid), UID: uid, CreationTimestamp: metav1.NewTime(noon.Add(-age)),
		}}
		credential.Spec.Target = target
		return Rival{Credential: credential, Keys: render.Keys(target, nil)}
	}
	changed := func(rival Rival, change func(*v1alpha1.TokenCredential)) Rival {
		change(rival.Credential)
		return rival
	}
	const hour = time.Hour
	cases := map[string]struct {
		reason string
		ours   v1alpha1.Target // of UID "m", an hour old
		others []Rival
		want   string
	}{
		"nobody else":                  {"nothing is contested", spec(owner, "a"), nil, ""},
		"itself":                       {"one is no rival of one's own", spec(owner, "a"), []Rival{rival("m", 2*hour, spec(owner, "a"))}, ""},
		"owner and older owner":        {"only one can own it", spec(owner, "a"), []Rival{rival("a", 2*hour, spec(owner, "b"))}, "the whole Secret"},
		"owner and older owner, a key": {"the key is named", spec(owner, "a"), []Rival{rival("a", 2*hour, spec(owner, "a", "b"))}, `its key "a"`},
		"owner and younger owner":      {"the older works on", spec(owner, "a"), []Rival{rival("a", 0, spec(owner, "a"))}, ""},
		"owner and older merger":       {"an owner writes all of it", spec(owner, "a"), []Rival{rival("a", 2*hour, spec(merge, "b"))}, "the whole Secret"},
		"merger and older owner":       {"an owner writes all of it", spec(merge, "a"), []Rival{rival("a", 2*hour, spec(owner, "b"))}, "the whole Secret"},
		"mergers of different keys":    {"that is what Merge is for", spec(merge, "a"), []Rival{rival("a", 2*hour, spec(merge, "b"))}, ""},
		"mergers of one key":           {"each would undo the other", spec(merge, "a", "b"), []Rival{rival("a", 2*hour, spec(merge, "b", "c"))}, `its key "b"`},
		"mergers of many keys":         {"a message is short", spec(merge, "a", "b", "c", "d"), []Rival{rival("a", 2*hour, spec(merge, "a", "b", "c", "d"))}, `its keys "a", "b", "c" and more`},
		"of one second, lower UID":     {"the UID decides", spec(merge, "a"), []Rival{rival("a", hour, spec(merge, "a"))}, `"rival-a"`},
		"of one second, higher UID":    {"the UID decides, the same way for both", spec(merge, "a"), []Rival{rival("z", hour, spec(merge, "a"))}, ""},
		"three":                        {"the oldest is named, which works", spec(merge, "a"), []Rival{rival("b", 2*hour, spec(merge, "a")), rival("a", 3*hour, spec(merge, "a"))}, `"rival-a"`},
		"one of another Secret":        {"it writes elsewhere", spec(owner, "a"), []Rival{changed(rival("a", 2*hour, spec(owner, "a")), func(c *v1alpha1.TokenCredential) { c.Spec.Target.Name = "x" })}, ""},
		"one of another namespace":     {"it writes elsewhere", spec(owner, "a"), []Rival{changed(rival("a", 2*hour, spec(owner, "a")), func(c *v1alpha1.TokenCredential) { c.Namespace = "x" })}, ""},
		"one that is being deleted":    {"it makes room", spec(owner, "a"), []Rival{changed(rival("a", 2*hour, spec(owner, "a")), func(c *v1alpha1.TokenCredential) { c.DeletionTimestamp = &metav1.Time{Time: noon} })}, ""},
		"one that is suspended":        {"it goes on later", spec(owner, "a"), []Rival{changed(rival("a", 2*hour, spec(owner, "a")), func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = true })}, `"rival-a"`},
		"one of a newer policy":        {"what is not known is taken for the worse", spec(merge, "a"), []Rival{rival("a", 2*hour, spec("Adopt", "b"))}, "the whole Secret"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours := rival("m", time.Hour, c.ours)
			got := Rivals(ours.Credential, compiled(t, c.ours), c.others)
			if (c.want == "") != (got == nil) || got != nil && (got.Reason != v1alpha1.TargetConflictReason || !contains(got.Message, c.want) || !contains(got.Message, `"token"`)) {
				t.Errorf("%s: got %v, want it to contain %q", c.reason, got, c.want)
			}
		})
	}
}
