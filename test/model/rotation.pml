/* Copyright The TokenKeeper Authors. */
/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The rotation protocol: claim, fence, exchange, commit, takeover and recovery,
 * with two operator processes that both believe that they lead. README.md maps
 * each step to the code and says what is left out; check.sh runs the variants.
 *
 * Variants (of the world):
 *   RETRY    the policy is RetryOnce; without it, Hold
 *   WINDOW   the provider has a reuse window
 *   REVOKES  reuse of a spent token revokes the family; without it, it is refused
 *   SPOOL    what a reply brought outlives a restart of the container
 *   COURIER  an exchange is carried by a courier, a process of each pod that outlives the
 *            operator's; it may die too, alone or with it, or not answer
 *   AUTO     rotation.mode is Auto: the provider gives another token now and then, or
 *            begins to after years, and a token that it has left as it was is proven
 * Mutations (the protocol made worse), and limits (the world made worse), are
 * marked so where they are used.
 */

#ifndef ROUNDS
#define ROUNDS 2	/* commits after which nothing is due any more */
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef PAUSES
#define PAUSES 1	/* freezes of a process, each longer than the holder timeout */
#endif
#ifndef LOSSES
#define LOSSES 2	/* requests or replies of the provider that get lost */
#endif
#ifndef UNSENT
#define UNSENT 1	/* exchanges of which nothing is sent: DNS, dial, TLS */
#endif
#ifndef BUSY
#define BUSY 1		/* replies by which nothing was spent: 429, 503 by a rule */
#endif
#ifndef APILOST
#define APILOST 1	/* writes that the API server takes and whose reply gets lost */
#endif

#ifndef FAULTS
#define FAULTS 3	/* all of these but the freezes together */
#endif

#ifndef SAMES
#define SAMES 3		/* replies that leave the refresh token as it is */
#endif

#ifndef TOKENS
#define TOKENS 8	/* the provider never issues as many */
#endif

/*
 * TRACE: the search follows what a history did (test/history, TestTracesForTheModel), and
 * says of each whether the model can do it too. What is seen of both is
 *   {1, who, token, claimed, by}  the state was written, and holds this now; claimed: 0 no,
 *                                 1 yes, 2 as the one retry
 *   {2, who, token, 0, 0}         the token is sent
 * Everything else is free: faults are not counted, and the invariant is not looked at.
 */
#ifdef TRACE
c_decl {
\#include <stdio.h>
	static const unsigned char events[][5] = {
\#include "events.h"
	};
	static const int begins[] = {
\#include "begins.h"
	};
	static char followed[sizeof(begins) / sizeof(begins[0])];
}
short which;		/* of the histories */
byte at;		/* what of it is next */
bit  stray_event;	/* the model does something else */
byte ev[5];
byte lastToken = 1; byte lastClaimed; byte lastBy;
#define COUNT(fault) skip
#define MAY_FREEZE true
#define MAY_MUTE true
#define MAY_REPEAT(p) (have[p] != sent[p])	/* else it brings nothing new, as often as it is done */
#define LEFT(fault, most) true
inline saw(kind, who, token, claimed, by) {
	ev[0] = kind; ev[1] = who; ev[2] = token; ev[3] = claimed; ev[4] = by;
	if
	:: c_expr { begins[now.which] + now.at < begins[now.which + 1] &&
		events[begins[now.which] + now.at][0] == now.ev[0] && events[begins[now.which] + now.at][1] == now.ev[1] &&
		events[begins[now.which] + now.at][2] == now.ev[2] && events[begins[now.which] + now.at][3] == now.ev[3] &&
		events[begins[now.which] + now.at][4] == now.ev[4] } ->
		at++;
		c_code {
			if (begins[now.which] + now.at == begins[now.which + 1] && !followed[now.which]) {
				followed[now.which] = 1;
				printf("FOLLOWED %d\n", now.which);
			}
		}
	:: else -> stray_event = 1
	fi;
	ev[0] = 0; ev[1] = 0; ev[2] = 0; ev[3] = 0; ev[4] = 0
}
#define CLAIMED_AS (claimID == 0 -> 0 : 1 + claimResend)
inline sawState() {
	if
	:: lastToken != stateToken || lastClaimed != CLAIMED_AS || lastBy != claimBy ->
		lastToken = stateToken; lastClaimed = CLAIMED_AS; lastBy = claimBy;
		saw(1, me, lastToken, lastClaimed, lastBy)
	:: else
	fi
}
never {	/* what goes astray is not followed further, nor a trace that was followed once */
	do :: c_expr { !now.stray_event && !followed[now.which] } od
}
#else
#define COUNT(fault) fault++
#define MAY_FREEZE (pauses < PAUSES)
#define MAY_MUTE (mutes < MUTES)
#define MAY_REPEAT(p) true
#define LEFT(fault, most) (fault < most && FAULT_LEFT)
inline saw(kind, who, token, claimed, by) { skip }
inline sawState() { skip }
#endif

