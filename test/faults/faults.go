// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package faults lists what TokenKeeper survives, and what it promises in each
// case: faults in docs/reliability.md, attacks in docs/security.md. A test says
// which row it shows; a row that no test shows is an error.
package faults

import (
	"slices"
	"testing"
)

// Fault is one row of the list.
type Fault struct {
	// Name of the fault, unique.
	Name string
	// Promise is what holds all the same.
	Promise string
}

// Section groups faults of a kind.
type Section struct {
	Title string
	// About says what the section is about; may be empty.
	About string
	// Columns are the headings of name and promise.
	Columns [2]string
	Faults  []Fault
}

// All are the faults, in the order of the documentation.
func All() []Section {
	columns := [2]string{"fault", "promised"}
	return []Section{
		{"Crash and API server", "", columns, crashes()},
		{"The courier", aboutCourier, columns, courier()},
		{"Concurrency and time", "", columns, concurrency()},
		{"Replies", "", columns, replies()},
		{"What providers really send", aboutProviders, [2]string{"what was met", "what becomes of it"}, providers()},
		{"Security", "", columns, security()},
		{"In the cluster", aboutCluster, columns, cluster()},
		{"When a credential stalls", aboutStalls, [2]string{"it stalls with", "the step that ends it"}, stalls()},
	}
}

const aboutCourier = `A courier is a process beside the manager that carries exchanges with providers
([why](adr/0034-an-exchange-outlives-the-manager.md)). Without one, what is said above holds.

Killed twenty times at random with calls of 0.4 s under way, 50 chains of a period of 5 s each, whose tokens work
once and have no reuse window, in one run on 2 busy processors (2026-11-27):

| killed | chains stalled, each told | spent tokens sent |
|---|---:|---:|
| the manager, its courier living | 0 of 50 | 0 |
| the courier, its manager living | 49 of 50 | 0 |
| the manager and its courier | 50 of 50 | 0 |
| a manager without a courier | 50 of 50 | 0 |`

// courier are the faults of an exchange that is carried by another process.
func courier() []Fault {
	return []Fault{
		{"the manager killed with calls under way, its courier living", "no grant is lost and no outcome is unknown: the next process takes the replies from the courier"},
		{"the courier killed with calls under way", "as a manager without one: each outcome that is unknown is told"},
		{"the manager and its courier killed with calls under way", "as a manager without one: each outcome that is unknown is told"},
		{"the socket of a courier that is gone", "nothing is claimed and nothing is sent; the status says which socket does not answer"},
		{"a courier's socket that hangs", "each question to it is bounded; an attempt is not given up while it may answer, and is told after 45 s; what it says later is taken"},
		{"a courier of another version", "it says which protocol it speaks, and what a neighbouring release does not know is ignored; where there is none in common, nothing is sent"},
		{"a courier whose spool is full", "nothing is sent for the namespace that fills it; others find room"},
		{"a courier asked twice for one attempt", "the request is sent once, and both get the one reply"},
		{"a courier asked for an attempt that it never received", "nothing was sent and, from then on, nothing is: the token is sent at once under another claim"},
	}
}

// Shows declares that a test shows what is promised for a fault or an attack.
func Shows(t *testing.T, name string) {
	t.Helper()
	for _, section := range All() {
		if slices.ContainsFunc(section.Faults, func(f Fault) bool { return f.Name == name }) {
			return
		}
	}
	for _, threat := range Attacks() {
		if slices.ContainsFunc(threat.Attacks, func(a Attack) bool { return a.Name == name }) {
			return
		}
	}
	t.Errorf("neither the list of faults nor that of attacks has a row %q", name)
}

