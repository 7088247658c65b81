// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Duration is a span of time in Go's notation, such as 90s, 5m or 1h30m. It is
// never negative.
//
// What is no duration decodes all the same, and is told by Unreadable: one object
// that an older CRD let in must not keep a whole list from being decoded.
//
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,9}([.][0-9]+)?(ms|s)|[0-9]{1,7}([.][0-9]+)?m|[0-9]{1,5}([.][0-9]+)?h)+$')",message="write a duration such as 90s, 5m or 1h30m, of at most 99999h"
type Duration struct {
	metav1.Duration `json:",inline"`

	// Unreadable is what was written, where it is no duration.
	Unreadable string `json:"-"`
}

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (d *Duration) UnmarshalJSON(encoded []byte) error {
	*d = Duration{}
	if d.Duration.UnmarshalJSON(encoded) != nil || d.Duration.Duration < 0 {
		*d = Duration{Unreadable: string(encoded)}
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) {
	if d.Unreadable != "" {
		return json.RawMessage(d.Unreadable), nil
	}
	return d.Duration.MarshalJSON()
}

// OrDefault returns the duration, or the fallback where none was written or what
// was written is no duration.
func (d *Duration) OrDefault(fallback time.Duration) time.Duration {
	if d == nil || d.Unreadable != "" {
		return fallback
	}
	return d.Duration.Duration
}

// IsUnreadable tells whether something was written that is no duration.
func (d *Duration) IsUnreadable() bool { return d != nil && d.Unreadable != "" }