#ifdef RETRY
#define POLICY_RETRY true
#else
#define POLICY_RETRY false
#endif
#ifdef WINDOW
#define HAS_WINDOW true
#else
#define HAS_WINDOW false
#endif

/* ---- The API server. Tokens are numbers, in the order of their issue. ---- */

byte stateToken = 1;	/* refresh_token */
byte stateSeq;		/* sequence */
byte claimID;		/* attempt.id; 0: no attempt */
byte claimBy;		/* attempt.holder */
byte claimToken;	/* attempt.token */
bit  claimResend;	/* attempt.resend */
bit  claimLost;		/* its token is in the ledger of those that are spent, and its successor is nowhere */
#ifdef AUTO
byte proven;		/* proven.token; 0: none */
bit  wasProven[TOKENS];	/* ghost */
#ifdef PROOF_OF_ANY		/* mutation: whatever was proven once counts for each token */
#define PROVEN (proven != 0)
#else
#define PROVEN (proven == stateToken)
#endif
#define FOUND_OUT (wasProven[stateToken] && stateSeq < ROUNDS)
#else
#define PROVEN    false
#define FOUND_OUT false
#endif
byte target = 1;	/* the exchange whose access token the target holds */
byte kept = 1;		/* ghost: the newest token that the state has ever held */

#define FINE    0	/* Refreshed=True */
#define UNKNOWN 1	/* Stalled, OutcomeUnknown */
#define LOST    2	/* Stalled, RotatedTokenLost */
#define REAUTH  3	/* Stalled, ReauthorizationRequired */
#define SILENT  4	/* nothing to say */
byte told = FINE;	/* the credential's conditions */
#ifdef AUTO
byte toldSeq;		/* refreshCount */
#define BEHIND(p) (seen[p] < toldSeq)
#define AHEAD     (stateSeq > toldSeq)
#else
#define BEHIND(p) false
#define AHEAD     false
#endif

#ifdef AUTO
byte sames;
#endif

/* Whether what process p has read of the state still stands: its
   resourceVersion is the current one. */
bit fresh[2];

/* ---- The provider. ---- */

byte current = 1;	/* its current refresh token: the newest that it issued */
byte lastUsed;		/* the newest token that was redeemed */
bit  windowOpen;	/* the last spent token is still honoured */
bit  revoked;

#define SPENT(t)    (t != current)
#define HONOURED(t) (HAS_WINDOW && windowOpen && !revoked && t >= lastUsed)

/* ---- Requests and replies under way. ---- */

#define NOTHING   0
#define TOKEN     1	/* a reply that holds a new refresh token */
#define REFUSED   2	/* invalid_grant */
#define TRYLATER  3	/* a failure by which nothing was spent */
#define GONE      4	/* no reply comes */
#define SAME      5	/* a reply that holds an access token, and no other refresh token */
byte request[2];	/* the token that is on its way */
byte replyKind[2];
byte replyToken[2];
#ifdef LATE		/* limit: the provider acts on a request long after its sender gave up */
byte stray;
bit  strays;
#endif

#ifdef COURIER
/* ---- The couriers: one for each process, in its pod. ---- */

#ifndef MUTES
#define MUTES 1		/* times that a courier does not answer for longer than the holder timeout */
#endif
byte carriedID[2];	/* the claim whose request it has received last */
byte carriedKind[2];	/* what came of it, until that is saved */
byte carriedToken[2];
bit  claimKnown;	/* the courier that the claim names is the one that lives */
bit  foundKnown[2];	/* the same of the attempt that a visit took over */
bit  mute[2];
byte mutes;
#define HAS_REPLY(p) (claimBy == p && carriedID[p] == claimID && carriedKind[p] != NOTHING && carriedKind[p] != GONE)
#ifdef NEVER_OF_ANY		/* mutation: whichever courier says that it never received it */
#define NEVER(p)     (carriedID[p] != claimID)
#else
#ifdef NEVER_OF_ANOTHER_LIFE	/* mutation: a courier that was restarted says so too */
#define NEVER(p)     (claimBy == p && carriedID[p] != claimID)
#else
#define NEVER(p)     (claimBy == p && claimKnown && carriedID[p] != claimID)
#endif
#endif
#define TELLS(p)     (claimID != 0 && !mute[p] && (HAS_REPLY(p) || NEVER(p)))
#define CARRYING(p)  (request[p] != 0)
#define CARRIED(id)  (carriedID[0] == id || carriedID[1] == id)
#define KEPT(p)      (carriedToken[p] == current && carriedKind[p] == TOKEN)
#else
#define HAS_REPLY(p) false
#define NEVER(p)     false
#define TELLS(p)     false
#define CARRYING(p)  false
#define CARRIED(id)  false
#define KEPT(p)      false
#endif

/* ---- The processes. ---- */

