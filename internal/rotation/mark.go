// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
)

// The labels by which states on one refresh token find each other. A value is a keyed
// digest of the token, so that it discloses nothing. The names of the labels are fixed,
// so that one selector asks for the marks of many tokens.
const (
	// labelLive marks the live token.
	labelLive = labelPrefix + "live"
	// labelSeed marks the seed that began the grant; while an adoption can be undone,
	// the seed of before, since the live token is then the new seed itself.
	labelSeed = labelPrefix + "seed"
	// labelKey names the key of the marks, so that those of an earlier one are found.
	labelKey = labelPrefix + "key"

	labelPrefix = "token.tokenkeeper.io/"
)

// label marks a state Secret.
func (s *Store) label(stored *corev1.Secret, state State) {
	maps.DeleteFunc(stored.Labels, func(label, _ string) bool { return strings.HasPrefix(label, labelPrefix) })
	metav1.SetMetaDataLabel(&stored.ObjectMeta, labelKey, s.Key.Name())
	if live := state.RefreshToken.Digest(); live != "" {
		metav1.SetMetaDataLabel(&stored.ObjectMeta, labelLive, s.mark(live))
	}
	seed := state.Seed
	if state.PreviousSeed != "" {
		seed = state.PreviousSeed
	}
	if seed != "" {
		metav1.SetMetaDataLabel(&stored.ObjectMeta, labelSeed, s.mark(seed))
	}
}

// mark of a token of that digest. It is made from the mark of the version before, which
// anybody could make who knew the cluster's UID: so a state that bears one of those is
// found without the token.
func (s *Store) mark(digest string) string {
	mac := hmac.New(sha256.New, []byte(s.Cluster))
	mac.Write([]byte(digest))
	return s.keyed(hex.EncodeToString(mac.Sum(nil)[:16]))
}

func (s *Store) keyed(plain string) string { return s.Key.Of("mark", plain) }

// marked are the Secrets that bear a mark. A label is only an index: anyone may put
// one on a Secret of theirs, and it may be older than what the Secret holds.
type marked = map[string][]metav1.PartialObjectMetadata

// listMarked finds the Secrets that bear one of the marks, the oldest first: sorted here,
// since what is found for a mark is shared by all that wait for it. It asks for live tokens
// first: a token that is sent and replaced between the two requests moves from live
// to seed, and so is seen in one of them at least.
func (s *Store) listMarked(ctx context.Context, marks []string) (marked, error) {
	found, err := s.listOldMarks(ctx, marks)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{labelLive, labelSeed} {
		requirement, err := labels.NewRequirement(key, selection.In, marks)
		if err != nil {
			return nil, err
		}
		add := func(item *metav1.PartialObjectMetadata) {
			found[item.Labels[key]] = append(found[item.Labels[key]], *item)
		}
		if err := s.list(ctx, labels.NewSelector().Add(*requirement), add); err != nil {
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
// this version writes no more of them: Save replaces them, and Relabel.
func (s *Store) listOldMarks(ctx context.Context, marks []string) (marked, error) {
	s.oldMarksLock.Lock()
	old := s.oldMarks
	s.oldMarksLock.Unlock()
	if old == nil {
		old = marked{}
		err := s.listOutdated(ctx, func(item *metav1.PartialObjectMetadata) {
			for _, mark := range plainMarks(item.Labels) {
				old[s.keyed(mark)] = append(old[s.keyed(mark)], metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
					Namespace: item.Namespace, Name: item.Name, UID: item.UID, Annotations: item.Annotations,
				}})
			}
		})
		if err != nil {
			return nil, err
		}
		s.oldMarksLock.Lock()
		s.oldMarks = old // of several first looks any will do
		s.oldMarksLock.Unlock()
	}
	found := marked{}
	for _, mark := range marks {
		if before := old[mark]; before != nil {
			found[mark] = append(found[mark], before...)
		}
	}
	return found, nil
}

// plainMarks are the marks that earlier versions wrote: as the value of a label, and
// before that as a part of its name.
func plainMarks(all map[string]string) []string {
	var marks []string
	for label, value := range all {
		name, ok := strings.CutPrefix(label, labelPrefix)
		switch {
		case ok && (label == labelLive || label == labelSeed):
			marks = append(marks, value)
		case ok && label != labelKey:
			marks = append(marks, name)
		}
	}
	return slices.DeleteFunc(marks, func(mark string) bool { return !digest.IsPlain(mark) })
}

// listOutdated calls each with every state Secret whose marks are not of the present key.
func (s *Store) listOutdated(ctx context.Context, each func(*metav1.PartialObjectMetadata)) error {
	outdated, err := labels.NewRequirement(labelKey, selection.NotIn, []string{s.Key.Name()})
	if err != nil {
		return err
	}
	ours := labels.SelectorFromSet(labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}).Add(*outdated)
	return s.list(ctx, ours, func(item *metav1.PartialObjectMetadata) {
		if isState(item) {
			each(item)
		}
	})
}