func crashes() []Fault {
	return []Fault{
		{"killed before the claim", "nothing was sent: the next process claims and sends, once"},
		{"killed after the claim", "the outcome counts as unknown until its holder is gone; then as the policy says"},
		{"killed after sending, with a reuse window", "the same token is sent again inside the window, once, and all is well"},
		{"killed after sending, without a reuse window", "the token is not sent again; a person is told what to do"},
		{"killed after the spool (the container restarts)", "the next process saves what the spool holds, without a call"},
		{"killed after the commit", "the next process publishes from the state, without a call"},
		{"killed after the target, before status", "the next process tells of it, without a call"},
		{"killed as a token is proven", "the token is proven, or is by the next refresh; the access token comes from the spool or by another call"},
		{"killed after sending a proven token", "it is sent again at once, and nobody is asked"},
		{"killed as a provider begins to rotate", "the successor of a proven token comes from the spool or the state; where it died with its pod, the refusal says that the provider may have begun to rotate and its answer was lost"},
		{"a panic while a reply is read", "the worker lives; the refresh token that was sent counts as of unknown outcome, which is told or, inside a reuse window, sent again"},
		{"SIGTERM during the claim", "the claim is withdrawn before the process ends, and nothing is sent"},
		{"SIGTERM during the exchange", "the reply is awaited, committed and published; then the process ends"},
		{"SIGTERM during a commit that keeps failing", "the process does not end before it is saved"},
		{"leadership lost during the commit", "the process does not end before it is saved"},
		{"API server away for ten minutes at the commit", "the successor is kept and saved when it is back; no liveness probe ends the process"},
		{"conflict on the claim", "the provider is not called"},
		{"unrelated conflicts on the commit", "merged: what others wrote is kept"},
		{"403", "found before anything is spent; on the commit kept, told and tried again"},
		{"quota", "found before anything is spent"},
		{"an admission webhook's refusal", "found before anything is spent; on the commit kept, told and tried again"},
		{"an immutable Secret", "found before anything is spent"},
		{"a Secret near 1 MiB", "found before anything is spent"},
		{"a terminating namespace", "found before anything is spent"},
		{"429 and 500 on a quarter of all calls", "every token is kept, and every target refreshed"},
		{"the credential deleted during the exchange", "the successor is saved in the state, and no target is left"},
		{"the state Secret retained and adopted again", "the credential that comes back goes on from it, without a call"},
		{"killed just before or after any effect of a visit", "each request, call and reply of each kind of visit once: no token is lost in silence, and each credential becomes Ready, or says what a person must do"},
		{"a leader that was frozen goes on while another has taken over", "each change of the one against each of the other: nobody ends the claim of another that is alive, no successor is without a place, and where the other died there it is told what may be spent"},
		{"any answer to any effect of a visit", "refused, not arrived, done and its reply lost, each once: as after a death"},
		{"a restart with 10,000 fresh credentials", "no call, no write (the tests have 100, the benchmark 10,000)"},
	}
}

func concurrency() []Fault {
	return []Fault{
		{"two replicas that both believe they lead", "each refresh token is sent once"},
		{"a process frozen for a minute between claim and exchange", "it does not send what another has taken over"},
		{"a cache that lags", "it leads to no second call, and what is told of a failure goes with it"},
		{"events that are missed", "the next renewal finds what was missed: it reads the state live, and the seed before anybody is asked to authorize again"},
		{"a change that the cache never shows", "each change in each kind of visit once: no spent token is sent, and all is well after the next renewal or once the cache lists anew"},
		{"a read of the cache that is one version behind", "each read in each kind of visit once: no spent token is sent, and all is well after it"},
		{"faults of any kind in any order, and then no more", "each credential becomes Ready, or is Stalled and says what a person must do; who does that is helped"},
		{"two credentials on one Secret", "the older works, the younger stalls and calls nobody"},
		{"one token copied into two namespaces", "the older works, the younger stalls and calls nobody"},
		{"the user replaces the seed during an exchange", "the successor is saved, then the new seed is adopted"},
		{"a GitOps tool puts a spent seed back, again and again", "it is ignored and told, and calls nobody"},
		{"state restored from a backup in the same cluster", "its token is not sent; a person is told what to do"},
		{"state restored from a backup in another cluster", "its token is not sent; a person is told what to do"},
		{"the clock an hour off, either way", "no spent token is sent; a token that was got meanwhile is renewed once the clock is right, so that none expires in the target"},
		{"1,000 due in the same second", "calls are bounded and spread, and all are served (the tests have 100, the benchmark 10,000)"},
	}
}