#define IDLE     0
#define DECIDED  1	/* state read, a call decided, claim not written yet */
#define CLAIMED  2	/* the claim stands; next is the fence */
#define SENDING  3	/* limit SENDGAP: past the fence, nothing sent yet */
#define ASKING   4	/* the request is out */
#define SPOOLING 5	/* a reply in hand, nowhere else */
#define COMMIT   6
#define WITHDRAW 7
#define PUBLISH  8
#define STATUS   9
#define DEAD    10
#define DISPROVING 11	/* a proven token was refused */
byte step[2];
bit  paused[2];
bit  late[2];		/* frozen since its claim was sent */
byte have[2];		/* the refresh token of the reply, not yet saved */
byte spool[2];		/* the same, in the spool file */
byte sent[2];		/* the token of this visit */
byte mine[2];		/* the ID of this visit's claim */
bit  resend[2];		/* this visit's claim is the one retry */
byte foundID[2];	/* the attempt that it took over */
byte foundBy[2];
byte why[2];		/* why a claim is withdrawn: NOTHING was sent, REFUSED, TRYLATER */
byte say[2];
byte published[2];
#ifdef AUTO
bit  unclaimed[2];	/* this visit sends a proven token */
bit  proves[2];		/* the reply to this visit's claim proves its token */
byte seen[2];		/* the sequence that this visit has seen of the state */
#define UNCLAIMED(p) unclaimed[p]
#define WAS_PROVEN(t) wasProven[t]
#else
#define WAS_PROVEN(t) false
#define UNCLAIMED(p) false
#endif

byte crashes; byte pauses; byte losses; byte unsent; byte busy; byte apilost;

/* Faults beside the freeze, of all kinds together. */
#define FAULT_LEFT (crashes + losses + unsent + busy + apilost < FAULTS)

/* Ghosts, for "one resend at most". */
bit  doubt[TOKENS];	/* it was sent, and no reply said that it was not spent */
byte resends[TOKENS];	/* how often it was sent again in spite of that */

/*
 * Time. A holder counts as gone after 45 s on the observer's clock, which is
 * longer than a fence and an exchange take: so the timeout can only have passed
 * where the holder is dead or was frozen, or is past its exchange (idle with its
 * claim left, or in the retries of a commit or withdrawal, which have no limit).
 * What was sent has arrived by then, or never does.
 */
#define AT_WORK(p) (step[p] == CLAIMED || step[p] == SENDING || step[p] == ASKING)
#ifdef LATE
#define ARRIVED(p) true
#else
#define ARRIVED(p) (request[p] == 0)
#endif
#define HOLDER_GONE(p) (ARRIVED(p) && (paused[p] || late[p] || !AT_WORK(p)))

/* State.Recover on the attempt that stands. */
#ifdef RESEND_ALWAYS		/* mutation: whatever was left is sent again */
#define MUST_ASK_A_PERSON false
#define POLICY_ALLOWS     true
#else
#define MUST_ASK_A_PERSON (claimResend || claimToken != stateToken)
#define POLICY_ALLOWS     POLICY_RETRY
#endif
/* The claim stands on a token whose successor another exchange has brought: without a window
   the provider gives no second one, and what was never received has brought none. */
#define OVERTAKEN(p) (claimID != 0 && claimToken != stateToken && !(TELLS(p) && HAS_REPLY(p)) && (!HAS_WINDOW || TELLS(p)))
/* By the observer's reckoning, which counts from before the token was sent. */
#define MAY_BE_INSIDE (HAS_WINDOW && (!SPENT(claimToken) || windowOpen))

/* The fence. */
#ifdef NO_FENCE			/* mutation */
#define TOO_LATE(p) false
#else
#define TOO_LATE(p) late[p]
#endif
#ifdef WINDOW_SEEN_ONCE		/* before the repair: the window is not looked at again */
#define WINDOW_MISSED(p) false
#else
#define WINDOW_MISSED(p) (resend[p] && !POLICY_ALLOWS && !(HAS_WINDOW && (!SPENT(sent[p]) || windowOpen)))
#endif

/* A retry that is on its way: the fence leaves it as much of the window as it
   needs to arrive. */
#ifdef LATE
#define UNDER_WAY(p) false
#else
#define UNDER_WAY(p) (request[p] != 0 && resend[p])
#endif

/* Whether a visit has anything to do. */
#define STALLED (told == UNKNOWN || told == LOST)
#define NOBODY_AT_IT(p) (claimID == 0 || OVERTAKEN(p) && (TELLS(p) || claimBy == p || HOLDER_GONE(claimBy)))
#define TO_RECOVER(p) (claimID != 0 && !CARRYING(p) && !OVERTAKEN(p) && (TELLS(p) || (claimBy == p || HOLDER_GONE(claimBy)) && \
	!(STALLED && (MUST_ASK_A_PERSON || !POLICY_ALLOWS))))
