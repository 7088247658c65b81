// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package twins

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation/marks"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/store"
)

// marked are the Secrets that bear a mark. A label is only an index: anyone may put
// one on a Secret of theirs, and it may be older than what the Secret holds.
type marked = map[string][]metav1.PartialObjectMetadata

// listMarked finds the Secrets that bear one of the marks, the oldest first: sorted here,
// since what is found for a mark is shared by all that wait for it. It asks for live tokens
// first: a token that is sent and replaced between the two requests moves from live
// to seed, and so is seen in one of them at least.
func (f *Finder) listMarked(ctx context.Context, wanted []string) (marked, error) {
	found, err := f.listOldMarks(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{marks.LabelLive, marks.LabelSeed} {
		requirement, err := labels.NewRequirement(key, selection.In, wanted)
		if err != nil {
			return nil, err
		}
		add := func(item *metav1.PartialObjectMetadata) {
			found[item.Labels[key]] = append(found[item.Labels[key]], *item)
		}
		if err := f.list(ctx, labels.NewSelector().Add(*requirement), add); err != nil {
			return nil, err
		}
	}
	for _, alike := range found {
		slices.SortFunc(alike, byAge)
	}
	return found, nil
}

// listOldMarks finds the Secrets that bore one of the marks when this process first
// looked, in the form of an earlier version. One list per process finds them all, since
// this version writes no more of them: a save replaces them, and Relabel.
func (f *Finder) listOldMarks(ctx context.Context, wanted []string) (marked, error) {
	f.oldMarksLock.Lock()
	old := f.oldMarks
	f.oldMarksLock.Unlock()
	if old == nil {
		old = marked{}
		err := f.listOutdated(ctx, func(item *metav1.PartialObjectMetadata) {
			for _, mark := range marks.Plain(item.Labels) {
				old[f.Marks.Keyed(mark)] = append(old[f.Marks.Keyed(mark)], metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
					Namespace: item.Namespace, Name: item.Name, UID: item.UID, Annotations: item.Annotations,
				}})
			}
		})
		if err != nil {
			return nil, err
		}
		f.oldMarksLock.Lock()
		f.oldMarks = old // of several first looks any will do
		f.oldMarksLock.Unlock()
	}
	found := marked{}
	for _, mark := range wanted {
		if before := old[mark]; before != nil {
			found[mark] = append(found[mark], before...)
		}
	}
	return found, nil
}

// listOutdated calls each with every state Secret whose marks are not of the present key.
func (f *Finder) listOutdated(ctx context.Context, each func(*metav1.PartialObjectMetadata)) error {
	outdated, err := f.Marks.Outdated()
	if err != nil {
		return err
	}
	return f.list(ctx, outdated, func(item *metav1.PartialObjectMetadata) {
		if marks.IsState(item) {
			each(item)
		}
	})
}

// list calls each with every Secret that matches, in the namespaces that are
// watched, or in all of them.
func (f *Finder) list(ctx context.Context, selector labels.Selector, each func(*metav1.PartialObjectMetadata)) error {
	namespaces := f.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	for _, namespace := range namespaces {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
		if err := f.Client.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
			return store.Describe(ActionList, err)
		}
		for i := range list.Items {
			each(&list.Items[i])
		}
	}
	return nil
}
