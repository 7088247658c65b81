// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history drives the real reconciler through random histories, and checks
// after every step that no refresh token is lost without anyone knowing.
//
// A history is a provider (one of several kinds), one or two replicas that both
// believe that they lead, and an API server, all in this process. What a process does
// for a credential is a visit on a goroutine of its own: a reconcile, the write of a
// status that the lane holds, or a commit that goes on after its reconcile has returned,
// because the API server refused it. A visit stops before every effect: a request to the
// API server, a request to the provider, and the reply to either where that comes late.
// rapid draws who moves next and what becomes of the effect: done; refused; done and the
// reply lost, or late; the process killed before or after it. In between time passes,
// caches lag or catch up, processes restart with and without their spool and with
// statuses unwritten, a process that is asked to end writes them first, requests that
// were given up arrive after all, and users, quotas and etcd do what they do. Only one
// goroutine works at a time, and no clock, network or disk has a say, so that a seed
// tells a history.
//
// A visit may wait for another of its process: for the same status to be written, for
// the same Secret to be read, or for a look at the API server that several share. Such a
// visit has no effect to draw until the other is done. Each history plays in a bubble of
// testing/synctest, which knows when every goroutine waits, and so tells a visit that
// waits from one that works. (A look is shared from the fifth at a time on. A process has
// at most two credentials here, so looks are not.)
//
// # What must hold
//
// After every step, for the grant that each credential lives on (that of the
// refresh token in its state; of the seed, while there is no state; of the token before,
// while a mistyped seed is live): the provider's current refresh token is in a state
// Secret, in the user's Secret, in a spool that will be found, or in the memory of a
// live process; or something durable says that it may not be. That is the condition
// Refreshed with one of tellingReasons, or what makes the next visit say so: a claim in
// the state, the token's digest in the ledger, an identity that is not the Secret's own,
// or, after the state was deleted, the seed that the status remembers. A token
// that Auto has found to work again has no claim: that its successor is lost is said once
// it is sent again, and so at rest at the latest. That the API
// server refuses something (PersistBlocked) says nothing of the kind.
//
// At every send: the credential is not suspended; its token is not fresh, unless users
// have done something since, whatever became of the process that got it and of the
// status that it owed (where the clocks agree); a token that was refused is not sent again
// by the process that knows, until users have changed something; and a single-use token is
// unspent, or inside the provider's window, or this is the one retry that RetryOnce allows
// and the claim records; and it was sent without a clear answer once at most; or, where the
// rotation is Auto, a reply has proven it, and the state says so, or it was refused since,
// or this is its first claim after a send that relied on the proof, without a clear answer
// (a mistyped seed took the proof away); and no token goes to another host than the one that
// it came from or was first sent to, wherever users point the credential meanwhile. A
// process that has seen a later state does not send a spent token after etcd was put back
// either.
//
// At every write: no target shows an access token that no state held (or whose refresh
// token it keeps behind a newer seed); nobody ends the
// claim of another process that is alive and may be at it, except for a new seed; no
// status falls back to an earlier token, or holds a digest that is not keyed; and what
// keeps the token from the target does not hide that the refresh token may be lost.
//
// At the end of every reconcile: nobody lets go of a successor that is not saved.
//
// At rest, once faults have ended, clocks are right, caches have caught up, and nothing
// is due even hours later, though nobody is visited but by a start, a planned look or a
// change that queues the credential: Ready is True if and only if the target holds a token that the
// provider takes; no spool holds what the state lacks, suspended or not; where the good
// seed is back in place of a mistyped one, its grant lives on; and a credential that is
// not suspended is Ready and Refreshed, the provider takes its tokens, and state and
// target agree, and it is looked at again before its token expires; or it is Stalled, for
// a reason that is true. That is checked at the end and, now and then, in the midst of a
// history; and once a person has done what is said there, all are Ready.
//
// # Couriers
//
// In two of three histories each pod has a courier beside its manager, with the real one's
// memory, and in half of these its sealed files. An exchange that it carries is a visit of
// its own: it goes on when the manager has died, on its way to the courier, before it is
// sent, or before its reply has come. The courier dies too, alone or with its manager or its
// pod, does not answer for a while, or loses the connection; and one that is started again remembers
// nothing but what is in its files. What is sent is judged as if the manager had sent it.
// While the courier of a claim lives and has a clear answer, or never received the request,
// the token is not claimed to be sent again by a process of its pod, and at rest nobody says
// that the outcome is unknown. (What another pod's courier knows a manager cannot ask.)
//
// # Every effect once
//
// Beside what is drawn, each kind of visit (a first token, a renewal, a recovery, what a
// user does, and what a person mends) is played undisturbed, which tells its effects, the
// changes that it brings and the reads of its cache. Then it is played again for each of
// them: the process, or the courier, dies just before or just after the effect, in its pod
// or with it; the effect gets another answer; the cache never shows that change; the read
// shows what was there before. The same must hold.
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
// After etcd was put back only the memory of living processes, and how far the cluster had
// come as their pod keeps that (package horizon), tells what was sent since:
// the rules that nothing is lost in silence and that what was refused is not sent again
// (a status of before may be written late) rest from then on, and so does the rule about
// spent tokens for a process that had not seen more than what was put back, or that has
// started since, and for all once such a one has written a state.
//
// # Known limits that are left out
//
// No client can close these; test/model shows most of them too.
//   - A freeze between the fence and the first byte, with a reuse window: time does
//     not pass there. (Without a window the exchange's deadline ends it in time.)
//   - A provider that acts on a request long after its sender gave up, where the
//     reuse in the window voids the first successor, or reuse revokes the family, or the
//     token was proven since and it rotates that.
//   - RetryOnce where reuse revokes the family.
//   - Two leaders that both send a proven token as the server begins to rotate: the one
//     that comes later sends a spent one, or gets, inside the window, another successor in
//     the place of the first.
//   - A backup of the very first exchange, whose state does not know its UID yet.
//   - Two credentials on one seed, one of which has gone over to a new seed that
//     the cache does not show to the other: that one may send the spent seed of
//     the grant that was given up.
//   - A reuse window measured from one replica's clock on another's: with a window
//     the clocks agree. Without one they are up to an hour off.
//   - A refusal that two leaders with clocks an hour apart report: their times do not tell
//     which was first, so what was refused may be sent once more.
//   - A refresh that is asked for may be answered twice, by two leaders one of which has
//     not seen it: whether a token is fresh is not judged while one is asked for.
//   - etcd put back while a request is in flight: versions are given out again, and an
//     update may meet the number that it was made for.
//   - What writeBack wrote, and writeBack turned off: in a restored state that counts as
//     the user's word that the token was not spent since.
//
// Left out because other tests have them: two credentials with writeBack, with a login or
// with a mistyped seed on one Secret; Merge and labels of targets (internal/target); a
// courier's socket (internal/courier) and what it forgets for want of room; a Reusable
// provider whose replies bring other refresh tokens; a reuse window in which a server
// answers with an access token alone.
package history
