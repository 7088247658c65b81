// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

// Contest is a field of ours that another writer has changed.
type Contest struct {
	// Manager is the field manager that owns the field now, as managedFields of the
	// Secret names it.
	Manager string
	// Field is its path, such as data[access_token] or metadata.labels[app].
	Field string
}

// fieldManager is the field manager under which a credential's target is written.
func fieldManager(credential *v1alpha1.TokenCredential) string { return fieldManagerOf(credential.UID) }

func fieldManagerOf(uid types.UID) string { return v1alpha1.ManagedBy + "-" + string(uid) }

// fieldSet is the part of a FieldsV1 that says who owns which field of ours.
type fieldSet struct {
	Data     map[string]json.RawMessage `json:"f:data"`
	Metadata struct {
		Labels      map[string]json.RawMessage `json:"f:labels"`
		Annotations map[string]json.RawMessage `json:"f:annotations"`
	} `json:"f:metadata"`
}

// paths lists the fields of an entry as field paths.
func paths(entry metav1.ManagedFieldsEntry) []string {
	set := fieldSet{}
	if entry.FieldsV1 == nil || json.Unmarshal(entry.FieldsV1.GetRawBytes(), &set) != nil {
		return nil
	}
	var all []string
	add := func(fields map[string]json.RawMessage, path func(string) string) {
		for field := range fields {
			if key, ok := strings.CutPrefix(field, "f:"); ok {
				all = append(all, path(key))
			}
		}
	}
	add(set.Data, dataField)
	add(set.Metadata.Labels, labelField)
	add(set.Metadata.Annotations, annotationField)
	return all
}

// ownData is the data of a live target that is the credential's: all of it, or with
// Merge the keys that the API server knows as applied by it. Where somebody has
// cleared managedFields, those are the keys that the template names.
func ownData(credential *v1alpha1.TokenCredential, template *render.Template, live *corev1.Secret) map[string][]byte {
	if !template.Merges() {
		return live.Data
	}
	for _, entry := range live.ManagedFields {
		if entry.Manager != fieldManager(credential) || entry.Operation != metav1.ManagedFieldsOperationApply {
			continue
		}
		owned := paths(entry)
		data := map[string][]byte{}
		for key, value := range live.Data {
			if slices.Contains(owned, dataField(key)) {
				data[key] = value
			}
		}
		return data
	}
	return only(live.Data, template.Keys())
}

// contests finds who has taken over the fields: managers that own one of them, which
// the credential's own manager does not any more, and that have written no earlier
// than it did. Whoever deletes a field owns nothing and is not found.
func contests(credential *v1alpha1.TokenCredential, live *corev1.Secret, fields []string) []Contest {
	own, since := map[string]bool{}, metav1.Time{}
	for _, entry := range live.ManagedFields {
		if entry.Manager != fieldManager(credential) {
			continue
		}
		for _, path := range paths(entry) {
			own[path] = true
		}
		if entry.Time != nil && since.Before(entry.Time) {
			since = *entry.Time
		}
	}
	var found []Contest
	for _, entry := range live.ManagedFields {
		earlier := entry.Time != nil && entry.Time.Before(&since)
		if entry.Manager == fieldManager(credential) || entry.Subresource != "" || earlier {
			continue
		}
		for _, path := range paths(entry) {
			if slices.Contains(fields, path) && !own[path] {
				found = append(found, Contest{Manager: entry.Manager, Field: path})
			}
		}
	}
	slices.SortFunc(found, func(a, b Contest) int {
		return strings.Compare(a.Manager+"\n"+a.Field, b.Manager+"\n"+b.Field)
	})
	return slices.Compact(found)
}

// only keeps the entries whose keys are wanted.
func only(data map[string][]byte, wanted []string) map[string][]byte {
	kept := make(map[string][]byte, len(wanted))
	for _, key := range wanted {
		if value, ok := data[key]; ok {
			kept[key] = value
		}
	}
	return kept
}
