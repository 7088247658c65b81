// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

// Rival is another TokenCredential, which may write to the same target Secret, or read its
// refresh token from there.
type Rival struct {
	Credential *v1alpha1.TokenCredential
	// Keys that it writes, as the function Keys gives them.
	Keys []string
}

// Rivals finds whether an older credential of the namespace writes what this one
// would: a key of the same Secret, or any of its keys where one of the two owns the
// Secret, since an owner writes all of it. The younger of two gives way, before it
// calls a provider; the older works on. A suspended credential counts, since it
// goes on later; one that is being deleted does not. Others that have nothing to do
// with the target may be passed.
func Rivals(credential *v1alpha1.TokenCredential, template *render.Template, others []Rival) *problem.Problem {
	if fed := feeds(credential, template, others); fed != nil {
		return fed
	}
	var first *Rival
	for _, other := range others {
		rival := other.Credential
		switch {
		case rival.UID == credential.UID, rival.Namespace != credential.Namespace,
			rival.TargetName() != credential.TargetName(), rival.DeletionTimestamp != nil,
			!older(rival, credential), shared(template, other) == "":
			continue
		}
		if first == nil || older(rival, first.Credential) {
			first = &other
		}
	}
	if first == nil {
		return nil
	}
	return conflict("the older TokenCredential %q writes to the target Secret %q too, and both would write %s: delete one of the two, give this one another spec.target.name (in a new TokenCredential, since the name cannot change), or set creationPolicy Merge and different keys in spec.target.template.data in both",
		first.Credential.Name, credential.TargetName(), shared(template, *first))
}

// feeds finds whether a credential would write the refresh token that another one starts
// from, older or younger: whoever may not write that Secret could put a grant of theirs
// under somebody else's pods.
func feeds(credential *v1alpha1.TokenCredential, template *render.Template, others []Rival) *problem.Problem {
	for _, other := range others {
		ref := other.Credential.Spec.RefreshTokenSecretRef
		if ref == nil || string(ref.Name) != credential.TargetName() || other.Credential.Namespace != credential.Namespace ||
			!slices.Contains(template.Keys(), string(cmp.Or(ref.Key, defaultSeedKey))) {
			continue
		}
		return conflict("the TokenCredential %q takes its refresh token from the Secret %q, and this one would write the key that holds it: ask for another spec.target.name with a new TokenCredential, or set other keys in spec.target.template.data",
			other.Credential.Name, credential.TargetName())
	}
	return nil
}

// defaultSeedKey is the key of a seed where a credential names none, as in the CRD.
const defaultSeedKey = "refresh_token"

// older reports whether a was created before b; the UID decides within a second.
func older(a, b *v1alpha1.TokenCredential) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}

// shared names what both would write, "" where there is nothing.
func shared(template *render.Template, other Rival) string {
	const most = 3
	var keys []string
	for _, key := range template.Keys() {
		if slices.Contains(other.Keys, key) {
			keys = append(keys, fmt.Sprintf("%q", key))
		}
	}
	owned := !template.Merges() || other.Credential.Spec.Target.CreationPolicy != v1alpha1.MergePolicy
	switch {
	case len(keys) == 0 && owned:
		return "the whole Secret (one of them owns it)"
	case len(keys) == 0:
		return ""
	case len(keys) == 1:
		return "its key " + keys[0]
	case len(keys) > most:
		return "its keys " + strings.Join(keys[:most], ", ") + " and more"
	}
	return "its keys " + strings.Join(keys, ", ")
}
