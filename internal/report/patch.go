// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// patchStatus writes a status where it is not what the API server has, as far as is known, and
// returns the credential with it.
func patchStatus(ctx context.Context, to client.Client, base *v1alpha1.TokenCredential, next *v1alpha1.TokenCredentialStatus) (written *v1alpha1.TokenCredential, err error) {
	written = base.DeepCopy()
	next.DeepCopyInto(&written.Status)
	if !apiequality.Semantic.DeepEqual(base.Status, written.Status) {
		err = to.Status().Patch(ctx, written, wholeStatus{base.ResourceVersion})
	}
	return written, err
}

// wholeStatus is a merge patch (RFC 7396) that puts an object's status in the place of what is
// stored, if that is still at a resourceVersion: else it conflicts.
//
// It names what the status lacks, too. An etcd that was put back gives its versions out again,
// so what is stored may be another status of the same version than the one that a process
// knows; of that a patch of what differs would leave what the process never saw, such as the
// time of a refresh that nobody makes.
type wholeStatus struct{ resourceVersion string }

// Type implements client.Patch.
func (wholeStatus) Type() types.PatchType { return types.MergePatchType }

// Data implements client.Patch, for a TokenCredential.
func (w wholeStatus) Data(object client.Object) ([]byte, error) {
	return json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": w.resourceVersion},
		"status":   withAbsent(reflect.ValueOf(object.(*v1alpha1.TokenCredential).Status)),
	})
}

// withAbsent is a value with null for each field that its JSON leaves out. What says itself
// how it is written, such as a time, and lists are as they are.
func withAbsent(value reflect.Value) any {
	if value.Kind() == reflect.Pointer && !value.IsNil() {
		value = value.Elem()
	}
	if _, isWritten := reflect.New(value.Type()).Interface().(json.Marshaler); isWritten || value.Kind() != reflect.Struct {
		return value.Interface()
	}
	fields := map[string]any{}
	for field, of := range value.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if fields[name] = nil; !of.IsZero() || !strings.Contains(options, "omit") {
			fields[name] = withAbsent(of)
		}
	}
	return fields
}
