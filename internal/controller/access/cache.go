// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package access is how the operator gets at the API server: what its cache keeps of each
// object, how many Secrets it reads at once, and how much client-go may log of them. What is
// done with them is the business of others.
package access

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/delivery"
)

// CacheOptions are what the controllers need of a manager's cache: the
// namespaces given alone (all, where there are none), the credentials that the
// selector matches alone, and of each object no more than something reads.
func CacheOptions(namespaces []string, credentials labels.Selector) cache.Options {
	options := cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.TokenCredential{}: {Label: credentials, Transform: slimCredential},
			SecretMetadata():            {Transform: slimSecret},
			NamespaceMetadata():         {Transform: slimNamespace},
		},
	}
	for _, namespace := range namespaces {
		if options.DefaultNamespaces == nil {
			options.DefaultNamespaces = map[string]cache.Config{}
		}
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	return options
}

// ClientOptions are what the controllers need of a manager's client: Secrets are
// read from the API server. That goes for their metadata too, which therefore is
// read from the manager's cache itself.
func ClientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}}
}

// SecretMetadata is what the metadata of a Secret is read into: the cache has no more of it.
func SecretMetadata() *metav1.PartialObjectMetadata { return metadataOf("Secret") }

// NamespaceMetadata is the same for a namespace.
func NamespaceMetadata() *metav1.PartialObjectMetadata { return metadataOf("Namespace") }

func metadataOf(kind string) *metav1.PartialObjectMetadata {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return metadata
}

// Shown gives the resourceVersion that a cache has come to with the metadata of Secrets: what
// is not there was deleted before that, or never was. nil where the cache is one of several
// namespaces, each of which comes to its own.
func Shown(ctx context.Context, from cache.Cache) (func() string, error) {
	informer, err := from.GetInformer(ctx, SecretMetadata(), cache.BlockUntilSynced(false))
	if err != nil {
		return nil, err
	}
	indexed, ok := informer.(interface{ GetIndexer() toolscache.Indexer })
	if !ok {
		return nil, nil
	}
	return indexed.GetIndexer().LastStoreSyncResourceVersion, nil
}

// slimCredential drops what nothing reads, and keeps one copy of what thousands of
// credentials have in common.
func slimCredential(object any) (any, error) {
	credential, ok := object.(*v1alpha1.TokenCredential)
	if !ok {
		return nil, fmt.Errorf("the cache of credentials holds a %T", object)
	}
	slim(&credential.ObjectMeta)
	credential.TypeMeta, credential.Labels, credential.OwnerReferences = metav1.TypeMeta{}, nil, nil
	delete(credential.Annotations, corev1.LastAppliedConfigAnnotation)
	share(&credential.Spec.ProviderRef.Kind)
	share(&credential.Spec.ProviderRef.Name)
	share(&credential.Spec.Target.CreationPolicy)
	if ref := credential.Spec.AppSecretRef; ref != nil {
		share(&ref.Name)
		share(&ref.KeyField)
		share(&ref.SecretField)
	}
	if ref := credential.Spec.RefreshTokenSecretRef; ref != nil {
		share(&ref.Key)
	}
	for i := range credential.Status.Conditions {
		condition := &credential.Status.Conditions[i]
		share(&condition.Type)
		share(&condition.Status)
		share(&condition.Reason)
	}
	if last := credential.Status.LastAttempt; last != nil {
		share(&last.Reason)
	}
	return credential, nil
}

// slimSecret keeps of a Secret's metadata what tells one version from another, of a
// target what its next writing must keep, and whatever the operator noted there.
func slimSecret(object any) (any, error) {
	metadata, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return nil, fmt.Errorf("the cache of Secrets' metadata holds a %T", object)
	}
	slim(&metadata.ObjectMeta)
	share(&metadata.Kind)
	share(&metadata.APIVersion)
	switch {
	case delivery.OwnerOf(metadata) == "":
		metadata.Labels, metadata.OwnerReferences = nil, nil
		metadata.Annotations = ownAnnotations(metadata.Annotations)
	case maps.Equal(metadata.Labels, ownLabels):
		metadata.Labels = ownLabels
	}
	return metadata, nil
}

// slimNamespace keeps of a namespace its labels, by which a provider may choose whose
// credentials use it.
func slimNamespace(object any) (any, error) {
	metadata, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return nil, fmt.Errorf("the cache of namespaces' metadata holds a %T", object)
	}
	slim(&metadata.ObjectMeta)
	share(&metadata.Kind)
	share(&metadata.APIVersion)
	metadata.Annotations = nil
	return metadata, nil
}

// ownAnnotations are those that the operator wrote on a Secret that is not a target of
// its own: which token a shared target holds, and whether a state has an open attempt.
func ownAnnotations(all map[string]string) map[string]string {
	var own map[string]string
	_, isOpen := all[v1alpha1.AttemptAnnotation]
	for key, value := range all {
		if strings.HasPrefix(key, v1alpha1.TokenAnnotationPrefix) || isOpen && (key == v1alpha1.AttemptAnnotation || key == v1alpha1.CredentialAnnotation) {
			if own == nil {
				own = map[string]string{}
			}
			own[key] = value
		}
	}
	return own
}

// ownLabels are those of a target with which nobody else has to do. All share this
// map: nothing in a cache is ever changed.
var ownLabels = map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedBy}

func slim(metadata *metav1.ObjectMeta) {
	metadata.ManagedFields = nil
	share(&metadata.Namespace)
	for i := range metadata.OwnerReferences {
		owner := &metadata.OwnerReferences[i]
		share(&owner.Kind)
		share(&owner.APIVersion)
		if owner.Controller != nil && *owner.Controller {
			owner.UID = "" // whose a target is, is judged by what is read live; the others are written back
		}
	}
}

// share replaces a text by the one copy of it that all share.
func share[T ~string](text *T) { *text = unique.Make(*text).Value() }
