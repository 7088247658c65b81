// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import "slices"

// Attack is one row of the threat model: what somebody who means ill may try.
type Attack struct {
	// Name of the attack, unique among attacks.
	Name string
	// Promise is what holds all the same.
	Promise string
	// Control is what keeps the promise.
	Control string
}

// Threat groups attacks with the same aim.
type Threat struct {
	Title string
	// About says who attacks, and what for.
	About   string
	Attacks []Attack
}

// Attacks are the threats in the order of docs/security.md. A row comes together
// with its test: one that no test shows is an error, as in the list of faults.
func Attacks() []Threat {
	return []Threat{
		{"Confused deputy", "A *tenant* has the operator read or write a Secret that it may not read or write itself.", slices.Concat(confusedDeputy(), withoutRights(), otherNamespaces())},
		{"Nobody stops the others", "A *tenant* or a *provider* stops, slows or kills the operator for the *neighbours*.", neighbours()},
		{"Onlookers", "An *onlooker* learns a secret, a part of one, or whether a guess is right.", onlookers()},
		{"The way out", "A *tenant* or a *provider* has the operator call what it should not, or has a token go astray.", slices.Concat(wayOut(), hardened())},
		{"Grants", "Somebody has a refresh token spent, or takes over what it brought.", grants()},
	}
}

func confusedDeputy() []Attack {
	return []Attack{
		known("a target that someone else owns", "the operator writes what its credential owns, or what it was told to merge into"),
		known("a target that is a service-account token", "only Opaque, `dockerconfigjson` and `basic-auth` are written"),
		{"a Secret of the cluster's own as an input", "it is not sent; the credential stalls and says why", "service-account and bootstrap tokens, Helm releases and states are refused by type"},
		{"another credential's state as an input", "it is not sent; the credential stalls and says why", "names of states are refused before they are read, and states by their type"},
		{"a write-back into a Secret of others", "untouched; the credential says why, and renewal goes on", "the judgement of a target to merge into: type, owner, immutability"},
		{"a target that is another credential's seed", "untouched; the credential stalls and says why", "no credential writes the key that another takes its refresh token from"},
		{"a target in the place of a state that is yet to come", "no Secret of that name is made", "no target has the name of a state"},
		{"a template that sets a label of tokenkeeper.io or kubernetes.io", "refused, by the CRD and by the operator", "reserved keys; those of other projects may be set"},
		{"a credential under the name of one that is gone", "the Secret that the one before owned is untouched", "owner references count with their UID"},
		{"an edited URL that would send the live refresh token elsewhere", "nothing that the old origin gave or was given is sent; the credential stalls until the edit is undone, or a new seed begins another grant", "a state is bound to the origin (scheme, host, port) of its tokens"},
		{"an issuer whose discovery names another host", "the live refresh token is not sent there; the credential stalls until a person begins another grant", "what was discovered when a grant began is bound with it"},
		{"a service account named by who may not make its tokens", "refused", "the admission policy asks for create of serviceaccounts/token"},
		{"a token of a service account for this cluster's API server", "none is made; the credential stalls and says why", "the operator asks the API server which audiences it takes for its own"},
		{"pods nudged for who may not patch them", "refused", "the admission policy asks for patch of pods"},
		{"a credential made again, with another URL, over a state that was kept", "nothing of the state is sent; the credential stalls", "a state is bound to the origin (scheme, host, port) of its tokens"},
		{"a state Secret as target", "untouched", "state Secrets have a type of their own, which no target has"},
		{"a namespace in a reference", "refused, or dropped, by the API server", "there is no such field: all references are to the credential's own namespace"},
	}
}

