// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

// View is what is known of a target. It is a value: a later view replaces it.
type View struct {
	// Exists reports whether the Secret does.
	Exists bool
	// ResourceVersion of the Secret, empty while it does not exist.
	ResourceVersion string
	// Mark says which token the Secret is to hold; zero: none is known.
	Mark Mark

	// Holds reports whether the data is as it was written, so that the token in it
	// is the mark's. Glance does not know it.
	Holds bool
	// Rendered reports whether the data was rendered from the present template.
	// Where it was not, the token in it is as good as ever, but must be rendered
	// again. Glance does not know it.
	Rendered bool
	// Dressed reports whether the labels and annotations that the template sets are
	// as it sets them. Glance does not know it.
	Dressed bool
	// Undressed names those that differ, as field paths.
	Undressed []string
	// Contested names who else writes what is the credential's, of the fields that
	// differ now. Only a live read fills it in.
	Contested []Contest

	// metadata of the Secret, for a later write.
	metadata metav1.ObjectMeta
}

// Glance says what the metadata cache alone tells of a target, nil: no such Secret.
func Glance(cached *metav1.PartialObjectMetadata, credential *v1alpha1.TokenCredential) View {
	if cached == nil {
		return View{}
	}
	mark, _ := ReadMark(cached.Annotations, credential.UID)
	return View{
		Exists:          true,
		ResourceVersion: cached.ResourceVersion,
		Mark:            mark,
		metadata:        cached.ObjectMeta,
	}
}

// compareWith fills in what the template and the metadata tell together.
func (v *View) compareWith(template *render.Template, credential *v1alpha1.TokenCredential) {
	v.Undressed = undressed(template, &v.metadata, v.Mark).fields()
	v.Dressed = len(v.Undressed) == 0
	if v.Mark.IsZero() {
		// The version before wrote no marks, and noted the template's generation.
		v.Rendered = v.Holds && credential.Status.ObservedGeneration == credential.Generation
		return
	}
	v.Rendered = template.Rendered(v.Mark.Digest)
}

// look reads a live target. It holds what was last written where its data is as its
// mark says; without a mark (the version before wrote none), where it is the
// version that is known to have been written last.
func (p *Publisher) look(credential *v1alpha1.TokenCredential, template *render.Template, live *corev1.Secret, known string) View {
	view := Glance(&metav1.PartialObjectMetadata{ObjectMeta: live.ObjectMeta}, credential)
	if view.Mark.IsZero() {
		view.Holds = live.ResourceVersion == known
	} else {
		view.Holds = holds(p.Key, view.Mark.Digest, ownData(credential, template, live), credential.UID)
	}
	view.compareWith(template, credential)
	differing := slices.Clone(view.Undressed)
	if !view.Holds {
		differing = append(differing, annotationField(MarkKey(credential.UID)))
		for _, key := range template.Keys() {
			differing = append(differing, dataField(key))
		}
	}
	view.Contested = contests(credential, live, differing)
	return view
}
