// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

// Rival is another TokenCredential, which may write to the same target Secret.
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
