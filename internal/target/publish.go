// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

// Publisher reads and writes targets.
type Publisher struct {
	// Client reads Secrets from the API server, not from a cache, and writes
	// them.
	Client client.Client
	// Key of the digests by which a target is compared with what was written.
	Key digest.Key
}

// Inspect finds whether the target can be written, and whether it holds what was
// last written: before anything is asked or spent. It reads the Secret only where
// cached (its metadata in the cache, nil: absent) does not prove that. known is the
// resourceVersion that was last written, as status or memory has it; "": none is
// known. An error is a *problem.Problem.
func (p *Publisher) Inspect(ctx context.Context, credential *v1alpha1.TokenCredential, template *render.Template, cached *metav1.PartialObjectMetadata, known string) (View, error) {
	if refusal := judgeName(credential); refusal != nil {
		return View{}, refusal
	}
	if cached == nil && known == "" && !template.Merges() {
		return View{}, nil
	}
	if cached != nil && cached.ResourceVersion == known {
		view := Glance(cached, credential)
		view.Holds = true
		view.compareWith(template, credential)
		if view.Rendered { // another type or policy asks for the Secret itself
			return view, nil
		}
	}
	return p.read(ctx, credential, template, known)
}

// read looks at the live Secret.
func (p *Publisher) read(ctx context.Context, credential *v1alpha1.TokenCredential, template *render.Template, known string) (View, error) {
	live, err := p.get(ctx, credential)
	switch {
	case apierrors.IsNotFound(err) && template.Merges():
		return View{}, missing(credential)
	case apierrors.IsNotFound(err):
		return View{}, nil
	case err != nil:
		return View{}, refused(err, credential, "read")
	}
	if conflict := judge(credential, template, live); conflict != nil {
		return View{}, conflict
	}
	return p.look(credential, template, live, known), nil
}

func (p *Publisher) get(ctx context.Context, credential *v1alpha1.TokenCredential) (*corev1.Secret, error) {
	live := &corev1.Secret{}
	return live, p.Client.Get(ctx, client.ObjectKey{Namespace: credential.Namespace, Name: credential.TargetName()}, live)
}

// Publish writes the content with its mark, whose digest it fills in, and returns
// the target as it is then. A Secret that changed since it was inspected is
// inspected again, once. Where the returned view does not hold the content,
// admission has changed it on its way: its version must not be taken as known. An
// error is a *problem.Problem.
func (p *Publisher) Publish(ctx context.Context, credential *v1alpha1.TokenCredential, template *render.Template, view View, content render.Content, mark Mark) (View, error) {
	content = p.marked(credential, template, content, mark)
	written, err := p.write(ctx, credential, template, view, content)
	if outdated(err) {
		if view, err = p.read(ctx, credential, template, ""); err != nil {
			return View{}, err
		}
		written, err = p.write(ctx, credential, template, view, content)
	}
	if err != nil {
		return View{}, refused(err, credential, "write")
	}
	return p.look(credential, template, written, ""), nil
}

// marked is the content with its mark.
func (p *Publisher) marked(credential *v1alpha1.TokenCredential, template *render.Template, content render.Content, mark Mark) render.Content {
	mark.Token = p.Key.Of(tokenScope(credential.UID), mark.Token)
	mark.Digest, mark.Set = digestOf(p.Key, template, content.Data, credential.UID), template.Set()
	content.Annotations = cloned(content.Annotations)
	content.Annotations[MarkKey(credential.UID)] = mark.Encode()
	return content
}

// outdated reports whether a write was refused since the Secret is not the one that
// was inspected.
func outdated(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}

// write sends the content, and returns the Secret as the API server has it then.
func (p *Publisher) write(ctx context.Context, credential *v1alpha1.TokenCredential, template *render.Template, view View, content render.Content) (*corev1.Secret, error) {
	if template.Merges() {
		return p.merge(ctx, credential, view, content, "")
	}
	secret := owned(credential, template, view, content)
	if !view.Exists {
		return secret, p.Client.Create(ctx, secret, client.FieldOwner(fieldManager(credential)))
	}
	return secret, p.Client.Update(ctx, secret, client.FieldOwner(fieldManager(credential)))
}

// owned is the whole Secret of a target that the credential owns. What others have
// added to its metadata stays.
func owned(credential *v1alpha1.TokenCredential, template *render.Template, view View, content render.Content) *corev1.Secret {
	dressing := undressed(template, &view.metadata, view.Mark)
	annotations := dressing.annotations.apply(view.metadata.Annotations)
	maps.DeleteFunc(annotations, func(key, _ string) bool { return strings.HasPrefix(key, v1alpha1.TokenAnnotationPrefix) })
	labels := dressing.labels.apply(view.metadata.Labels)
	maps.Copy(annotations, content.Annotations)
	maps.Copy(labels, content.Labels)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       credential.Namespace,
			Name:            credential.TargetName(),
			UID:             view.metadata.UID,
			ResourceVersion: view.ResourceVersion,
			Labels:          labels,
			Annotations:     annotations,
			Finalizers:      view.metadata.Finalizers,
			OwnerReferences: owners(credential, view.metadata.OwnerReferences),
		},
		Type: template.Type(),
		Data: content.Data,
	}
}

// merge applies the credential's own keys under a field manager of its own, so
// that keys which a later template drops go, and nobody else's do. The UID keeps
// the API server from creating a Secret that has vanished. version is that which the
// Secret must have; "": any, since others write to it as they like.
func (p *Publisher) merge(ctx context.Context, credential *v1alpha1.TokenCredential, view View, content render.Content, version string) (*corev1.Secret, error) {
	configuration := corev1ac.Secret(credential.TargetName(), credential.Namespace).
		WithUID(view.metadata.UID).
		WithLabels(content.Labels).
		WithAnnotations(content.Annotations).
		WithData(content.Data)
	if version != "" {
		configuration.WithResourceVersion(version)
	}
	body, err := json.Marshal(configuration)
	if err != nil {
		return nil, err
	}
	// A patch into an empty Secret shows exactly what the API server answers, where
	// Apply would add it to what was sent.
	applied := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: credential.Namespace, Name: credential.TargetName()}}
	return applied, p.Client.Patch(ctx, applied, client.RawPatch(types.ApplyPatchType, body),
		client.ForceOwnership, client.FieldOwner(fieldManager(credential)))
}

// Remove deletes a target whose credential is gone. Garbage collection does the
// same a little later, where a cluster has it. One that has changed since it was cached
// is an error: it is looked at again.
func (p *Publisher) Remove(ctx context.Context, target *metav1.PartialObjectMetadata) error {
	err := p.Client.Delete(ctx, target, client.Preconditions{UID: &target.UID, ResourceVersion: &target.ResourceVersion})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete the target of a deleted credential: %s", problem.AnswerOf(err))
	}
	return nil
}
