// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

// Mend restores the labels and annotations that the template sets, from what is
// there: the token stays where it is, so no provider is asked. It does so where the
// view holds its token and is not dressed, else it returns the view as it is. A
// Secret that changed since is looked at again, once. An error is a
// *problem.Problem.
func (p *Publisher) Mend(ctx context.Context, credential *v1alpha1.TokenCredential, template *render.Template, view View) (View, error) {
	if !view.mendable() {
		return view, nil
	}
	mended, err := p.mend(ctx, credential, template, view)
	if outdated(err) {
		if view, err = p.read(ctx, credential, template, ""); err != nil || !view.mendable() {
			return view, err
		}
		mended, err = p.mend(ctx, credential, template, view)
	}
	if err != nil {
		return View{}, refused(err, credential, "restore the labels and annotations of")
	}
	return mended, nil
}

func (v *View) mendable() bool { return v.Exists && v.Holds && !v.Dressed }

func (p *Publisher) mend(ctx context.Context, credential *v1alpha1.TokenCredential, template *render.Template, view View) (View, error) {
	if template.Merges() {
		return p.reapply(ctx, credential, template, view)
	}
	return p.patch(ctx, credential, template, view)
}

// patch changes what differs in the metadata of an owned target, and reads nothing
// but metadata back. The version makes sure that the data is what was looked at.
func (p *Publisher) patch(ctx context.Context, credential *v1alpha1.TokenCredential, template *render.Template, view View) (View, error) {
	dressing := undressed(template, &view.metadata, view.Mark)
	mark := view.Mark
	if mark.Set = template.Set(); !mark.IsZero() {
		encoded := mark.Encode()
		dressing.annotations[MarkKey(credential.UID)] = &encoded
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid":             view.metadata.UID,
		"resourceVersion": view.ResourceVersion,
		"labels":          dressing.labels,
		"annotations":     dressing.annotations,
	}})
	if err != nil {
		return View{}, err
	}
	patched := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: credential.Namespace, Name: credential.TargetName()}}
	patched.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err = p.Client.Patch(ctx, patched, client.RawPatch(types.MergePatchType, body), client.FieldOwner(fieldManager(credential)))
	if err != nil {
		return View{}, err
	}
	mended := Glance(patched, credential)
	mended.Holds = true
	mended.compareWith(template, credential)
	return mended, nil
}

// reapply applies the credential's own part of a merged target with the values that
// are there. A patch of the metadata alone would make the fields those of a second
// entry in managedFields, which then keeps a label that a later template drops. The
// version keeps a token that was published meanwhile from being put back.
func (p *Publisher) reapply(ctx context.Context, credential *v1alpha1.TokenCredential, template *render.Template, view View) (View, error) {
	live, err := p.get(ctx, credential)
	if err != nil {
		return View{}, err
	}
	content := render.Content{
		Labels:      template.Labels(),
		Annotations: cloned(template.Annotations()),
		Data:        ownData(credential, template, live),
	}
	mark := view.Mark
	if mark.Set = template.Set(); !mark.IsZero() {
		content.Annotations[MarkKey(credential.UID)] = mark.Encode()
	}
	applied, err := p.merge(ctx, credential, view, content, view.ResourceVersion)
	if err != nil {
		return View{}, err
	}
	mended := p.look(credential, template, applied, "")
	mended.Holds = mended.Holds || mark.IsZero()
	return mended, nil
}
