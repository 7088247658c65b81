// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Publisher writes targets.
type Publisher struct {
	// Client reads Secrets from the API server, not from a cache, and writes
	// them.
	Client client.Client
}

// Standing is a target as it was found before anything is asked or written.
type Standing struct {
	// Exists tells whether the Secret does.
	Exists bool
	// Drifted is true where the Secret is missing, or does not hold what the
	// operator last wrote with this template.
	Drifted bool
	// ResourceVersion of the Secret, empty while it does not exist.
	ResourceVersion string

	metadata metav1.ObjectMeta
}

// Inspect finds whether the target can be written, and whether it holds what was
// last written. It reads the Secret only where cached (its metadata in the
// cache, nil: absent) is not the version that the status names. What stands in
// the way is returned as a *Refusal.
func (p *Publisher) Inspect(ctx context.Context, credential *v1alpha1.TokenCredential, template *Template, cached *metav1.PartialObjectMetadata) (*Standing, error) {
	written := credential.Status.Target
	if written == nil {
		written = &v1alpha1.TargetStatus{}
	}
	switch {
	case cached != nil && cached.ResourceVersion == written.ResourceVersion && credential.Status.ObservedGeneration == credential.Generation:
		return &Standing{Exists: true, ResourceVersion: cached.ResourceVersion, metadata: cached.ObjectMeta}, nil
	case cached == nil && written.ResourceVersion == "" && !template.merge:
		return &Standing{Drifted: true}, nil
	}
	return p.read(ctx, credential, template, written.Digest)
}

// read looks at the live Secret.
func (p *Publisher) read(ctx context.Context, credential *v1alpha1.TokenCredential, template *Template, digest string) (*Standing, error) {
	live := &corev1.Secret{}
	err := p.Client.Get(ctx, client.ObjectKey{Namespace: credential.Namespace, Name: credential.TargetName()}, live)
	switch {
	case apierrors.IsNotFound(err) && template.merge:
		return nil, missing(credential)
	case apierrors.IsNotFound(err):
		return &Standing{Drifted: true}, nil
	case err != nil:
		return nil, refused("read", err)
	}
	if refusal := judge(credential, template, live); refusal != nil {
		return nil, refusal
	}
	return &Standing{
		Exists:          true,
		Drifted:         template.Digest(live) != digest,
		ResourceVersion: live.ResourceVersion,
		metadata:        live.ObjectMeta,
	}, nil
}

// Publish writes the content and returns the target as it stands then. A Secret
// that changed since it was inspected is inspected again, once.
func (p *Publisher) Publish(ctx context.Context, credential *v1alpha1.TokenCredential, template *Template, standing *Standing, content Content) (*v1alpha1.TargetStatus, error) {
	written, err := p.write(ctx, credential, template, standing, content)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		if standing, err = p.read(ctx, credential, template, ""); err != nil {
			return nil, err
		}
		written, err = p.write(ctx, credential, template, standing, content)
	}
	if err != nil {
		return nil, refused("write", err)
	}
	return &v1alpha1.TargetStatus{
		Name:            written.GetName(),
		ResourceVersion: written.GetResourceVersion(),
		Digest:          template.digest(content),
	}, nil
}

func (p *Publisher) write(ctx context.Context, credential *v1alpha1.TokenCredential, template *Template, standing *Standing, content Content) (client.Object, error) {
	if template.merge {
		return p.merge(ctx, credential, standing, content)
	}
	owned := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       credential.Namespace,
			Name:            credential.TargetName(),
			UID:             standing.metadata.UID,
			ResourceVersion: standing.ResourceVersion,
			Labels:          merged(standing.metadata.Labels, content.Labels),
			Annotations:     merged(standing.metadata.Annotations, content.Annotations),
			Finalizers:      standing.metadata.Finalizers,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(credential, credentialKind)},
		},
		Type: template.kind,
		Data: content.Data,
	}
	if !standing.Exists {
		return owned, p.Client.Create(ctx, owned)
	}
	return owned, p.Client.Update(ctx, owned)
}

// merge applies the credential's own keys under a field manager of its own, so
// that keys which a later template drops go, and nobody else's do. The UID keeps
// the API server from creating a Secret that has vanished.
func (p *Publisher) merge(ctx context.Context, credential *v1alpha1.TokenCredential, standing *Standing, content Content) (client.Object, error) {
	secret := corev1ac.Secret(credential.TargetName(), credential.Namespace).
		WithUID(standing.metadata.UID).
		WithLabels(content.Labels).
		WithAnnotations(content.Annotations).
		WithData(content.Data)
	err := p.Client.Apply(ctx, secret, client.ForceOwnership, client.FieldOwner(v1alpha1.ManagedBy+"-"+string(credential.UID)))
	if err != nil {
		return nil, err
	}
	applied := &metav1.PartialObjectMetadata{}
	applied.Name = *secret.Name
	if secret.ResourceVersion != nil {
		applied.ResourceVersion = *secret.ResourceVersion
	}
	return applied, nil
}

// Remove deletes a target whose credential is gone. Garbage collection does the
// same a little later, where a cluster has it.
func (p *Publisher) Remove(ctx context.Context, target *metav1.PartialObjectMetadata) error {
	err := p.Client.Delete(ctx, target, client.Preconditions{UID: &target.UID, ResourceVersion: &target.ResourceVersion})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete the target of a deleted credential: %s", apierrors.ReasonForError(err))
	}
	return nil
}

func merged(base, over map[string]string) map[string]string {
	all := maps.Clone(base)
	if all == nil {
		return over
	}
	maps.Copy(all, over)
	return all
}
