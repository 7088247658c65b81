// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status computes a credential's status. It is pure: the new status is a
// function of the old one, the report of a reconcile, and the time. It is the only
// place where a field of the status or a condition gets its value, and nothing is
// decided by a condition: what must outlast a restart has a field of its own
// (lastAttempt), from which the conditions are computed. What a condition shows is
// only shown again, or compared, so that each transition has one event.
//
//	                  Ready                Refreshed        Reconciling  Stalled
//	fresh             True  TokenValid     True             -            -
//	no token yet      False Pending        Unknown Pending  True         -
//	retried           True until expiry    False <reason>   True         -
//	a person must act True until expiry    False <reason>   -            True <reason>
//	suspended         True until expiry    as it was        -            -
//
// Once the token has expired, or is not in the target, Ready is False with whatever
// stands in the way: what a person must act on, else the outcome of the renewal, else
// what keeps the token from the target.
package status
