// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

// Method is a way to find out what is wrong with TokenKeeper.
type Method struct {
	// Name of the method, unique.
	Name string
	// Where it is, as Markdown.
	Where string
	// Shows says what it shows, and CannotShow what it does not.
	Shows, CannotShow string
	// Bugs are those that it has found.
	Bugs []Bug
}

// Bug is a mistake of TokenKeeper that was found and mended.
type Bug struct {
	// Met is what a user would have met, or has.
	Met string
	// Test is the name of the test that fails if it comes back.
	Test string
}

// Methods are the ways by which bugs are looked for, in the order of the documentation.
// A bug belongs to the method that found it first, by the history of the repository.
func Methods() []Method {
	return []Method{
		{"tables and properties", "next to the code, `make test`",
			"What one part makes of its inputs, row by row, and, for inputs that are drawn at random, what holds for all of them.",
			"What the parts do together, and inputs that nobody thought of. API servers, providers and clocks are doubles there.", byTables()},
		{"random histories", "[test/history](../test/history), `make fuzz-rotation`",
			"That the invariant holds after every step of histories that mix the faults, with the real reconciler. One that breaks it is told with its seed. " +
				"That the histories would notice is shown by mutations: a part of the protocol is taken out, and a history must find it.",
			"A history that was not drawn: `make test` plays a hundred. API server and provider are in memory, so nothing is shown of schemas, admission, sockets and disks; " +
				"the package comment lists what is left out.", byHistories()},
		{"every effect once", "`TestEveryEffectOnce` in [test/history](../test/history)",
			"That each kind of visit is got over wherever it ends: it is played again for each of its effects, before and after which the process dies, and which gets each answer but its own (a fourth of those with `make test`); each change is hidden from the cache once, and each read of it is stale once. " +
				"And with two leaders (`TestEveryTakeoverOnce`): each change of the one, which is frozen there, against each of the other, which takes over, and dies there or does not.",
			"Two of these in one visit.", byEveryEffect()},
		{"the model", "[test/model](../test/model/README.md), `make model`",
			"*Every* history of two processes within its bounds, and that each part of the protocol is needed.",
			"That the code does what the model does: traces of histories, with spools and couriers, are followed by it (`make model-traces`), and a table compares the steps. Time is not counted, and faults have a number.", byModel()},
		{"fuzz targets", "`Fuzz...` next to the code, `make fuzz`",
			"That no bytes of strangers stop a reader, are shown where a secret may be in them, or are kept so that they cannot be read again.",
			"That what was read is what was meant. Inputs that were not tried: `make test` plays the corpus alone.", byFuzzing()},
		{"the real process", "[test/crash](../test/crash)",
			"What the manager and its courier, as they are built, leave behind when they are killed, frozen or terminated at an exact moment, before an API server whose etcd can be put back.",
			"A moment that is not between two requests, but for the deaths at random. A machine that fails, its disk and its kernel.", byCrashes()},
		{"a real API server", "[test/integration](../test/integration), [test/api](../test/api)",
			"What is promised for each fault in the tables below. Faults come from a provider simulator with real rotation (a refresh token works once; each reuse is counted, and revokes the grant) and from in front of the API server.",
			"What a kubelet, garbage collection or other controllers do: none of them runs. What providers do that the simulator does not.", byIntegration()},
		{"attacks", "[test/security](../test/security), [the threat model](security.md), `make bench BENCH=hostile`",
			"That what a tenant, a provider or an onlooker tries brings nothing, and that the neighbours' tokens are on time meanwhile.",
			"An attack that nobody thought of.", byAttacks()},
		{"the onlooker", "[test/onlooker](../test/onlooker), `TestNoSecretIsShownAnywhere`",
			"That no secret of any integration test is in an object, a log, an event or a metric, in clear, escaped or as a digest that can be guessed from.",
			"A spelling that it does not know, and what sizes and times tell.", byOnlookers()},
		{"servers that others wrote", "[test/oauth](../test/oauth)",
			"That refreshes, refusals and logins go well with authorization servers that are not ours.",
			"What vendors' own servers do: no test calls one. Their files rest on what they document.", byServers()},
		{"a real node", "[test/e2e](../test/e2e), [how, and the figures](e2e.md)",
			"That the manager as it is shipped, as a pod among pods that mount its Secrets, needs no more than its roles and limits, and survives restarts of the cluster's parts.",
			"Several nodes, a cloud's network and disks, and weeks of running.", byNode()},
		{"the upgrade", "[test/upgrade](../test/upgrade)",
			"That the objects of an installation from before v0.1 are as good after the upgrade, and that CRDs take what they took.",
			"What an installation holds that its testdata lacks, and a way back.", nil},
		{"benchmarks", "[test/bench](../test/bench), [the figures](benchmarks.md)",
			"Who waits, for how long and why, with thousands of credentials; memory and requests.",
			"Another machine's figures. They run by hand, so that what is slower is found when somebody looks.", byBenchmarks()},
		{"alerts under Prometheus's rules", "[test/alerts](../test/alerts)",
			"When each alert fires, and when it does not.",
			"That a metric says what is so, and that anybody is called.", byAlerts()},
		{"reading", "reviews of the code",
			"What no test asks for.",
			"That nothing was overlooked.", byReading()},
	}
}