#ifdef STALL_IN_STATUS		/* before the repair: a stall lasts although its attempt has ended */
#define TO_RENEW(p) (claimID == 0 && told == FINE && (stateSeq < ROUNDS || target != stateToken))
#else
#ifdef LOSS_IN_STATUS		/* before the repair: that a token is lost is known to the status alone */
#define TO_RENEW(p) (claimID == 0 && (told == FINE || told == UNKNOWN) && (told == UNKNOWN || stateSeq < ROUNDS || target != stateToken))
#else
#define TO_RENEW(p) (NOBODY_AT_IT(p) && (told != REAUTH || AHEAD) && (STALLED || AHEAD || stateSeq < ROUNDS || target != stateToken))
#endif
#endif

/* An update of the state Secret: what others have read is stale. */
inline updated() { fresh[0] = 0; fresh[1] = 0; sawState() }

inline dropClaim() { claimID = 0; claimBy = 0; claimToken = 0; claimResend = 0; claimLost = 0 }

/* An ID that nobody remembers: as good as a new one, and fewer states. */
#define IN_USE(id) (CARRIED(id) || claimID == id || mine[0] == id || mine[1] == id || foundID[0] == id || foundID[1] == id)
inline unusedID(id) {
	if
	:: !IN_USE(1) -> id = 1
	:: IN_USE(1) && !IN_USE(2) -> id = 2
	:: IN_USE(1) && IN_USE(2) && !IN_USE(3) -> id = 3
	:: IN_USE(1) && IN_USE(2) && IN_USE(3) && !IN_USE(4) -> id = 4
#ifdef COURIER
	:: IN_USE(1) && IN_USE(2) && IN_USE(3) && IN_USE(4) && !IN_USE(5) -> id = 5
	:: IN_USE(1) && IN_USE(2) && IN_USE(3) && IN_USE(4) && IN_USE(5) && !IN_USE(6) -> id = 6
	:: else -> id = 7
#else
	:: else -> id = 5
#endif
	fi
}

/* A visit ends. */
inline rest() {
	step[me] = IDLE; fresh[me] = 0; late[me] = 0; have[me] = 0; sent[me] = 0; mine[me] = 0;
#ifdef AUTO
	unclaimed[me] = 0; proves[me] = 0; seen[me] = 0;
#endif
#ifdef COURIER
	foundKnown[me] = 0;
#endif
	resend[me] = 0; foundID[me] = 0; foundBy[me] = 0; why[me] = NOTHING; say[me] = SILENT; published[me] = 0
}

/* The request leaves. */
inline send() {
	/* No spent token is sent outside a declared window or the one recorded retry, or
	   without knowing, where it was proven (and, by who does not know of that, once
	   more after it was refused). */
	assert(!SPENT(sent[me]) || HONOURED(sent[me]) || (POLICY_RETRY && resend[me]) || WAS_PROVEN(sent[me]));
	if
	:: UNCLAIMED(me)	/* as often as need be */
	:: !UNCLAIMED(me) && doubt[sent[me]] -> resends[sent[me]]++;
		assert(resends[sent[me]] <= 1)	/* at most one resend */
	:: else -> doubt[sent[me]] = 1
	fi;
	saw(2, me, sent[me], 0, 0);
	request[me] = sent[me];
#ifdef COURIER
	carriedID[me] = mine[me]; carriedKind[me] = NOTHING; carriedToken[me] = 0;
#endif
	step[me] = ASKING;
	printf("%d: sends token %d\n", me, sent[me])
}

/* The provider redeems token t. */
inline redeem(t, kind, new) {
	if
#ifdef AUTO
	:: !revoked && t == current && sames < SAMES -> sames++; kind = SAME; new = t
#endif
	:: !revoked && t == current ->
		lastUsed = t; current++; windowOpen = HAS_WINDOW; kind = TOKEN; new = current
	:: !revoked && t != current && HONOURED(t) ->
		if
		:: true ->	/* the same successor again */
			kind = TOKEN; new = current
#ifndef SAME_SUCCESSOR
		:: true ->	/* another one, and the first is spent */
			current++; kind = TOKEN; new = current
#endif
		fi
	:: else ->
		kind = REFUSED; new = 0;
#ifdef REVOKES
		revoked = 1
#endif
	fi;
	assert(current < TOKENS)
}

