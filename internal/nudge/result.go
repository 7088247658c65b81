// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package nudge

import (
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Result is what became of a nudge.
type Result string

// The results, as a metric counts them.
const (
	// nudged: the pod was changed.
	nudged Result = "nudged"
	// gone: the pod is not there any more.
	gone Result = "gone"
	// forbidden: the operator lacks the right, or an admission policy is against it.
	forbidden Result = "forbidden"
	// refused: the API server does not take the change.
	refused Result = "refused"
	// failed: the API server could not serve the request, several times.
	failed Result = "failed"
	// tooMany: the namespace has more pods that mount what was published than are nudged.
	tooMany Result = "dropped"
)

// resultOf is what an answer of the API server means. What failed is worth another try.
func resultOf(err error) Result {
	if err == nil {
		return nudged
	}
	code := 0
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		code = int(status.Status().Code)
	}
	switch code {
	case http.StatusNotFound, http.StatusGone:
		return gone
	case http.StatusForbidden:
		return forbidden
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return failed
	}
	if code >= http.StatusBadRequest && code < http.StatusInternalServerError {
		return refused
	}
	return failed
}