func byTables() []Bug {
	return []Bug{
		{"a token of unknown outcome was sent again and again inside a reuse window", "TestRecover"},
		{"a commit that was applied, and whose answer was lost, was reported as that of another process", "TestACommitThatWasAppliedWithoutAnAnswerIsOnesOwn"},
		{"a target whose label was repaired got an older token back, where another replica had published a newer one meanwhile", "TestMendDoesNotPutAnOlderTokenBack"},
		{"a refresh token of unknown outcome could be sent again after a login that brought no other", "TestALoginTakesThePlaceOfAToken"},
		{"a token that the provider had refused was sent again, where the refusal could not be saved", "TestARefusalThatCannotBeSavedIsToldAsWell"},
		{"the event of an adopted seed was lost where the refresh had to pause behind it", "TestAPauseLosesNoEvent"},
		{"a process that was ending waited for a shared read of an API server that did not answer", "TestSecretsShareARead"},
		{"a seed of white space alone counted as there: the credential had neither a token nor a problem", "TestGatherSaysWhatIsWrong"},
		{"what stood in the way went from `Ready` at the next look and came back with the next report", "TestProperties"},
		{"`Ready` went back to Pending at each wait for a slot", "TestPause"},
		{"one refusal of the API server ended the pause that a provider had asked for: it was called again at once", "TestNextRefreshTime"},
		{"a suspended credential was Stalled for inputs that nobody needs", "TestConditions"},
		{"Refreshed, ShortLifetime and others were announced again at each renewal", "TestEvents"},
		{"a lifetime that could not be read was told by an event alone, which is gone an hour later", "TestARemarkStays"},
		{"a status that somebody had edited stopped the reconcile with a panic", "TestAStatusThatSomebodyEdited"},
		{"a long problem hid the second one", "TestMessagesAreCut"},
		{"all metrics were gone while a cache was not synced", "TestCredentialsAreReadFromTheCache"},
		{"a busy API server was said to lack a permission", "TestAPIServer"},
		{"two namespaces whose calls time out took the slots of a host from a third, which it serves", "TestTwoNamespacesTogetherDoNotHarmAThird"},
		{"a credential that was pointed to another host held a slot at the first for good", "TestASlotThatLapsesDoesNotGoToWhoAsksAnotherHost"},
	}
}

