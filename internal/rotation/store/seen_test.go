// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/encoding"
)

// at is a record as it was read at a resourceVersion.
func at(uid types.UID, resourceVersion string, state rotation.State) *Record {
	return &Record{State: state, secret: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{UID: uid, ResourceVersion: resourceVersion}}}
}

func TestIsBefore(t *testing.T) {
	t.Parallel()
	held := holding("G")
	claimed := sending(held)
	grown := rotated(held, "G2")
	labelled := grown
	labelled.Source = "other"
	cases := map[string]struct {
		reason string
		seen   Seen
		now    *Record
		want   bool
	}{
		"nothing seen":              {"a process that has just started knows nothing", Seen{}, at("u", "5", held), false},
		"as it was seen":            {"it is the same", at("u", "9", grown).Seen(), at("u", "9", grown), false},
		"further than seen":         {"another process has got on", at("u", "9", held).Seen(), at("u", "12", grown), false},
		"a lower sequence":          {"a commit is undone", at("u", "9", grown).Seen(), at("u", "5", held), true},
		"a lower sequence, written": {"someone has changed what was put back", at("u", "9", grown).Seen(), at("u", "50", held), true},
		"a claim is undone":         {"its token may have been sent", at("u", "9", claimed).Seen(), at("u", "5", held), true},
		"a withdrawal is undone":    {"it is known that nothing was sent, and the attempt says otherwise", at("u", "10", held.Withdraw("", nil)).Seen(), at("u", "9", claimed), true},
		"a claim is withdrawn":      {"that is a later write", at("u", "9", claimed).Seen(), at("u", "10", held), false},
		"an adoption is undone":     {"the user's seed may have been sent", at("u", "9", sending(held.Adopt(text("W")))).Seen(), at("u", "5", held), true},
		"versions are numbers":      {"10 is after 9", at("u", "9", held).Seen(), at("u", "10", claimed), false},
		"a lower version, the same": {"nothing that matters differs", at("u", "9", grown).Seen(), at("u", "5", labelled), false},
		"a version that is no number": {
			"what cannot be compared is not before", at("u", "9", held).Seen(), at("u", "x", claimed), false,
		},
		"another Secret":       {"it was made again, and knows itself as a copy", at("u", "9", grown).Seen(), at("v", "12", held), false},
		"another, from before": {"etcd was put back to when that had the name", at("u", "9", grown).Seen(), at("v", "5", held), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.now.IsBefore(c.seen); got != c.want {
				t.Errorf("%s: got %t, want %t", c.reason, got, c.want)
			}
		})
	}
}

func TestAStateIsAsItWasSeenAfterItWasStored(t *testing.T) {
	t.Parallel()
	for _, state := range []rotation.State{{}, holding("G"), sending(rotated(holding("G"), "G2")), rotated(holding("G"), "G2").Adopt(text("W"))} {
		data := map[string][]byte{}
		if err := encoding.Encode(state, data); err != nil {
			t.Fatal(err)
		}
		stored, err := encoding.Decode(data)
		if err != nil || sendDigest(stored) != sendDigest(state) {
			t.Errorf("what is written and what is read differ (%v)", err)
		}
	}
}

func TestAStateThatWasPutBackIsJudgedAsACopy(t *testing.T) {
	t.Parallel()
	record := at("u", "5", rotated(holding("G"), "G2"))
	record.MarkCopied()
	if !record.Copied || record.State.Judge(text("G2")) != rotation.SeedNew || record.State.Judge(text("G")) != rotation.SeedUnchanged {
		t.Error("its live token may have been sent, unless its user states otherwise")
	}
}