func neighbours() []Attack {
	return []Attack{
		{"replies without number that nobody saves", "another namespace's tokens are exchanged as ever", "a namespace has half of a courier's memory, and of its spool, that others leave"},
		known("one tenant with 5,000 failing credentials", "namespaces take turns; failing credentials have the smallest share, and back off"),
		known("one namespace that saturates workers and a host", "a namespace gets at most half of the workers and slots that others are not using"),
		{"namespaces without number whose providers do not answer", "a token that is due elsewhere waits for a second at most", "an exchange holds no worker; calls of a second and more have slots of their own, and so have those who have made one"},
		{"thousands of credentials on one refresh token", "each reads the oldest of them and waits for a person; the API server is not asked for each pair", "the look for others on a token ends at the first that goes before"},
		{"a path of a shared host that always fails", "neighbours that call another path of it are served", "the breaker counts failures by namespace"},
		{"two namespaces that let a shared host time out", "a third one's calls go through", "a host is down for all only where it does not even accept a connection"},
		{"a host spelt in many ways", "it counts as one", "hosts are compared in canonical form"},
		{"an edit, again and again", "no more calls than the credential's own bucket holds", "edits draw on a token bucket of the credential"},
		{"a request for a refresh, again and again", "as for an edit", "whatever a user does ahead of time draws on that bucket"},
		{"a credential deleted and made again, again and again", "as for an edit", "the bucket outlives the credential"},
		{"rotated tokens that cannot be saved", "that namespace starts no further exchange; no worker and no other namespace is held up", "what waits is bounded for each namespace, in number and in bytes"},
		{"a credential deleted while its rotated token cannot be saved", "the token is told as lost, and its memory given back", "a log line, a metric and an event; the spool's file is removed"},
		{"a spool full of what cannot be saved", "others find room in it", "a namespace may fill half of what others leave"},
		{"a provider that does not answer while the process ends", "another process takes over within seconds; the call's outcome is saved all the same", "the lease is given up after five seconds, and the claim protects the call"},
		{"transitions without end", "another namespace's status waits for one turn", "statuses are written in turns of namespaces"},
		{"tokens that live for seconds, always late", "new credentials get a third of the turns", "classes share turns by weight"},
		known("a body of 10 GiB", "the bound on a reply"),
		known("a compressed bomb", "the bound on a reply, after expansion too"),
		known("one byte a second", "one deadline for all of an exchange"),
		known("a spec that an older CRD let in", "a spec is judged again before it is used"),
		{"an expression that costs too much for the values at hand", "its evaluation ends with an error", "CEL's cost limit, at run time"},
		{"a reply of more values than can be meant", "it is not read into memory; a refresh token in it is kept", "JSON is read token by token, up to 5,000 values and a depth of 32"},
		{"30 compressed bombs at once", "together they take less than 128 MiB", "bounds on a reply, and one budget of bytes for all of them"},
		{"a refresh token that is too large to be kept", "it is told as lost at once; no worker is held up", "a token has at most 32 KiB"},
		{"a template that takes gigabytes once compiled", "it is refused, with its place", "bounds on its size, its expressions, their nesting and what they compile to"},
		{"a call that gives far more than it is given", "it is refused before it runs", "guards before the functions that multiply"},
		{"regular expressions that take seconds", "they are refused, or end with an error", "bounds on their size, number and cost"},
		{"an RSA key of 98,304 bits", "it is refused before anything is computed with it", "bounds on a key, and none in a target's template"},
		{"hundreds of Secrets as large as may be", "other namespaces' values stay in memory", "the namespace that holds most makes room"},
		{"Secrets of 1 MiB read by all workers at once", "8 of a namespace are read at once: inputs, states and targets", "a read waits for a slot of its namespace"},
		{"templates without number", "one of a namespace is compiled at once, and other namespaces' stay compiled", "the namespace that has compiled most makes room"},
		{"pods without number to be nudged for tokens that live for seconds", "tokens are served first, and another namespace's pods in turn", "nudges have a lane of their own, and a namespace's pods are looked for a tenth of the time at most"},
		{"events without number", "another namespace's are posted in turn, and none of them is dropped", "namespaces take turns; the one of which most wait makes room"},
		{"a Secret of 1 MiB", "only the values that credentials name are kept", "a value has at most 64 KiB"},
	}
}

func onlookers() []Attack {
	return []Attack{
		known("canary tokens in every input and reply", "secrets are of a type that prints as `[redacted]`"),
		known("metrics without a token", "TokenReview and SubjectAccessReview"),
		{"a reply whose message echoes a secret, whole, in part or encoded", "that part is left out of the status", "the provider's words are compared with all secrets of the exchange"},
		{"a secret escaped twice, or with white space in it, in a reply's message", "the message is left out", "the words are compared in every spelling that they may stand for"},
		{"a guess at a secret, checked against a digest in a status, a label or an annotation", "it tells nothing", "digests are HMACs under a key of the operator's own"},
		{"a guess of a neighbour's refresh token, sent to a host of one's own", "it is not told to be another's", "a credential of another namespace counts only at the same origin"},
		{"the same secret in two credentials, seen by equal digests", "their digests in statuses and targets differ", "a digest is made in a scope of its own"},
		{"digests that an earlier version left in plain", "they are keyed soon after the upgrade, and nobody is called", "a sweep at the start"},
		{"the loss of the key for digests", "nobody is called, and duplicates are found again", "a digest under another key asserts nothing"},
		{"a label of another's state on a Secret of one's own", "it counts for nothing", "what a Secret of the operator's type, name and annotation holds decides, not its labels"},
		{"an expression that fails on a secret", "the error names its place, and no value", "errors of expressions are worded by their kind"},
		{"a courier that is taken over", "what it reads from the Internet gives it no right in the cluster", "the ServiceAccount's token is mounted into the manager's container alone"},
		{"the log of a courier", "it names attempts and hosts, and no secret", "what is carried is logged nowhere; keys are of a type that prints as [redacted]"},
		{"a file of the spool", "it discloses nothing", "sealed under a key derived from the token that was sent"},
	}
}

func wayOut() []Attack {
	return []Attack{
		known("169.254.169.254, ::1, IPv4 in IPv6, private ranges", "addresses must be public, unless a flag allows them"),
		known("a name that resolves to them", "the address is checked as it is dialled"),
		known("a redirect to another host", "redirects are replies"),
		{"an address of a network that was taken out, in any form", "refused, and nothing is spent", "`--egress-deny-cidrs` wins over what is public or allowed"},
		{"a host spelt otherwise than the flags", "it is the same host to them", "hosts are compared in canonical form"},
		{"a proxy in the environment", "it is not used", "the clients know no proxy"},
		{"a parameter that names another host", "the provider does not compile unless the parameter has a pattern", "the compiler of providers"},
		{"an app's key or a token as host", "the provider does not compile", "the compiler of providers"},
	}
}

func grants() []Attack {
	return []Attack{
		known("one token copied into two namespaces", "twins are looked for before an untried seed is sent"),
		known("a connection that HTTP/2 or keep-alive would resend on", "a connection of its own for a token that works once"),
		known("state restored from a backup in another cluster", "a state holds the UIDs of its Secret and its cluster"),
	}
}

// known is an attack that is on the list of faults as well: the promise is the
// same.
func known(fault, control string) Attack {
	for _, section := range All() {
		for _, each := range section.Faults {
			if each.Name == fault {
				return Attack{each.Name, each.Promise, control}
			}
		}
	}
	return Attack{Name: fault, Control: control}
}
