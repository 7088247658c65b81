// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// apiClient is a process's client, as far as the reconciler uses one: what it does
// not use panics. What is read from the cache is read at once; every request to
// the API server waits for the machine.
type apiClient struct {
	client.Client // nil
	process       *process
	// cached kinds are read from the process's cache.
	cachedCredentials, cachedMetadata bool
	// shared reads are visits of their own: several may wait for one, and it goes on when
	// they do not.
	shared bool
}

// Get implements client.Reader.
func (c *apiClient) Get(ctx context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	api := c.process.world.api
	switch into := into.(type) {
	case *v1alpha1.TokenCredential:
		if c.cachedCredentials {
			return read(c.process.cached(ctx, objectKey{credentials, key.Name}), into, key.Name)
		}
		return c.request(ctx, "get credential", key.Name, func() error { return read(api.find(credentials, key.Name), into, key.Name) })
	case *metav1.PartialObjectMetadata:
		switch {
		case into.Kind == string(credentials):
			return c.request(ctx, "get credential", key.Name, func() error { return read(api.find(credentials, key.Name), into, key.Name) })
		case !c.cachedMetadata:
			return c.request(ctx, "get metadata", key.Name, func() error { return read(api.find(secrets, key.Name), into, key.Name) })
		}
		return read(c.process.cached(ctx, objectKey{secrets, key.Name}), into, key.Name)
	case *corev1.Secret:
		return c.request(ctx, "get", key.Name, func() error {
			err := read(api.find(secrets, key.Name), into, key.Name)
			c.process.saw(into)
			return err
		})
	}
	panic("a kind that is not expected")
}

// read copies what was found.
func read(found, into client.Object, name string) error {
	switch into := into.(type) {
	case *v1alpha1.TokenCredential:
		if found, ok := found.(*v1alpha1.TokenCredential); ok {
			found.DeepCopyInto(into)
			return nil
		}
		return apierrors.NewNotFound(credentials.resource(), name)
	case *corev1.Secret:
		if found, ok := found.(*corev1.Secret); ok {
			found.DeepCopyInto(into)
			return nil
		}
	case *metav1.PartialObjectMetadata:
		switch found := found.(type) {
		case *corev1.Secret:
			found.ObjectMeta.DeepCopyInto(&into.ObjectMeta)
			return nil
		case *v1alpha1.TokenCredential:
			found.ObjectMeta.DeepCopyInto(&into.ObjectMeta)
			return nil
		}
	}
	return apierrors.NewNotFound(secrets.resource(), name)
}

// List implements client.Reader, for the metadata of Secrets.
func (c *apiClient) List(ctx context.Context, into client.ObjectList, options ...client.ListOption) error {
	asked := (&client.ListOptions{}).ApplyOptions(options)
	list := into.(*metav1.PartialObjectMetadataList)
	collect := func(find func(objectKey) client.Object) {
		for _, name := range c.process.world.api.names(secrets) {
			secret, found := find(objectKey{secrets, name}).(*corev1.Secret)
			if !found || asked.LabelSelector != nil && !asked.LabelSelector.Matches(labels.Set(secret.Labels)) {
				continue
			}
			metadata := metav1.PartialObjectMetadata{}
			secret.ObjectMeta.DeepCopyInto(&metadata.ObjectMeta)
			list.Items = append(list.Items, metadata)
		}
	}
	if c.cachedMetadata {
		collect(func(key objectKey) client.Object { return c.process.cached(ctx, key) })
		return nil
	}
	return c.request(ctx, "list", "states", func() error {
		collect(func(key objectKey) client.Object { return c.process.world.api.find(key.kind, key.name) })
		return nil
	})
}

// Create implements client.Writer.
func (c *apiClient) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	if asked := (&client.CreateOptions{}).ApplyOptions(options); len(asked.DryRun) > 0 {
		return c.dryRun(ctx, object)
	}
	return c.write(ctx, "create", object.GetName(), func() error { return c.process.world.api.create(secrets, object.(*corev1.Secret)) })
}

