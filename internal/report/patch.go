// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// wholeStatus is a JSON patch (RFC 6902) that puts an object's status in the place of what is
// stored, if that is still at a resourceVersion: else it conflicts.
//
// A merge patch says only what differs from the object that a process knows. An etcd that was
// put back gives its versions out again, so what is stored may be another status of the same
// version; of that a merge would leave what the process never saw, such as the time of a
// refresh that nobody makes.
type wholeStatus struct{ resourceVersion string }

// Type implements client.Patch.
func (wholeStatus) Type() types.PatchType { return types.JSONPatchType }

// Data implements client.Patch, for a TokenCredential.
func (w wholeStatus) Data(object client.Object) ([]byte, error) {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	return json.Marshal([]operation{
		{"replace", "/metadata/resourceVersion", w.resourceVersion},
		{"add", "/status", object.(*v1alpha1.TokenCredential).Status}, // in the place of what is there (section 4.1)
	})
}
