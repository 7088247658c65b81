// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// request of a manager to the API server.
type request struct {
	method, path string
	body         []byte
	// secret that is created or updated; nil: none is.
	secret *corev1.Secret
}

// inspect reads what a request is about, and leaves it as it was. A Secret comes
// as protobuf or as JSON.
func inspect(r *http.Request) (request, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return request{}, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	asked := request{method: r.Method, path: r.URL.Path, body: body}
	writes := r.Method == http.MethodPost || r.Method == http.MethodPut
	if !writes || !strings.HasPrefix(asked.path, "/api/v1/") || !strings.Contains(asked.path, "/secrets") {
		return asked, nil
	}
	object, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return request{}, fmt.Errorf("a Secret cannot be read: %w", err)
	}
	asked.secret, _ = object.(*corev1.Secret)
	return asked, nil
}

// kind tells some requests from others.
type kind func(request) bool

func anything(request) bool { return true }

// The writes of the second refresh: the first has made a fresh credential.

func claim(r request) bool { return r.isState("1") && r.secret.Data["attempt"] != nil }

func commit(r request) bool { return r.isState("2") && r.secret.Data["attempt"] == nil }

func publication(r request) bool {
	return r.method == http.MethodPut && r.secret != nil && r.secret.Name == name
}

func statusUpdate(r request) bool {
	var patch struct {
		Status v1alpha1.TokenCredentialStatus `json:"status"`
	}
	return r.method == http.MethodPatch && strings.HasSuffix(r.path, "/tokencredentials/"+name+"/status") &&
		json.Unmarshal(r.body, &patch) == nil && patch.Status.RefreshCount == 2
}

// leaseUpdate is how a leader keeps its lease, and how it is taken.
func leaseUpdate(r request) bool {
	return r.method == http.MethodPut && strings.Contains(r.path, "/leases/")
}

// isState tells whether a state Secret is written, after so many commits.
func (r request) isState(sequence string) bool {
	return r.secret != nil && r.secret.Type == v1alpha1.StateSecretType && string(r.secret.Data["sequence"]) == sequence
}