// list calls each with every Secret that matches, in the namespaces that are
// watched, or in all of them.
func (s *Store) list(ctx context.Context, selector labels.Selector, each func(*metav1.PartialObjectMetadata)) error {
	namespaces := s.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	for _, namespace := range namespaces {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
		if err := s.Client.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
			return describe(ActionList, err)
		}
		for i := range list.Items {
			each(&list.Items[i])
		}
	}
	return nil
}

// isState reports whether metadata is that of a state Secret, as far as metadata
// can show: it lacks the type, so anyone may have made a Secret with these.
func isState(metadata metav1.Object) bool {
	credential, ok := strings.CutSuffix(metadata.GetName(), v1alpha1.StateSecretSuffix)
	return ok && metadata.GetAnnotations()[v1alpha1.CredentialAnnotation] == credential
}

// Relabel marks anew, under the present key, all states whose marks are not: those that
// an earlier version wrote, which let anybody check a guess, and those under a key that
// was lost, which find no twin any more. It calls pause before each. States whose
// credentials are gone are among them, since they have spent tokens, too.
//
// Labels alone change. A state that is written meanwhile gets its marks by that. found is
// how many there were: once there are none, nothing is left to do.
func (s *Store) Relabel(ctx context.Context, pause func(context.Context) error) (found int, err error) {
	var outdated []types.NamespacedName
	err = s.listOutdated(ctx, func(item *metav1.PartialObjectMetadata) {
		outdated = append(outdated, client.ObjectKeyFromObject(item))
	})
	if err != nil {
		return 0, err
	}
	var failures []error
	for _, key := range outdated {
		if err := pause(ctx); err != nil {
			return found, err
		}
		relabelled, err := s.relabel(ctx, key)
		if relabelled {
			found++
		}
		failures = append(failures, err)
	}
	if err := errors.Join(failures...); err != nil || found > 0 {
		return found, err
	}
	s.oldMarksLock.Lock()
	s.oldMarks = marked{}
	s.oldMarksLock.Unlock()
	return 0, nil
}

// relabel reports whether there was something to mark.
func (s *Store) relabel(ctx context.Context, key types.NamespacedName) (found bool, err error) {
	stored := &corev1.Secret{}
	if err := s.Client.Get(ctx, key, stored); err != nil {
		return true, changed(describe(ActionRead, err))
	}
	if stored.Type != v1alpha1.StateSecretType || !isState(stored) {
		return false, nil // anyone may have made it
	}
	state, _ := decode(stored.Data) // of a damaged one as much as can be read
	relabelled := stored.DeepCopy()
	s.label(relabelled, state)
	err = s.Client.Patch(ctx, relabelled, client.MergeFromWithOptions(stored, client.MergeFromWithOptimisticLock{}))
	if err != nil {
		return true, changed(describe(ActionUpdate, err))
	}
	return true, nil
}

// changed passes over a state that somebody else has written or deleted.
func changed(err error) error {
	if errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}