// Update implements client.Writer.
func (c *apiClient) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	if asked := (&client.UpdateOptions{}).ApplyOptions(options); len(asked.DryRun) > 0 {
		return c.dryRun(ctx, object)
	}
	return c.write(ctx, "update", object.GetName(), func() error { return c.process.world.api.update(secrets, object.(*corev1.Secret)) })
}

// dryRun is a write that changes nothing.
func (c *apiClient) dryRun(ctx context.Context, object client.Object) error {
	return c.request(ctx, "dry run of", object.GetName(), func() error { return c.process.world.admit(object.GetName()) })
}

// Patch implements client.Writer, for the user's refresh token.
func (c *apiClient) Patch(ctx context.Context, object client.Object, patch client.Patch, _ ...client.PatchOption) error {
	data, err := patch.Data(object)
	if err != nil {
		return err
	}
	return c.write(ctx, "patch", object.GetName(), func() error { return c.process.world.api.patchSecret(object.GetName(), data) })
}

// Delete implements client.Writer, for targets.
func (c *apiClient) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	asked := (&client.DeleteOptions{}).ApplyOptions(options)
	api := c.process.world.api
	return c.write(ctx, "delete", object.GetName(), func() error {
		found := api.find(secrets, object.GetName())
		if found != nil && asked.Preconditions != nil &&
			(*asked.Preconditions.UID != found.GetUID() || *asked.Preconditions.ResourceVersion != found.GetResourceVersion()) {
			return apierrors.NewConflict(secrets.resource(), object.GetName(), nil)
		}
		return api.remove(secrets, object.GetName())
	})
}

// Status implements client.StatusClient.
func (c *apiClient) Status() client.SubResourceWriter { return &statusWriter{client: c} }

type statusWriter struct {
	client.SubResourceWriter // nil
	client                   *apiClient
}

// Patch implements client.SubResourceWriter.
func (s *statusWriter) Patch(ctx context.Context, object client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	data, err := patch.Data(object)
	if err != nil {
		return err
	}
	credential := object.(*v1alpha1.TokenCredential)
	return s.client.write(ctx, "patch status", credential.Name, func() error {
		return s.client.process.world.api.patchStatus(credential.Name, data, credential)
	})
}

// request is what reads from the API server.
func (c *apiClient) request(ctx context.Context, verb, name string, do func() error) error {
	return c.meet(ctx, &effect{verb: verb, name: name, do: do, fates: readFates})
}

// write is what changes something there.
func (c *apiClient) write(ctx context.Context, verb, name string, do func() error) error {
	return c.meet(ctx, &effect{verb: verb, name: name, fates: writeFates, do: func() error {
		w := c.process.world
		if err := w.admit(name); err != nil {
			return err
		}
		w.writer = c.process
		defer func() { w.writer = nil }()
		err := do()
		if written := w.api.secret(name); err == nil && written != nil {
			c.process.saw(written)
		}
		return err
	}})
}

// meet waits for the machine and does what it says.
func (c *apiClient) meet(ctx context.Context, e *effect) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	visit := visitOf(ctx)
	if c.shared {
		visit = c.process.newVisit(reads, visit.credential)
		defer func() { visit.ended = true }()
	}
	switch visit.park(e) {
	case refusedForbidden:
		return apierrors.NewForbidden(secrets.resource(), e.name, nil)
	case refusedInternal:
		return apierrors.NewInternalError(context.DeadlineExceeded)
	case notReached:
		return context.DeadlineExceeded
	case appliedReplyLost:
		_ = e.do() // nobody hears of it
		return apierrors.NewTimeoutError("the request timed out", 1)
	case replyLate:
		err := e.do()
		visit.park(&effect{verb: "reply to " + e.verb, name: e.name, fates: replyFates})
		return err
	case killedAfter:
		_ = e.do() // nobody is there to hear of it
		visit.die()
	default:
		return e.do()
	}
	return nil
}
