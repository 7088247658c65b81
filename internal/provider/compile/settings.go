// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/lifetime"
)

// defaultLifetime is what a token is taken to live where neither the reply nor
// the provider's description says.
const defaultLifetime = time.Hour

func (c *compiler) rotation() provider.Rotation {
	spec := c.spec.Rotation
	rotation := provider.Rotation{
		Mode:             cmp.Or(spec.Mode, v1alpha1.Auto),
		ReuseWindow:      c.duration("spec.rotation.reuseWindow", spec.ReuseWindow, 0),
		OnUnknownOutcome: cmp.Or(spec.OnUnknownOutcome, v1alpha1.Hold),
	}
	if !slices.Contains([]v1alpha1.RotationMode{v1alpha1.Auto, v1alpha1.SingleUse, v1alpha1.Reusable}, rotation.Mode) {
		c.add("spec.rotation.mode", "write Auto, SingleUse or Reusable")
	}
	if !slices.Contains([]v1alpha1.UnknownOutcomePolicy{v1alpha1.Hold, v1alpha1.RetryOnce}, rotation.OnUnknownOutcome) {
		c.add("spec.rotation.onUnknownOutcome", "write Hold or RetryOnce")
	}
	return rotation
}

func (c *compiler) lifetimes() lifetime.Assumed {
	return lifetime.Assumed{
		Access:   c.duration("spec.lifetime.accessToken", c.spec.Lifetime.AccessToken, defaultLifetime),
		Refresh:  c.duration("spec.lifetime.refreshToken", c.spec.Lifetime.RefreshToken, 0),
		Declared: c.spec.Lifetime.AccessToken != nil,
	}
}

func (c *compiler) rateLimit() *provider.RateLimit {
	if c.spec.RateLimit == nil {
		return nil
	}
	if c.spec.RateLimit.Requests < 1 {
		c.add("spec.rateLimit.requests", "write at least 1")
	}
	return &provider.RateLimit{
		Requests: int(c.spec.RateLimit.Requests),
		Per:      c.duration("spec.rateLimit.per", c.spec.RateLimit.Per, time.Second),
	}
}

// duration checks a span that may be absent. A zero counts as absent.
func (c *compiler) duration(field string, spec *v1alpha1.Duration, fallback time.Duration) time.Duration {
	value := spec.OrDefault(0)
	if spec.IsUnreadable() || value < 0 || value > lifetime.Longest {
		c.add(field, "write a duration from 0s to ten years, such as 1h")
		return fallback
	}
	return cmp.Or(value, fallback)
}

func (c *compiler) earliestRenewal() int {
	percentage := c.spec.Renewal.EarliestPercentage
	if percentage < 0 || percentage > 99 {
		c.add("spec.renewal.earliestPercentage", "write 0 to 99, the part of a lifetime before which the provider renews no token")
	}
	return int(percentage)
}