func byHistories() []Bug {
	return []Bug{
		// The first operator.
		{"with clocks that differ, a token of unknown outcome was sent again with `Hold`", "TestRecover"},
		{"a retry whose claim seemed to fail made a doubtful token look unspent: it was sent outside the window, or a third time", "TestRecover"},
		{"a target that could not be written counted as written: pods kept the old token, and `Ready` told the new one's expiry", "TestARepairThatIsRefusedIsToldWhenItIsMade"},
		{"a refresh that was asked for on a duplicate was never answered: it claimed and withdrew without end", "TestOneOfTwoCredentialsOnATokenSendsIt"},
		{"a backup from before a seed was spent made it look new, and it was sent again", "TestSeed"},
		{"a rollout under load left a claim behind, and a person was asked about a token that was never sent", "TestARotatedTokenIsCommitted"},
		{"a credential waited for good, and in a loop, for another one's claim on the same token", "TestATokenThatIsContendedForLongIsTakenForSent"},
		{"with a cache that lagged, what a success had cleared stayed in the status", "TestCurrentIsAheadOfTheCache"},
		{"a process that only looked, on an old cache, wrote an old problem over a status that another had cured", "TestRebase"},
		{"a process that was frozen wrote that its commit is stuck over what the one that took over had found", "TestRebase"},
		{"a process whose claim had been taken over told of its own exchange: a credential that works stayed stalled", "TestAReplyThatHasNoPlaceAnyMoreIsNotKept"},
		{"a credential that had gone over to a new seed stayed stalled as a duplicate", "TestIsOutdated"},
		{"a credential stayed stalled by a refusal that another process had got over", "TestIsOutdated"},
		{"a token that was never sent stayed of unknown outcome, since another process had said so", "TestIsOutdated"},
		{"a process that was frozen between claim and exchange had its whole time ahead when it went on, and sent what another had taken over", "TestAnExchangeEndsWithItsClaim"},
		{"an older credential sent the token again that a younger one on the same seed had lost", "TestOlderTwin"},
		{"an attempt that came back with an older state looked unsent", "TestOnlyAClaimThatFailedIsUnsent"},
		{"to a process whose cache lagged, the seed before the one that was just adopted took its place", "TestLiveSeedPassesTheCacheBy"},

		// The operator whose statuses are written behind the tokens.
		{"with state and target deleted, a stalled credential was looked at a thousand times a second", "TestATargetThatNothingCanRepairIsLookedAtAgainOnlyAtAPace"},
		{"after etcd was put back to before there was a state, a spent seed was sent", "TestASeedIsNotNewToAProcessThatHasSeenItsState"},
		{"after etcd was put back, a spent seed was sent that a mistyped one had replaced", "TestASeedIsNotNewToAProcessThatHasSeenItsState"},
		{"a credential whose second seed was another's too counted as mended for ever, and woke itself", "TestOutcomeWithOtherInputs"},
		{"a seed that a Reusable provider refuses was sent again at each look, without a backoff", "TestDecide"},
		{"ReauthorizationRequired and the like vanished while the API server refused a read", "TestEarlierOutcome"},
		{"what a provider had refused was sent again, where a process that had only looked ended the refusal", "TestRebaseOfWhatDidNotAsk"},
		{"with writeBack, a spent token was sent after etcd was put back: it was taken for the user's word", "TestTheLiveTokenOfACopyIsAStatementOnlyOfItsUser"},
		{"a failure from before there was a state was told over the token that another process had got since", "TestRebase"},
		{"counts and times of a status fell back where another process had written meanwhile", "TestWhatCameInWhileAStatusWasComputed"},
		{"a retry that its provider refused for another reason was taken from the courier again and again: neither well nor stalled, and never tried", "TestARetryThatTheProviderRefusesIsTakenInOnce"},
		{"a suspended credential's successor stayed in the spool of a process that was killed, as long as it was suspended: with the pod it would have been lost", "TestWhatAnEarlierProcessLeftIsLookedForWhereNoCallIsMade"},
		{"of two leaders one wrote its status on top of the other's, of a later token: nobody came at its end, and Ready stayed True", "TestWhoseStatusIsOnTopOfAnothersIsLookedAtAgain"},
		{"a commit whose reply was lost was told as a failure, over the success of the leader that had found what it saved: a call too many", "TestRebase"},
		{"a failure that a clock of tomorrow had dated hid the token that came after it: a call too many", "TestIsOutdated"},
		{"that etcd was put back stood in a status, and in the memory of a pod: with another pod, or another leader, an edit of any input or a request had the spent token sent", "TestThatAStateWasPutBackOutlastsWhoHasSeenIt"},
		{"a seed that was put back with etcd, over a state of the seed before, counted as new: it was sent again", "TestASeedThatWasPutBackIsNoNewOne"},
		{"after etcd was put back, of two leaders the one that had not seen it yet overwrote what the other said of it, and nobody came again", "TestRebase"},
		{"etcd put back to before a restored state was taken in: the state of old had another UID, and its spent token was sent", "TestIsBefore"},
		{"a status that one of two leaders had owed for minutes was taken for one under another clock, and hid the refusal that the other had met: the token was sent again", "TestRebase"},
		{"a status of which one half was written before etcd was put back, and one after, stalled a credential without a word", "TestLookAsksForNothingUnlessSomethingChanged"},
		{"a status was merged into another of the same version, after etcd was put back: the time of a refresh that nobody made stayed, and two leaders looked at it a thousand times a second", "TestAStatusIsWrittenWhole"},
		{"a leader took a claim over inside the reuse window, and the one that had been frozen saved the first successor meanwhile: the second one, which the provider went on from, was dropped", "TestTheReplyToARetryIsTheLastWord"},
		{"the other leader, which had taken a claim over inside the reuse window, died with the second successor: the first one, which that had replaced, was taken for good, and sent spent", "TestASuccessorThatARetryMayHaveReplacedIsInDoubt"},
		{"the courier's answer to a token that had been replaced since was taken for one to the live token: a login's token counted as refused", "TestWhatTheCourierHasOfATokenThatWasReplaced"},
		{"two leaders logged in within one second: the state held the token of the one, and the target for good that of the other, which a provider may end", "TestWhatWasWrittenIsTold"},
		{"a refusal counted as outdated by a token that had come before it, and that no status had counted: the refused token was sent again", "TestIsOutdated"},
		{"a refused token was sent again where neither that nor the login that took its place could be saved", "TestARefusalIsRememberedWhereTheStatusAloneTellsIt"},
		{"a retry was refused since the first time had brought a successor, which was saved meanwhile: the credential stalled as if that were lost", "TestARetryThatIsRefusedForASuccessorIsNoLoss"},
		{"that the outcome was unknown, as another leader had seen it in the same second, took the place of the refusal: the refused token was sent again", "TestRebase"},
		{"the state of a restored credential was deleted, as one that can log in allows: it stayed stalled, by a copy that was not there", "TestIsOutdated"},
		{"a time that a status named, and that had passed, kept the operator busy without end", "TestATimeThatHasPassedKeepsNobodyBusy"},
		{"a credential on a seed that a deleted one had spent was pointed to a successor that was of another grant, or was lost", "TestADuplicateSaysWhereTheTokenWent"},
		{"etcd put back to before there was a state: the next process of the pod took the seed of then for a new one, and sent it", "TestASeedFromBeforeTheClusterWentBackIsHeldWithoutAState"},
		{"after a lost answer a process whose cache lagged did not find the state that it had made, and told that its token was lost", "TestAStateThatTheProcessKnowsIsReadThoughNothingShowsIt"},
		{"that a token was held, told late, took the place of the success that another process had told of since", "TestRebase"},
		{"a refusal that one of two leaders had met stood over the successor that the other had saved since: stalled, with a good token in the state", "TestRebaseOfWhatDidNotAsk"},
		{"a proven token was refused to one of two leaders before the other could save its successor: the refusal stood over that", "TestARefusalHoldsForItsTokenAlone"},
		{"what a provider had refused was forgotten, and sent again, where a process that had just started did not see the last token of the one before", "TestRebaseOfAnAttemptThatWasMadeOnAnOldCache"},
		{"the successor of a proven token lay in the spool of a pod whose next process found the credential stalled, and did not look", "TestWhatAnEarlierProcessLeftIsLookedForOnce"},
		{"a backup was put back, an input could not be read at that moment, and the status forgot which seed had been adopted since: it was sent again", "TestTheSeedThatWasAdoptedLastIsRememberedOverACopy"},
	}
}