func replies() []Fault {
	return []Fault{
		{"no refresh token, an empty one, null, a number, the same one", "the token at hand stays live, or the number is taken as it is written"},
		{"200 with an error", "it counts as the failure that it is, and the refresh token is kept"},
		{"200 without an access token", "the refresh token is saved; the target is left alone"},
		{"HTML with 200", "no success: the outcome is unknown"},
		{"form-encoded", "read by content"},
		{"the wrong Content-Type", "read by content"},
		{"a charset", "read by content"},
		{"a byte order mark", "read by content"},
		{"expires_in missing, \"3600\", 3600.5, 0, negative, 1e30, null, a word", "a usable one counts; else the default, and the tokens are kept; a token that has ended already is not published"},
		{"a body of 10 GiB", "no more than the cap of 256 KiB is read; a refresh token in that is kept, else the outcome is unknown, and told; the worker lives"},
		{"one byte a second", "the exchange ends after 30 seconds; the outcome is unknown, and told"},
		{"a compressed bomb", "no more than the cap of 256 KiB is expanded; the outcome is unknown, and told; the worker lives"},
		{"a truncated body", "a refresh token that is whole is kept; else the outcome is unknown, and told"},
		{"a redirect to another host", "not a byte goes there"},
		{"a plain 502, to a token that the provider had left as it was", "it is tried again, and nobody is asked"},
		{"a provider that begins to rotate after years", "the successor is saved, and is single use from then on; where the answer was lost, the refusal says so"},
		{"a provider that rotates now and then", "each refresh token is single use until it is proven; none is lost"},
		{"503 after the provider has acted", "the outcome is unknown, and told"},
		{"a reset after sending", "the outcome is unknown, and told; the request is not sent again"},
		{"a timeout", "the outcome is unknown, and told"},
		{"DNS, dial and TLS failures", "nothing was sent: a plain retry"},
		{"a retry that cannot connect", "the doubt about the first time stays; the one retry is made once the provider is there"},
		{"a connection that HTTP/2 or keep-alive would resend on", "a single-use token is sent once"},
		{"401 for the app", "the refresh token is kept; a person corrects the app"},
		{"invalid_grant once, then fine", "nothing is thrown away: a corrected input tries the same token again"},
		{"invalid_grant while the seed has changed", "the new seed is used, and nobody is asked"},
		{"a token with a line feed, NUL or bad UTF-8", "the refresh token is kept byte for byte, the target is not touched"},
		{"a call before the refresh that fails", "nothing is claimed and nothing is sent: a plain retry"},
		{"a second hop that fails after the refresh token has rotated", "the rotated token is saved; the second hop alone is tried again, after a restart too"},
		{"killed between the commit and the second hop", "the next process makes the second hop, and refreshes nothing"},
		{"a provider that wants a nonce of its own", "nothing was spent: the same call is sent once more, under the same claim"},
		{"a server that refuses the client certificate", "nothing was read by it: the claim is withdrawn, and a person is told"},
		{"JSON 10,000 deep", "what it holds is kept, of deeper JSON the refresh token; the worker lives"},
	}
}

func security() []Fault {
	return []Fault{
		{"169.254.169.254, ::1, IPv4 in IPv6, private ranges", "refused, and nothing is spent"},
		{"a name that resolves to them", "refused, and nothing is spent"},
		{"canary tokens in every input and reply", "absent from logs, events, status, metrics, panics and errors"},
		{"a target that someone else owns", "untouched"},
		{"a target that is a service-account token", "untouched"},
		{"one tenant with 5,000 failing credentials", "the others are on time (the tests have 100, the benchmark 5,000)"},
		{"metrics without a token", "refused"},
		{"kubectl apply of bad specs", "a clear message from the API server, field by field"},
		{"a spec that an older CRD let in", "it does not stop the others (as long as its values are of the types of today's CRD)"},
	}
}
