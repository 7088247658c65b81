// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package marks is what the metadata of a state Secret says of its state without a token:
// whose it is, whether an attempt is open, and the marks by which states on one refresh
// token find each other.
package marks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// The labels by which states on one refresh token find each other. A value is a keyed
// digest of the token, so that it discloses nothing. The names of the labels are fixed,
// so that one selector asks for the marks of many tokens.
const (
	// LabelLive marks the live token.
	LabelLive = LabelPrefix + "live"
	// LabelSeed marks the seed that began the grant; while an adoption can be undone,
	// the seed of before, since the live token is then the new seed itself.
	LabelSeed = LabelPrefix + "seed"
	// LabelKey names the key of the marks, so that those of an earlier one are found.
	LabelKey = LabelPrefix + "key"

	LabelPrefix = "token.tokenkeeper.io/"
)

// Marks are made with a key of the operator's own.
type Marks struct {
	Key digest.Key
	// Cluster is the UID of this cluster (of its namespace kube-system).
	Cluster string
}

// Label marks a state Secret.
func (m Marks) Label(stored *corev1.Secret, state rotation.State) {
	maps.DeleteFunc(stored.Labels, func(label, _ string) bool { return strings.HasPrefix(label, LabelPrefix) })
	metav1.SetMetaDataLabel(&stored.ObjectMeta, LabelKey, m.Key.Name())
	if live := state.RefreshToken.Digest(); live != "" {
		metav1.SetMetaDataLabel(&stored.ObjectMeta, LabelLive, m.Of(live))
	}
	seed := state.Seed
	if state.PreviousSeed != "" {
		seed = state.PreviousSeed
	}
	if seed != "" {
		metav1.SetMetaDataLabel(&stored.ObjectMeta, LabelSeed, m.Of(seed))
	}
}

// Of gives the mark of a token of that digest. It is made from the mark of the version before, which
// anybody could make who knew the cluster's UID: so a state that bears one of those is
// found without the token.
func (m Marks) Of(digest string) string {
	mac := hmac.New(sha256.New, []byte(m.Cluster))
	mac.Write([]byte(digest))
	return m.Keyed(hex.EncodeToString(mac.Sum(nil)[:16]))
}

// Keyed is the mark that takes the place of one of an earlier version.
func (m Marks) Keyed(plain string) string { return m.Key.Of("mark", plain) }

// Outdated selects all state Secrets whose marks are not of the present key.
func (m Marks) Outdated() (labels.Selector, error) {
	outdated, err := labels.NewRequirement(LabelKey, selection.NotIn, []string{m.Key.Name()})
	if err != nil {
		return nil, err
	}
	return labels.SelectorFromSet(labels.Set{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}).Add(*outdated), nil
}

// Plain are the marks that earlier versions wrote: as the value of a label, and
// before that as a part of its name.
func Plain(all map[string]string) []string {
	var marks []string
	for label, value := range all {
		name, ok := strings.CutPrefix(label, LabelPrefix)
		switch {
		case ok && (label == LabelLive || label == LabelSeed):
			marks = append(marks, value)
		case ok && label != LabelKey:
			marks = append(marks, name)
		}
	}
	return slices.DeleteFunc(marks, func(mark string) bool { return !digest.IsPlain(mark) })
}

// IsState reports whether metadata is that of a state Secret, as far as metadata
// can show: it lacks the type, so anyone may have made a Secret with these.
func IsState(metadata metav1.Object) bool {
	credential, ok := strings.CutSuffix(metadata.GetName(), v1alpha1.StateSecretSuffix)
	return ok && metadata.GetAnnotations()[v1alpha1.CredentialAnnotation] == credential
}

// OpenAttempt reports whether a Secret, of which only the metadata is known, is a
// state with an open attempt, and when that was started: zero where the annotation
// cannot be read.
func OpenAttempt(metadata metav1.Object) (started time.Time, open bool) {
	value, open := metadata.GetAnnotations()[v1alpha1.AttemptAnnotation]
	if !open || !IsState(metadata) {
		return time.Time{}, false
	}
	started, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, true
	}
	return started, true
}

// Annotate notes the attempt, or that there is none, in the metadata of its Secret.
func Annotate(metadata *metav1.ObjectMeta, a *rotation.Attempt) {
	if a == nil {
		delete(metadata.Annotations, v1alpha1.AttemptAnnotation)
		return
	}
	metav1.SetMetaDataAnnotation(metadata, v1alpha1.AttemptAnnotation, a.Started.UTC().Format(time.RFC3339))
}