func byEveryEffect() []Bug {
	return []Bug{
		{"killed after the reply to a proven token was saved: the target kept the token of the grant before until its renewal", "TestEveryEffectOnce"},
		{"a login that took a refused token's place was made again where the reply to its commit was lost", "TestARefusalHoldsForItsTokenAlone"},
		{"a refresh token that was refused was sent again where the login that was to take its place failed, and at each renewal where that brought no other", "TestEveryAnswerOnce"},
	}
}

func byModel() []Bug {
	return []Bug{
		{"after a conflict, a withdrawal removed another process's claim: a token that may be spent counted as never sent", "TestATransitionEndsItsOwnAttemptAndNoOther"},
		{"a slow commit took a later claim of another process with it, whose newer token was then dropped", "TestATransitionEndsItsOwnAttemptAndNoOther"},
		{"a retry that did not take place made the token count as never sent", "TestATokenOfUnknownOutcomeIsSentOnceMoreAtMost"},
		{"that a token is lost stood in the status alone: after a crash nothing said so, and the spent token was sent", "TestALostTokenStaysSpentUntilItIsHandedOutAgain"},
		{"a token was sent again after its reuse window had closed, where the claim took long", "TestAWindowThatHasClosedMeanwhileEndsAResend"},
		{"a stall outlasted the attempt that it was about", "TestIsOutdated"},
	}
}

