// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

// position is how far a process's cache has come, for each of its two watches.
type position struct{ credentials, secrets uint64 }

func (p position) of(kind kind) uint64 {
	if kind == credentials {
		return p.credentials
	}
	return p.secrets
}

// isQueued reports whether a process has a reason to look at a credential: it has just
// started, a look is due, or its cache shows a change that it has not looked at.
func (p *process) isQueued(credential string) bool {
	looked, started := p.looked[credential]
	wake, planned := p.wake[credential]
	if !started || planned && !wake.After(p.world.now) {
		return true
	}
	seen := position{p.seenCredentials, p.seenSecrets}
	for _, key := range watched(credential) {
		for _, change := range p.world.api.versions[key] {
			if !change.silent && change.from > looked.of(key.kind) && change.from <= seen.of(key.kind) {
				return true
			}
		}
	}
	return false
}

// watched are the objects whose changes queue a credential, as internal/controller maps
// them: itself, the Secrets that it names, its target and its state.
func watched(credential string) []objectKey {
	return []objectKey{
		{credentials, credential},
		{secrets, appName},
		{secrets, seedName},
		{secrets, loginName},
		{secrets, targetOf(credential)},
		{secrets, stateOf(credential)},
	}
}
