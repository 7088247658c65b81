// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"

	corev1 "k8s.io/api/core/v1"
)

// Digest names what stands in a live target together with what it was made from.
// It changes when someone touches what the operator wrote, or when the template
// or the provider changes; not when someone adds a label of his own.
func (t *Template) Digest(live *corev1.Secret) string {
	return t.digest(Content{Labels: live.Labels, Annotations: live.Annotations, Data: live.Data})
}

// digest covers the labels and annotations that the template sets, and the data:
// all of it where the target is ours, the template's keys where it is merged.
func (t *Template) digest(content Content) string {
	data := content.Data
	if t.merge {
		data = only(data, t.keys())
	}
	labels := t.source.Metadata.Labels
	if !t.merge {
		labels = withManagedBy(maps.Clone(labels))
	}
	encoded, err := json.Marshal([]any{
		t.asked, t.source, t.kind, t.merge,
		only(content.Labels, labels),
		only(content.Annotations, t.source.Metadata.Annotations),
		data,
	})
	if err != nil { // Strings, maps of strings and bytes always encode.
		return ""
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:16])
}

// only keeps the entries whose keys are wanted.
func only[V, W any](all map[string]V, wanted map[string]W) map[string]V {
	kept := make(map[string]V, len(wanted))
	for key := range wanted {
		if value, ok := all[key]; ok {
			kept[key] = value
		}
	}
	return kept
}