func byFuzzing() []Bug {
	return []Bug{
		{"a time that a person had put into a state, in a zone where it is the year 10000, was written so that the state could not be read again", "FuzzDecode"},
		{"a secret with a byte that is not UTF-8 was shown in a status, where a provider had escaped it", "FuzzSanitize"},
		{"a secret without a readable part was shown in a status, where a provider had written it in hexadecimal twice", "FuzzSanitize"},
	}
}

func byCrashes() []Bug {
	return []Bug{
		{"a process that was frozen as it connected sent its token when it went on, although another had taken it over", "TestFrozenWhileItConnects"},
		{"the same process then told that the provider cannot be reached, over a good status, and called again", "TestFrozenWhileItConnects"},
		{"a leader that had lost its lease answered no probe: the kubelet ended it while it held a refresh token to be saved", "TestAPIServerAwayAtTheCommit"},
		{"a process that lived through a restore of etcd saw neither that, nor the new seed that cures it, until the cluster had come as far again", "TestEtcdPutBack"},
	}
}

func byIntegration() []Bug {
	return []Bug{
		{"on Kubernetes before 1.33 nobody was told of a credential whose spec an older CRD let in: its status cannot be stored", "TestASpecThatAnOlderCRDLetIn"},
		{"a credential whose target was in conflict stayed stalled after the conflict was gone", "TestBadInputIsToldAndHealsByItself"},
		{"`Ready` stayed True although the Secret to merge into was gone", "TestBadInputIsToldAndHealsByItself"},
		{"the target of a deleted credential was never removed", "TestADeletedCredentialLeavesItsStateAndComesBackToIt"},
		{"a refusal of a refresh that was asked for early was forgotten at the next look", "TestDecide"},
		{"one duration that overflows, which the CRD took, stopped the operator from listing any credential", "TestTokenCredentialValidation"},
		{"two credentials on one seed, made within a second, could both send it", "TestARefreshTokenHasOneUser"},
		{"a status that could not be written was not written until the next refresh", "TestLaneWrites"},
		{"the status of a commit that had been stuck was never written", "TestARotatedTokenIsCommitted"},
		{"a rotated token waited in memory, and nothing said so, where the cache was behind the process's own status", "TestARotatedTokenIsCommitted"},
		{"of two processes one wiped the other's OutcomeUnknown, and both rested: nobody was told until the expiry", "TestTwoReplicasAtOneCredential"},
		{"a reply that was cut behind the new refresh token ended in an unknown outcome", "TestTokensAreSalvagedFromAReplyThatIsNotWhole"},
		{"a token that was got while the clock was ahead was renewed an hour late, long after its end", "TestAClockThatIsOff"},
		{"a policy's refusal was taken for a mistake in the template: the credential stayed stalled once the policy was gone", "TestAPolicyMayCallASecretInvalid"},
		{"a quota with room for one Secret was met after the seed was spent", "TestARefusedTargetIsFoundBeforeAnythingIsSpent"},
		{"a write-back that is refused flapped: told once, hidden at the next look", "TestAWriteBackThatIsRefusedIsToldEachTime"},
		{"a repair that was held back was never made", "TestARepairThatWaitsForItsTurnIsRemembered"},
		{"a target that is deleted again and again had a call to the provider each time", "TestATargetIsRepairedAtAPace"},
		{"a tool that puts an old seed back was written over without a pause", "TestAWriteBackThatIsUndoneIsPaced"},
	}
}

