// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history drives the real reconciler through random histories, and checks
// after every step that no refresh token is lost without anyone knowing.
//
// A history is a provider (one of several kinds), one or two replicas that both
// believe that they lead, and an API server, all in this process. Each visit of a
// credential runs on a goroutine of its own, which stops before every effect: a
// request to the API server, a request to the provider, and the reply to either
// where that comes late. rapid draws who moves next and what becomes of the effect:
// done; refused; done and the reply lost, or late; the process killed before or
// after it. In between time passes, caches lag or catch up, processes restart with
// and without their spool, requests that were given up arrive after all, and users
// do what users do. Only one goroutine runs at a time, and no clock, network or
// disk has a say, so that a seed tells a history.
//
// # What must hold
//
// After every step, for the grant that each credential lives on (that of the
// refresh token in its state; of the seed, while there is no state): the
// provider's current refresh token is in a state Secret, in the user's Secret, in
// a spool that will be found, or in the memory of a live process; or something
// durable says that it may not be. That is a condition with one of tellingReasons,
// or what makes the next visit say so: a claim in the state, the token's digest in
// the ledger, an identity that is not the Secret's own, or, after the state was
// deleted, the seed that the status remembers.
//
// At every send: the token is unspent, or inside the provider's window, or this is
// the one retry that RetryOnce allows and the claim records; and it was sent
// without a clear answer once at most. And no target ever shows an access token
// that no state held.
//
// At rest, once faults have ended, clocks are right, caches have caught up, and
// nothing is due even hours later: a credential is Ready and Refreshed, the
// provider takes its tokens, and state and target agree; or it is Stalled, for a
// reason that is true.
//
// # What users give up
//
// A new seed gives up the grant of the one before. Who deletes the state Secret
// throws the token away: the seed that was adopted is not sent again, as long as
// the status, as every cache shows it, remembers it. So the state is deleted, or a
// backup put in its place, only then, and the processes start again, since one may
// still owe a status of before; afterwards the credential is not deleted as
// well, no older seed is put back, and there is no second credential on that seed,
// since nobody could know that it is spent. A backup's token is not sent.
//
// # Known limits that are left out
//
// No client can close these; test/model shows them too.
//   - A freeze between the fence and the first byte, with a reuse window: time does
//     not pass there. (Without a window the exchange's deadline ends it in time.)
//   - A provider that acts on a request long after its sender gave up, where the
//     reuse in the window voids the first successor, or reuse revokes the family.
//   - RetryOnce where reuse revokes the family.
//   - A backup of the very first exchange, whose state does not know its UID yet.
//   - Two credentials on one seed, one of which has gone over to a new seed that
//     the cache does not show to the other: that one may send the spent seed of
//     the grant that was given up.
//   - A reuse window measured from one replica's clock on another's: with a window
//     the clocks agree. Without one they are up to an hour off.
package history
