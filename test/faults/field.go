// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

const aboutCluster = "What others do in the cluster: the API server, policies, people and their tools. " +
	"Each was met in the field, by this operator or by one like it."

// cluster are faults of what surrounds the operator on Kubernetes.
func cluster() []Fault {
	return append(apiErrors(), append(people(), otherWriters()...)...)
}

func apiErrors() []Fault {
	return []Fault{
		{"403 or 500 on reading the state while the token expires", "`Ready` turns False at the expiry, and says what cannot be read"},
		{"403 or 500 on reading an input while the token expires", "`Ready` turns False at the expiry, and says what cannot be read"},
		{"an API server that cannot be reached", "it is said to be unreachable, not to refuse"},
		{"a target that cannot be written while the provider refuses the refresh token", "both are told, and the refused token is not sent again"},
		{"a target that cannot be written while the outcome is unknown", "both are told, and the token is not sent again"},
		{"a restart while the outcome is unknown", "the metrics of open attempts still show it"},
		{"killed before the commit, then suspended", "the next process saves what the spool holds all the same"},
		{"killed with statuses unwritten", "no call to the provider, and the status is right within seconds"},
		{"a template key that the API server refuses", "found before anything is spent; the message names the field"},
		{"annotations beyond what the API server takes", "found before anything is spent; the message names them"},
		{"a quota that leaves no room for the target", "found before anything is spent; the message names it"},
		{"a policy that denies the target", "found before anything is spent; the message names it"},
		{"values of a newer CRD that this operator does not know", "told, not guessed; no call"},
		{"etcd put back to an older revision under a living operator", "no spent token is sent; a person is told what to do"},
		{"etcd put back to a snapshot under a living operator", "the cluster is seen to have gone back; what it put back is held, and a new seed cures it"},
		{"etcd put back to a snapshot while the operator restarts in its pod", "the next process of the pod knows how far the cluster had come, and holds what was put back"},
	}
}

func people() []Fault {
	return []Fault{
		{"a wrong seed typed over a good grant", "put back, the good one lives on, without another authorization"},
		{"a credential labelled while its reply is under way", "the outcome is applied to the changed credential: one call, one event"},
		{"a target deleted while the credential is suspended", "`Ready` turns False; resumed, it is written again without a call"},
		{"a credential renamed, with the same seed", "it stalls before it sends the spent seed; the step in the message works"},
		{"a credential moved to another namespace, with the same seed", "it stalls before it sends the spent seed; the step in the message works"},
		{"a credential made with a wrong name and made again, before anything was sent", "the second one works"},
		{"a namespace deleted and made again under the same name", "its credential works from the seed that it is given"},
		{"Secrets restored before credentials, and without owners", "no spent token is sent; the step in the message works, and the target is taken over"},
		{"one namespace that saturates workers and a host", "another namespace's new credential gets its token within a few calls"},
		{"a transition", "exactly one event tells of it, and does not repeat its reason"},
	}
}

func otherWriters() []Fault {
	return []Fault{
		{"two credentials on one key of one Secret", "the older works; the younger stalls before it calls, and names the other"},
		{"a policy that resets a label of the target each time", "repaired ever later, without a call; told once, with the name of the writer; others' labels stay"},
		{"a target that is deleted again and again", "the calls that fill it again are paced, and the message says so"},
		{"a write-back that is refused", "told, and renewals are on time"},
		{"a tool that puts the old seed back over each write-back", "written back ever later, told once, without a call"},
	}
}