func byAttacks() []Bug {
	return []Bug{
		{"a tenant could have a service account's token, or a Helm release, sent to a host of its own", "TestATenantHasTheClustersOwnSecretsSentToItsHost"},
		{"a tenant could have a Secret of others overwritten by a write-back", "TestATenantHasWriteBackOverwriteASecretOfOthers"},
		{"a tenant who took the name of a credential that is gone got its Secret", "TestATenantTakesOverTheTargetOfACredentialThatIsGone"},
		{"a tenant who may read no Secret could have any of its namespace sent away", "TestATenantMakesACredential"},
		{"an edited URL sent the live refresh token to another host", "TestATenantEditsTheURLSoThatTheLiveRefreshTokenGoesToItsHost"},
		{"a tenant could put a grant of its own under the pods of another credential", "TestNobodyWritesTheRefreshTokenOfAnother"},
		{"guesses at a secret could be checked against a status, a label or an annotation", "TestADigestTellsNothing"},
		{"a secret that a provider had escaped, or broken by white space, was shown in a status", "TestNoSpellingTellsASecret"},
		{"a script that asks for a refresh every 100 ms had ten calls a second", "TestARefreshThatIsAskedForComesAtAPaceAndIsNeverForgotten"},
		{"one tenant's statuses kept all others' from being written", "TestAFloodOfTransitionsDelaysNoOtherNamespace"},
		{"one tenant could fill the spool for good: others' rotated tokens were in memory alone", "TestATenantThatFillsTheSpoolLeavesRoomForOthers"},
		{"one tenant whose tokens cannot be saved could fill the memory", "TestWhatWaitsToBeSavedIsBoundedForEachNamespace"},
		{"some forty replies of one tenant, in a courier without files, stopped every exchange of a single-use token", "TestANamespaceFillsNoMoreThanItsShareOfTheMemory"},
		{"a reply, a template or a key as large as may be filled the memory of the process, or kept it busy", "TestAReplyIsReadWithinBounds"},
		{"a template of 240 nested brackets took a gigabyte", "TestWhatIsWrittenIsBounded"},
		{"Secrets of a MiB, read by all workers at once, took 200 MiB and made others' tokens seconds late", "TestANamespaceReadsAFewSecretsAtOnce"},
		{"seven namespaces whose providers do not answer held all workers", "TestProvidersThatDoNotAnswerHoldNoWorker"},
		{"a burst of large Secrets grew to four times of what it took", "TestTheCollectorFollowsWhatIsInUse"},
		{"a provider that sends a byte a second held up all tenants' tokens at each rollout", "TestTheLeaseIsGivenUpBesideASlowCall"},
	}
}

