// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// namespace of everything in a history.
const namespace = "team"

// kind of object that the double keeps.
type kind string

const (
	secrets     kind = "Secret"
	credentials kind = "TokenCredential"
)

func (k kind) resource() schema.GroupResource {
	if k == secrets {
		return corev1.Resource("secrets")
	}
	return schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "tokencredentials"}
}

// apiServer stands in for the API server: Secrets and TokenCredentials of one
// namespace, with resourceVersions, generations and UIDs, in memory. It keeps
// every version of an object, so that a cache may show any of them.
//
// controller-runtime's own fake client took 147 µs for an update of a Secret and
// 325 µs for a merge patch of a status where this one took 10 µs and 38 µs, and a
// history has some forty requests and is to take some 10 ms. Nor does it keep the
// older versions that a cache which lags shows.
type apiServer struct {
	now      func() time.Time
	latest   uint64 // resourceVersion of the last write
	uids     int
	versions map[objectKey][]version // oldest first
	// written is told of each write.
	written func(kind kind, before, after client.Object)
}

type objectKey struct {
	kind kind
	name string
}

// version of an object from a resourceVersion on; without an object it is gone.
type version struct {
	from   uint64
	object client.Object // never changed
	// silent is true of a change of a status, which wakes no credential.
	silent bool
}

func newAPIServer(now func() time.Time) *apiServer {
	return &apiServer{now: now, latest: 100, versions: map[objectKey][]version{}, written: func(kind, client.Object, client.Object) {}}
}

// at is an object as it was at a resourceVersion; nil where there was none.
func (a *apiServer) at(kind kind, name string, resourceVersion uint64) client.Object {
	return a.versionAt(objectKey{kind, name}, resourceVersion).object
}

// versionAt is an object's version at a resourceVersion.
func (a *apiServer) versionAt(key objectKey, resourceVersion uint64) version {
	for _, each := range slices.Backward(a.versions[key]) {
		if each.from <= resourceVersion {
			return each
		}
	}
	return version{}
}

// now is an object as it is; nil where there is none.
func (a *apiServer) find(kind kind, name string) client.Object { return a.at(kind, name, a.latest) }

func (a *apiServer) secret(name string) *corev1.Secret {
	found, _ := a.find(secrets, name).(*corev1.Secret)
	return found
}

func (a *apiServer) credential(name string) *v1alpha1.TokenCredential {
	found, _ := a.find(credentials, name).(*v1alpha1.TokenCredential)
	return found
}

// names of the objects of a kind that there ever were, sorted.
func (a *apiServer) names(kind kind) []string {
	var names []string
	for key := range a.versions {
		if key.kind == kind {
			names = append(names, key.name)
		}
	}
	slices.Sort(names)
	return names
}

func (a *apiServer) put(kind kind, object client.Object) { a.putVersion(kind, object, false) }

func (a *apiServer) putVersion(kind kind, object client.Object, silent bool) {
	before := a.find(kind, object.GetName())
	a.latest++
	object.SetResourceVersion(strconv.FormatUint(a.latest, 10))
	key := objectKey{kind, object.GetName()}
	a.versions[key] = append(a.versions[key], version{from: a.latest, object: object, silent: silent})
	a.written(kind, before, object)
}

