// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net/url"
	"slices"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/notify"
)

// notifier is what --notify-url asks for; nil: nothing.
func (o *options) notifier(clock clock.PassiveClock) (*notify.Notifier, error) {
	switch {
	case o.notifyURL == "" && o.notifyKeyFile == "":
		return nil, nil
	case o.notifyURL == "" || o.notifyKeyFile == "":
		return nil, errors.New("--notify-url and --notify-key-file belong together: receivers tell a message from a forged one by its signature")
	}
	calls, err := egress.New(o.notifyPolicy())
	if err != nil {
		return nil, err
	}
	return notify.New(notify.Options{URL: o.notifyURL, KeyFile: o.notifyKeyFile, Egress: calls, Clock: clock, Log: ctrl.Log.WithName("notify")})
}

// notifyPolicy is that of all calls, with the receiver's host among those that may be
// called: naming it in --egress-allow-hosts would open it to providers, too.
func (o *options) notifyPolicy() egress.Policy {
	policy := o.egress
	if target, err := url.Parse(o.notifyURL); err == nil && len(policy.AllowHosts) > 0 {
		policy.AllowHosts = slices.Clone(policy.AllowHosts)
		_ = policy.AllowHosts.Set(target.Hostname()) // what is no host is refused as one that is not listed
	}
	return policy
}
