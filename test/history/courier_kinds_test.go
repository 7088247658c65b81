// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import "github.com/tokenkeeper/tokenkeeper/api/v1alpha1"

// withCouriers are visits whose exchanges a courier carries.
func withCouriers() []kindOfVisit {
	return []kindOfVisit{
		{name: "the first token comes by a courier", provider: "hold", carries: forgetful},
		{name: "a token is renewed by a courier", provider: "hold", carries: forgetful, before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "a token is renewed by a courier that keeps replies", provider: "hold", carries: keeping, before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "a token is renewed by a courier under RetryOnce", provider: "retry", carries: forgetful, before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "a token with a reuse window is renewed by a courier", provider: "window", carries: keeping, before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "an unproven token is renewed by a courier", provider: "auto", carries: keeping, before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "the courier never received the request", provider: "hold", carries: forgetful, before: func(w *world) {
			w.managerDies("hand over the request for shop").meet(notSent)
		}},
		{name: "the courier waits for the reply", provider: "hold", carries: forgetful, before: func(w *world) {
			w.managerDies("send")
		}},
		{name: "the courier has the reply", provider: "hold", carries: forgetful, before: func(w *world) {
			w.toItsEnd(w.managerDies("send"))
		}},
		{name: "the courier has kept the reply, and was started again", provider: "hold", carries: keeping, before: func(w *world) {
			w.toItsEnd(w.managerDies("send"))
			w.courierDies(w.replicas[0], false)
		}},
		{name: "the courier has forgotten the reply", provider: "hold", carries: forgetful, stalls: v1alpha1.OutcomeUnknownReason, before: func(w *world) {
			w.toItsEnd(w.managerDies("send"))
			w.courierDies(w.replicas[0], false)
		}},
	}
}

// managerDies has the manager die in the renewal after the first, as its courier is about
// to do something, and returns the exchange.
func (w *world) managerDies(where string) *visit {
	w.rest()
	w.renewalIsDue()
	r := w.replicas[0]
	r.process.catchUp()
	v := r.process.reconcile(shop)
	for range maxEffects {
		mover := v.mover()
		if mover == nil {
			break
		}
		if mover.activity == carries && (mover.at.verb == where || mover.at.String() == where) {
			w.die(r, false)
			return mover
		}
		w.next(mover, done)
		w.check()
	}
	w.t.Fatalf("the simulation itself fails: the courier has not come to %s", where)
	return nil
}