func byOnlookers() []Bug {
	return []Bug{
		{"an exchange that is printed showed the values of its secrets", "TestNoSecretIsPrinted"},
		{"the log, at its highest verbosity, held every Secret that was read or written", "TestNoSecretIsShownAnywhere"},
	}
}

func byServers() []Bug {
	return []Bug{
		{"of a long message of a server the end was cut off, which says what is wrong", "TestRefusalsAsFositeWordsThem"},
		{"a server that had undone one of two refreshes at once, and said so, was taken to refuse the refresh token", "TestRefusalsAsFositeWordsThem"},
	}
}

func byNode() []Bug {
	return []Bug{
		{"of two thousand credentials on one refresh token each read the states of all others: after twelve minutes most had no status", "TestOfManyOnOneTokenEachReadsTheOldest"},
	}
}

func byBenchmarks() []Bug {
	return []Bug{
		{"5,000 credentials that a host refuses kept another tenant's 1,000 tokens waiting until all had expired", "TestHalfOfTheSlotsAreNotForThoseWhoFail"},
		{"238 credentials with tokens of two seconds kept 762 new ones unserved for four minutes", "TestNewOnesAreServedWhileTokensOfSecondsAreAlwaysLate"},
		{"after an outage of 20 seconds 551 tokens expired, since the host was tried again too late", "TestHowOftenAHostIsProbed"},
		{"an outage ended in the reverse order of expiry, with the longest backoff", "TestAHostThatIsDownIsProbed"},
		{"after an outage statuses told the old for two minutes more, since each wave of renewals held them back", "TestCrowded"},
		{"what was due in one second came all at its first moment, and half was late", "TestStartsSpreadOverTheSecondBeforeTheyAreDue"},
		{"thousands that began together each read the one app Secret", "TestSecretsShareARead"},
		{"each first use of a token searched all Secrets of the cluster: half of the API server's time in a cold start", "TestAFloodSharesFewLooks"},
		{"the few slots of a host were held by refreshes that waited for that search", "TestEnoughWaitersDoNotWaitForTheLooksTime"},
		{"a third of a cold start's writes were statuses, while tokens waited", "TestTokensGoFirst"},
		{"where calls are short it is workers that are waited for, which counted as no crowd: statuses went out seven times as fast as they may while 3,400 tokens were overdue", "TestCrowded"},
		{"collecting garbage took 42 % of the operator's processor time", "TestGarbageBesideWhatIsInUse"},
	}
}

func byAlerts() []Bug {
	return []Bug{
		{"a token of five minutes, and a grant of a day, was always said to be near its end", "TestAlerts"},
		{"the share of attempts that fail was their rate", "TestAlerts"},
		{"an operator of one shard was said to be absent", "TestAlerts"},
	}
}

func byReading() []Bug {
	return []Bug{
		{"a deleted state Secret made a spent seed new, and it was sent", "TestADeletedStateSecretDoesNotMakeASpentSeedNew"},
		{"a gateway's error before MCS was taken for a refusal, and stalled the credential", "TestConversations"},
		{"the target of a credential that was deleted while no operator ran stayed for good", "TestACredentialDeletedWhileNobodyLooksLeavesNoTarget"},
		{"an output that is a list kept the token from the target", "TestRender"},
		{"a token that WeChat had extended ended at its first end, and each retry brought it again: there was no other, ever", "TestProvidersThatExtendATokenSaySo"},
		{"a 409 of Box, which comes where a token is being spent, was taken for a refusal that spent nothing", "TestConversations"},
		{"a space in a query was sent as +, which not every server reads as one", "TestConversations"},
	}
}