proctype Operator(byte me)
{
	byte kind, new;
	rest();
end:	do

	/* Refresher.Recover, State.Recover, decision.Decide: what a visit finds. */
	:: atomic { step[me] == IDLE && !paused[me] && !CARRYING(me) && (TO_RECOVER(me) || TO_RENEW(me)) ->
		fresh[me] = 1; sent[me] = stateToken;
#ifdef AUTO
		seen[me] = stateSeq;
#endif
		if
#ifdef COURIER
		:: TELLS(me) && HAS_REPLY(me) ->	/* Refresher.resolve: as if it had just come */
			mine[me] = claimID; sent[me] = claimToken; resend[me] = claimResend; foundID[me] = claimID; foundBy[me] = claimBy;
			replyKind[me] = carriedKind[me]; replyToken[me] = carriedToken[me]; step[me] = ASKING;
			printf("%d: its courier has the reply to the claim %d\n", me, claimID)
		:: TELLS(me) && !HAS_REPLY(me) && NEVER(me) && !claimResend && claimToken == stateToken ->
			step[me] = DECIDED;
			printf("%d: its courier never received the request of the claim %d\n", me, claimID)
		:: TELLS(me) && !HAS_REPLY(me) && NEVER(me) && claimResend && claimToken == stateToken ->
			resend[me] = 1; foundID[me] = claimID; foundBy[me] = claimBy; step[me] = DECIDED;
			printf("%d: its courier never received the retry of the claim %d\n", me, claimID)
#endif
		:: claimID != 0 && !TELLS(me) && !MUST_ASK_A_PERSON && (POLICY_ALLOWS || MAY_BE_INSIDE) ->
			resend[me] = 1; foundID[me] = claimID; foundBy[me] = claimBy; step[me] = DECIDED;
#ifdef COURIER
			foundKnown[me] = claimKnown && !claimResend;
#endif
			printf("%d: finds the claim %d on token %d: to be sent again\n", me, claimID, claimToken)
		:: claimID != 0 && !TELLS(me) && !OVERTAKEN(me) && (MUST_ASK_A_PERSON || !POLICY_ALLOWS) ->
			say[me] = UNKNOWN; step[me] = STATUS;
			printf("%d: finds the claim %d on token %d: a person must decide\n", me, claimID, claimToken)
		:: (claimID == 0 && !PROVEN || OVERTAKEN(me)) && stateSeq < ROUNDS ->
			step[me] = DECIDED;
			printf("%d: token %d is due\n", me, stateToken)
#ifdef AUTO
		:: claimID == 0 && stateSeq < ROUNDS && PROVEN ->
			unclaimed[me] = (proven == stateToken); step[me] = SENDING;
			printf("%d: token %d is due, and proven\n", me, stateToken)
#endif
		:: (claimID == 0 || OVERTAKEN(me)) && stateSeq >= ROUNDS ->
			published[me] = stateToken; say[me] = FINE; step[me] = PUBLISH
		fi }

	/* Store.Save(state.Claim(attempt)) at the resourceVersion that was read. */
	:: atomic { step[me] == DECIDED && !paused[me] ->
#ifdef NO_CLAIM			/* mutation */
		step[me] = CLAIMED
#else
		if
		:: !fresh[me] -> rest(); printf("%d: conflict on the claim\n", me)
		:: fresh[me] ->
			unusedID(mine[me]); claimID = mine[me]; claimBy = me; claimToken = sent[me]; claimResend = resend[me]; claimLost = 0;
#ifdef COURIER
			claimKnown = 1;
#endif
			updated(); step[me] = CLAIMED;
			printf("%d: claims token %d as %d\n", me, sent[me], claimID);
			if
			:: true
			:: LEFT(apilost, APILOST) -> COUNT(apilost); rest();
				printf("%d: never hears that it did\n", me)
			fi
		fi
#endif
		}

	/* The fence, and then the request. */
	:: atomic { step[me] == CLAIMED && !paused[me] ->
		if
		:: TOO_LATE(me) || WINDOW_MISSED(me) -> why[me] = NOTHING; step[me] = WITHDRAW;
			printf("%d: is too late to send\n", me)
		:: else ->
			if
			:: true -> step[me] = SENDING
			:: LEFT(unsent, UNSENT) -> COUNT(unsent); why[me] = NOTHING; step[me] = WITHDRAW;
				printf("%d: nothing could be sent\n", me)
			fi
		fi;
#ifndef SENDGAP			/* limit: frozen between the fence and the first byte */
		if
		:: step[me] == SENDING -> send()
		:: else
		fi
#endif
		}
#if defined(SENDGAP) || defined(AUTO)	/* nothing is claimed, so nothing is fenced */
	:: atomic { step[me] == SENDING && !paused[me] -> send() }
#endif

	/* call.exchange returns. */
	:: atomic { step[me] == ASKING && !paused[me] && replyKind[me] != NOTHING ->
		kind = replyKind[me]; new = replyToken[me]; replyKind[me] = NOTHING; replyToken[me] = 0;
		if	/* a frozen process may find its deadline passed */
		:: true
		:: late[me] -> kind = GONE; new = 0
		fi;
		late[me] = 0;
		if
		:: kind == TOKEN ->
			have[me] = new; say[me] = FINE; published[me] = new;
			printf("%d: is given token %d\n", me, new);
#ifdef COMMIT_LAST		/* mutation: the target before the state */
			step[me] = PUBLISH
#else
			step[me] = SPOOLING
#endif
#ifdef AUTO
		:: kind == SAME && UNCLAIMED(me) ->	/* nothing new to save */
			say[me] = FINE; published[me] = sent[me]; step[me] = PUBLISH;
			printf("%d: token %d works still\n", me, sent[me])
		:: kind == SAME && !UNCLAIMED(me) ->
			have[me] = new; say[me] = FINE; published[me] = new; proves[me] = !resend[me]; doubt[sent[me]] = 0; resends[sent[me]] = 0; step[me] = SPOOLING;
			printf("%d: token %d works, and stays as it is\n", me, sent[me])
		:: kind == REFUSED && UNCLAIMED(me) ->
			say[me] = REAUTH; step[me] = DISPROVING;
			printf("%d: is refused a proven token\n", me)
		:: kind == TRYLATER && UNCLAIMED(me) ->
			rest(); printf("%d: is told to try later\n", me)
#endif
		:: kind == REFUSED && !UNCLAIMED(me) ->
			why[me] = REFUSED; say[me] = (resend[me] -> LOST : REAUTH); step[me] = WITHDRAW;
#ifdef AUTO
			if
			:: !resend[me] -> doubt[sent[me]] = 0
			:: else
			fi;
#endif
			printf("%d: is refused\n", me)
		:: kind == TRYLATER && !UNCLAIMED(me) ->
			why[me] = TRYLATER; step[me] = WITHDRAW;
			if
			:: !resend[me] -> doubt[sent[me]] = 0
			:: else
			fi;
			printf("%d: is told to try later\n", me)
		:: kind == GONE ->	/* claim.settle: the claim stays, the next visit decides */
			rest(); printf("%d: gets no reply\n", me)
		fi; kind = 0; new = 0 }
#ifdef LATE
	:: atomic { step[me] == ASKING && !paused[me] && request[me] != 0 && !strays ->
		stray = request[me]; request[me] = 0; strays = 1; rest();
		printf("%d: stops waiting\n", me) }
#endif

	:: atomic { step[me] == SPOOLING && !paused[me] ->
#ifdef SPOOL
		spool[me] = have[me];
#endif
		step[me] = COMMIT }

	/* Store.Commit: reload and save until it succeeds, hence one step. */
	:: atomic { step[me] == COMMIT && !paused[me] ->
		if
#ifdef COMMIT_CLEARS_ANY	/* before the repair: whoever's claim stands, it is removed */
		:: stateToken == sent[me] ->
			stateToken = have[me]; stateSeq++; dropClaim();
#else
#ifndef NO_CLAIM
		:: claimID == mine[me] && mine[me] != 0 ->
			stateToken = have[me]; stateSeq++; dropClaim();
			updated(); step[me] = PUBLISH;
			printf("%d: commits token %d\n", me, have[me])
#ifdef AUTO
		:: mine[me] != 0 && claimID != mine[me] && have[me] == sent[me] && wasProven[sent[me]] ->
			step[me] = PUBLISH;	/* it was applied, and nobody heard of it */
			printf("%d: finds token %d proven\n", me, have[me])
		:: (mine[me] == 0 || claimID != mine[me]) && stateToken == sent[me] && !(mine[me] != 0 && have[me] == sent[me] && wasProven[sent[me]]) ->
#else
		:: claimID != mine[me] && stateToken == sent[me] ->	/* another's claim stays */
#endif
#else
		:: stateToken == sent[me] ->
#endif
			stateToken = have[me]; stateSeq++;
			if
			:: claimLost && have[me] != sent[me] -> dropClaim()	/* here is the successor: the loss is none */
			:: else
			fi;
#endif
			updated(); step[me] = PUBLISH;
			printf("%d: commits token %d\n", me, have[me])
		:: else ->
			spool[me] = 0; rest();
			printf("%d: what it holds is superseded\n", me)
		fi;
#ifdef AUTO
		if
		:: step[me] == PUBLISH -> seen[me] = stateSeq;
			if
			:: proves[me] && stateToken == sent[me] -> proven = sent[me]; wasProven[proven] = 1
			:: else
			fi
		:: else
		fi;
#endif
		if
		:: step[me] == PUBLISH && MAY_REPEAT(me) && LEFT(apilost, APILOST) -> COUNT(apilost); step[me] = COMMIT
		:: step[me] == PUBLISH -> spool[me] = 0; have[me] = 0;
#ifdef COURIER
			if	/* Courier.Saved */
			:: carriedID[me] == mine[me] -> carriedKind[me] = NOTHING; carriedToken[me] = 0
			:: else
			fi
#endif
		:: else
		fi;
		if
		:: stateToken > kept -> kept = stateToken
		:: else
		fi;
#ifdef COMMIT_LAST
		if
		:: step[me] == PUBLISH -> step[me] = STATUS
		:: else
		fi
#endif
		}

#ifdef AUTO
	/* renewal.giveUpProven: a Store.Commit; where the state has moved on nothing is said. */
	:: atomic { step[me] == DISPROVING && !paused[me] ->
		if
#ifdef REFUSAL_UNWRITTEN	/* mutation: whatever the state holds by now, and without its sequence */
		:: true -> seen[me] = 255; step[me] = STATUS
#endif
		:: stateToken == sent[me] && claimID == 0 ->
			proven = 0; seen[me] = stateSeq; updated(); step[me] = STATUS;
			printf("%d: token %d is proven no more\n", me, sent[me])
		:: else -> rest(); printf("%d: another process has a successor\n", me)
		fi }
#endif

	/* claim.withdraw: a Store.Commit too. */
	:: atomic { step[me] == WITHDRAW && !paused[me] ->
		new = (claimID == mine[me] && claimID != 0);	/* it is this visit's to end */
		if
		:: !new ->
#ifdef WITHDRAW_ANY		/* before the repair: another's claim on the same token is removed */
			if
			:: claimID != 0 && stateToken == sent[me] -> dropClaim(); updated()
			:: else
			fi;
#endif
			skip
		:: else ->
			if
			:: stateToken != sent[me] -> dropClaim()	/* the token that was in doubt is replaced */
			:: stateToken == sent[me] && !resend[me] -> dropClaim()
#ifdef DOUBT_FORGOTTEN		/* before the repair: a retry that did not take place clears the token */
			:: stateToken == sent[me] && resend[me] && why[me] != REFUSED -> dropClaim()
#else
			:: stateToken == sent[me] && resend[me] && why[me] == NOTHING ->
				claimID = foundID[me]; claimBy = foundBy[me]; claimResend = 0;
#ifdef COURIER
				claimKnown = foundKnown[me]	/* its courier may say still that it never received it */
#endif
			:: stateToken == sent[me] && resend[me] && why[me] == TRYLATER	/* the retry is used up */
#endif
#ifdef LOSS_IN_STATUS
			:: stateToken == sent[me] && resend[me] && why[me] == REFUSED -> dropClaim()
#else
			:: stateToken == sent[me] && resend[me] && why[me] == REFUSED -> claimLost = 1	/* stays, for whoever comes */
#endif
			fi;
#ifdef AUTO
			seen[me] = stateSeq;
#endif
			updated()
		fi;
		printf("%d: withdraws; the claim that stands is %d\n", me, claimID);
		if
		:: LEFT(apilost, APILOST) -> COUNT(apilost)	/* and tries again */
		:: true ->
			if	/* whose claim was taken over says nothing: another is at it */
			:: say[me] == SILENT || stateToken != sent[me] || !new -> rest()
			:: else -> step[me] = STATUS
			fi
		fi; new = 0 }

	/* Publisher.Publish */
	:: atomic { step[me] == PUBLISH && !paused[me] ->
		target = published[me];
#ifdef COMMIT_LAST
		if
		:: have[me] != 0 -> step[me] = COMMIT
		:: else -> step[me] = STATUS
		fi
#else
		step[me] = STATUS
#endif
		}

	/* conclude: the last writer wins. */
	:: atomic { step[me] == STATUS && !paused[me] ->
		if
		:: BEHIND(me)	/* status.isBehind: theirs stays */
		:: else -> told = say[me];
#ifdef AUTO
			toldSeq = seen[me];
#endif
			printf("%d: tells %d (0 fine, 1 OutcomeUnknown, 2 RotatedTokenLost, 3 ReauthorizationRequired)\n", me, told)
		fi;
		rest() }

	/* SIGKILL, at any point; the container is restarted. */
	:: atomic { step[me] != DEAD && step[me] != IDLE && LEFT(crashes, CRASHES) ->
		COUNT(crashes);
#ifdef SPOOL
		if
		:: spool[me] != 0 ->	/* the file names the attempt and the token sent */
			kind = mine[me]; new = sent[me];
			rest(); mine[me] = kind; sent[me] = new; kind = 0; new = 0
		:: else -> rest()
		fi;
#else
		rest();
#endif
		step[me] = DEAD; paused[me] = 0; replyKind[me] = NOTHING; replyToken[me] = 0;
#ifdef LATE
		if
		:: request[me] != 0 && !strays -> stray = request[me]; request[me] = 0; strays = 1
		:: else
		fi;
#endif
		printf("%d: dies\n", me) }
#ifdef COURIER
	/* The courier dies: what it carries is acted on or not, and its reply goes nowhere. */
	:: atomic { LEFT(crashes, CRASHES) ->
		COUNT(crashes);
		if
		:: request[me] != 0 -> redeem(request[me], kind, new)
		:: true
		fi;
		request[me] = 0; kind = 0; new = 0;
		if
		:: step[me] == ASKING && replyKind[me] == NOTHING -> replyKind[me] = GONE; replyToken[me] = 0
		:: else
		fi;
		if
		:: claimBy == me -> claimKnown = 0
		:: else
		fi;
		foundKnown[me] = foundKnown[me] && foundBy[me] != me; foundKnown[1 - me] = foundKnown[1 - me] && foundBy[1 - me] != me;
#ifndef SPOOL			/* else the sealed file is found by the next one */
		carriedKind[me] = NOTHING; carriedToken[me] = 0;
#endif
#if defined(NEVER_OF_ANY) || defined(NEVER_OF_ANOTHER_LIFE)
		carriedID[me] = 0;
#endif
		printf("%d: its courier dies\n", me) }
	:: atomic { !mute[me] && MAY_MUTE -> COUNT(mutes); mute[me] = 1; printf("%d: its courier does not answer\n", me) }
	:: atomic { mute[me] -> mute[me] = 0 }
	:: atomic { step[me] == DEAD ->
#else
	:: atomic { step[me] == DEAD && request[me] == 0 ->
#endif
		printf("%d: is restarted\n", me);
		if
		:: spool[me] != 0 -> have[me] = spool[me]; published[me] = spool[me]; say[me] = FINE; step[me] = COMMIT
		:: else -> rest()
		fi }

	/* SIGSTOP for longer than the holder timeout, then SIGCONT. */
	:: atomic { !paused[me] && step[me] != DEAD && step[me] != IDLE && MAY_FREEZE ->
		COUNT(pauses); paused[me] = 1;
		if
		:: AT_WORK(me) -> late[me] = 1
		:: else
		fi;
		printf("%d: is frozen\n", me) }
	:: atomic { paused[me] -> paused[me] = 0; printf("%d: goes on\n", me) }
	od
}

/* The provider, the network before and behind it, and its window. */
proctype Provider()
{
	byte p, kind, new;
end:	do
	:: atomic { request[0] != 0 || request[1] != 0 ->
		if
		:: request[0] != 0 -> p = 0
		:: request[1] != 0 -> p = 1
		fi;
		if
		:: redeem(request[p], kind, new)
		:: LEFT(losses, LOSSES) -> COUNT(losses); kind = GONE; new = 0;
			printf("provider: the request of %d is lost\n", p)
		:: LEFT(losses, LOSSES) -> COUNT(losses); redeem(request[p], kind, new); kind = GONE; new = 0;
			printf("provider: acts on the request of %d, the reply is lost; its token is %d\n", p, current)
		:: LEFT(busy, BUSY) -> COUNT(busy); kind = TRYLATER; new = 0
		fi;
		request[p] = 0;
#ifdef COURIER
		carriedKind[p] = kind; carriedToken[p] = new;
#endif
		if
		:: step[p] == ASKING -> replyKind[p] = kind; replyToken[p] = new
		:: else		/* nobody is there to read it */
		fi;
		p = 0; kind = 0; new = 0 }

	:: atomic { windowOpen && !UNDER_WAY(0) && !UNDER_WAY(1) ->
		windowOpen = 0; printf("provider: the window closes\n") }
#ifdef LATE
	:: atomic { stray != 0 -> redeem(stray, kind, new); stray = 0; kind = 0; new = 0;
		printf("provider: acts on a request of long ago; its token is %d\n", current) }
#endif
	od
}

/*
 * The invariant. The provider's current refresh token is in the state, the spool
 * or a live process, or a condition says that it is not. Between a loss and the
 * next visit, the claim that stands is what makes that visit say so.
 */
#define IN_PROCESS(p) (have[p] == current || (step[p] == ASKING && replyToken[p] == current))
#define SAFE_TOKEN (!revoked && (KEPT(0) || KEPT(1) || stateToken == current || spool[0] == current || spool[1] == current || \
	IN_PROCESS(0) || IN_PROCESS(1)))
