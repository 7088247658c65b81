// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

// withoutRights are attacks of who may write TokenCredentials in a namespace, and not,
// or not all of, its Secrets.
func withoutRights() []Attack {
	const policy = "the admission policy asks the authorizer (`config/admission`)"
	return []Attack{
		{"a Secret named that its writer may not read", "refused by the API server", policy},
		{"an edit that sends the Secrets of a credential elsewhere, by who may not read them", "refused by the API server", policy},
		{"a credential made by the name of one that is gone, whose refresh token is kept", "refused by the API server, unless its writer may read that state Secret", policy},
		{"a Secret written through writeBack by who may not update it", "refused by the API server", policy},
		{"a Secret written through Merge by who may not update it", "refused by the API server", policy},
		{"a Secret made as a target by who may not create it", "refused by the API server", policy},
		{"rights that are held in another namespace", "they do not count", policy},
	}
}

// otherNamespaces are attacks of tenants on what is meant for others.
func otherNamespaces() []Attack {
	const users = "`spec.namespaces` of the ClusterTokenProvider"
	return []Attack{
		{"a provider used that is meant for other namespaces", "nothing is read or sent for the credential", users},
		{"a provider used after its admin has narrowed it", "no call is made from then on", users},
		{"a provider chosen by labels, where the operator reads none", "nobody may use it", users},
	}
}

// hardened are attacks on an install of config/hardened.
func hardened() []Attack {
	return []Attack{
		{"a host of one's own for a built-in provider", "the hardened install has no built-in provider that takes a host", "`--builtin-providers`"},
		{"a host that the admin has not named", "the hardened install calls none until some are named", "`--egress-allow-hosts`"},
		{"an address of the cluster's own networks", "the hardened install calls none, whatever else is allowed", "`--egress-deny-cidrs`"},
	}
}
