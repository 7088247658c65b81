// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

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
	seen := p.seen()
	for _, key := range watched(credential) {
		for _, change := range p.world.api.versions[key] {
			if !change.silent && change.from > looked.of(key.kind) && change.from <= seen.of(key.kind) && change.from != p.hidden {
				return true
			}
		}
	}
	return false
}

// seen is how far a process's cache has come.
func (p *process) seen() position { return position{p.seenCredentials, p.seenSecrets} }

// inCache is the version of an object that a process's cache has.
func (p *process) inCache(key objectKey) version {
	found := p.world.api.versionAt(key, p.seen().of(key.kind))
	if found.from > 0 && found.from == p.hidden {
		return p.world.api.versionAt(key, found.from-1)
	}
	return found
}

// cached is what a visit reads from the cache: for once the version before, where the
// process has not been shown the later one. That comes when the visit has begun.
func (p *process) cached(ctx context.Context, key objectKey) client.Object {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := p.inCache(key)
	p.cacheReads++
	if p.shown[key] == found.from {
		return found.object
	}
	p.fresh = append(p.fresh, freshRead{p.cacheReads, key})
	if p.cacheReads == p.staleRead {
		visit := visitOf(ctx)
		before := p.world.api.versionAt(key, found.from-1)
		visit.seen, visit.version = 0, 0
		p.looked[visit.credential] = position{}
		if key.kind == credentials {
			visit.sees(before.object)
		}
		return before.object
	}
	p.shown[key] = found.from
	return found.object
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