// create is POST.
func (a *apiServer) create(kind kind, object client.Object) error {
	if a.find(kind, object.GetName()) != nil {
		return apierrors.NewAlreadyExists(kind.resource(), object.GetName())
	}
	if object.GetResourceVersion() != "" {
		return apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	a.uids++
	object.SetUID(types.UID(fmt.Sprintf("uid-%d", a.uids)))
	object.SetCreationTimestamp(metav1.Time{Time: a.now().Truncate(time.Second)})
	if kind == credentials {
		object.SetGeneration(1)
	}
	a.put(kind, object.DeepCopyObject().(client.Object))
	object.SetResourceVersion(strconv.FormatUint(a.latest, 10))
	return nil
}

// update is PUT.
func (a *apiServer) update(kind kind, object client.Object) error {
	before := a.find(kind, object.GetName())
	if before == nil {
		return apierrors.NewNotFound(kind.resource(), object.GetName())
	}
	if version := object.GetResourceVersion(); version != "" && version != before.GetResourceVersion() ||
		object.GetUID() != "" && object.GetUID() != before.GetUID() {
		return apierrors.NewConflict(kind.resource(), object.GetName(), fmt.Errorf("the object has been modified"))
	}
	stored := object.DeepCopyObject().(client.Object)
	stored.SetUID(before.GetUID())
	stored.SetCreationTimestamp(before.GetCreationTimestamp())
	stored.SetResourceVersion(before.GetResourceVersion())
	if equality.Semantic.DeepEqual(before, stored) {
		return nil // an update that changes nothing makes no version
	}
	a.put(kind, stored)
	object.SetResourceVersion(stored.GetResourceVersion())
	object.SetUID(stored.GetUID())
	object.SetCreationTimestamp(stored.GetCreationTimestamp())
	return nil
}

// patchStatus is PATCH of a credential's status, the answer in into.
func (a *apiServer) patchStatus(name string, patch []byte, into *v1alpha1.TokenCredential) error {
	before := a.credential(name)
	if before == nil {
		return apierrors.NewNotFound(credentials.resource(), name)
	}
	merged, err := merge(credentials, before, patch)
	if err != nil {
		return err
	}
	after := before.DeepCopy()
	after.Status = merged.Status
	if !equality.Semantic.DeepEqual(before, after) {
		a.putVersion(credentials, after, true)
	}
	after.DeepCopyInto(into)
	return nil
}

// patchSecret is PATCH of a Secret.
func (a *apiServer) patchSecret(name string, patch []byte) error {
	before := a.secret(name)
	if before == nil {
		return apierrors.NewNotFound(secrets.resource(), name)
	}
	merged, err := merge(secrets, before, patch)
	if err != nil {
		return err
	}
	return a.update(secrets, merged)
}

// merge applies a JSON merge patch to an object, at the version that the patch names.
func merge[T client.Object](kind kind, before T, patch []byte) (merged T, err error) {
	var wanted struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(patch, &wanted); err != nil {
		return merged, err
	}
	if version := wanted.Metadata.ResourceVersion; version != "" && version != before.GetResourceVersion() {
		return merged, apierrors.NewConflict(kind.resource(), before.GetName(), fmt.Errorf("the object has been modified"))
	}
	encoded, err := json.Marshal(before)
	if err != nil {
		return merged, err
	}
	patched, err := jsonpatch.MergePatch(encoded, patch)
	if err != nil {
		return merged, err
	}
	return merged, json.Unmarshal(patched, &merged)
}

// remove is DELETE.
func (a *apiServer) remove(kind kind, name string) error {
	before := a.find(kind, name)
	if before == nil {
		return apierrors.NewNotFound(kind.resource(), name)
	}
	a.latest++
	key := objectKey{kind, name}
	a.versions[key] = append(a.versions[key], version{from: a.latest})
	return nil
}

// change changes an object as a user does.
func change[T client.Object](a *apiServer, kind kind, name string, how func(T)) {
	object := a.find(kind, name).DeepCopyObject().(T)
	how(object)
	if kind == credentials {
		object.SetGeneration(object.GetGeneration() + 1)
	}
	a.put(kind, object)
}

// rollBack puts everything back to an older resourceVersion, as etcd does when it is
// restored: what was written since has never been, and versions are given out again.
func (a *apiServer) rollBack(to uint64) {
	for key, versions := range a.versions {
		a.versions[key] = slices.DeleteFunc(versions, func(v version) bool { return v.from > to })
	}
	a.latest = to
}

// since is the version at which an object of a UID came.
func (a *apiServer) since(kind kind, name string, uid types.UID) uint64 {
	for _, each := range a.versions[objectKey{kind, name}] {
		if each.object != nil && each.object.GetUID() == uid {
			return each.from
		}
	}
	return a.latest
}
