// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

// mutationsOfTheCourier take away a part of what carries an exchange through the death of
// the manager.
func mutationsOfTheCourier() []mutation {
	return []mutation{
		{
			name: "the courier is not asked", why: "an outcome is unknown although the courier has the reply",
			pkg: "refresh", function: "Refresher.ask",
			body: `return heard{}`,
		},
		{
			name: "a claim is withdrawn without asking", why: "a token that the courier has sent counts as never sent",
			pkg: "refresh", function: "Refresher.ask",
			body: `if job.Found.Record.State.Attempt == nil {
					return heard{}
				}
				return heard{fate: courier.NeverReceived}`,
		},
		{
			name: "what is under way counts as never received", why: "a token is sent by two requests",
			pkg: "courier", function: "ledger.ask",
			body: `fate, e := l.askOriginal(question, instance, now)
				if fate == UnderWay {
					return NeverReceived, e
				}
				return fate, e`,
		},
		{
			name: "what is under way is not awaited", why: "an outcome is unknown although its reply is on its way",
			pkg: "rotation/recovery", function: "Observer.Decide",
			body: `o.HolderGone = o.HolderGone || o.UnderWay
				o.UnderWay = false
				return o.DecideOriginal(s)`,
		},
		{
			name: "the reply of another attempt is handed over", why: "an outcome is unknown although nothing was sent",
			pkg: "courier", function: "ledger.of",
			body: `if last := l.order.Back(); last != nil {
					return last.Value.(*entry)
				}
				return nil`,
		},
		{
			name: "a reply is not kept", why: "it goes with the manager that asked for it",
			pkg: "courier", function: "Local.contentOf",
			body: `content, found := l.contentOfOriginal(e, id)
				l.Saved(id)
				return content, found`,
		},
		{
			name: "a courier that was started again says never received", why: "a token that the one before has sent is sent again",
			pkg: "courier", function: "ledger.ask",
			body: `question.Courier = instance
				return l.askOriginal(question, instance, now)`,
		},
		{
			name: "what was never received may come yet", why: "a request that was on its way is sent after another",
			pkg: "courier", function: "ledger.ask",
			body: `fate, e := l.askOriginal(question, instance, now)
				if fate == NeverReceived {
					e.closed = false
				}
				return fate, e`,
		},
	}
}