#define NOT_SILENT (claimID != 0 || told != FINE || FOUND_OUT)	/* or the next renewal finds it out */

/*
 * And once all have come to rest (every process restarted and thawed, nothing
 * under way, nothing that a visit would do) the conditions tell the truth.
 */
#define GOOD_END \
	((told == FINE && !revoked && stateToken == current && (claimID == 0 || OVERTAKEN(0) || OVERTAKEN(1)) && target == stateToken && stateSeq >= ROUNDS) || \
	 (told == REAUTH && (revoked || stateToken != current)) || \
	 (STALLED && (claimID != 0 || (LOSS_AS_CODED && told == LOST))))
#ifdef LOSS_IN_STATUS
#define LOSS_AS_CODED true
#else
#define LOSS_AS_CODED false
#endif

active proctype Monitor()
{
	atomic {
#ifdef TRACE
		select(which : 0 .. TRACE - 1);
#endif
		run Operator(0);
#ifndef ALONE			/* world: there is one process at a time */
		run Operator(1);
#endif
		run Provider() };
#ifndef TRACE
	if
	:: atomic { !(SAFE_TOKEN || NOT_SILENT) -> printf("the token is lost in silence\n"); assert(false) }
	:: atomic { timeout ->
		printf("at rest: told %d, state %d, provider %d, claim %d, target %d\n", told, stateToken, current, claimID, target);
		assert(GOOD_END);
		assert(target <= kept)	/* no pod has seen a token of an exchange that was never saved */ }
	fi
#endif
}
