// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Duration is a span of time in Go's notation, such as 90s, 5m or 1h30m. It is
// never negative. The digits of each unit are bounded so that no text of the
// allowed length overflows: a value that Go cannot decode would stop the
// operator from listing every object of its kind.
//
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,9}([.][0-9]+)?(ms|s)|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,5}([.][0-9]+)?h)+$')",message="write a duration such as 90s, 5m or 1h30m, of at most 99999h"
type Duration struct {
	metav1.Duration `json:",inline"`
}

// OrDefault returns the duration, or the fallback where none was written.
func (d *Duration) OrDefault(fallback time.Duration) time.Duration {
	if d == nil {
		return fallback
	}
	return d.Duration.Duration
}
