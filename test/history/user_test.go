// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// user does one of the things that users do.
func (w *world) user(t *rapid.T) {
	deeds := map[string]func(*rapid.T){
		"new seed":           func(*rapid.T) { w.giveSeed(w.authorize()) },
		"spent seed":         w.putSpentSeedBack,
		"touch app":          w.touchApp,
		"delete target":      w.deleteTarget,
		"delete state":       w.deleteState,
		"delete credential":  w.deleteCredential,
		"policy":             w.setPolicy,
		"back up":            w.backUp,
		"restore":            w.restore,
		"another credential": w.createTwin,
		"suspend or resume":  w.suspend,
		"write back or not":  w.setWriteBack,
		"mistype seed":       w.mistypeSeed,
		"mend seed":          w.mendSeed,
		"policy on targets":  func(*rapid.T) { w.refusesTargets = !w.refusesTargets },
		"policy on states":   func(*rapid.T) { w.refusesStates = !w.refusesStates },
		"etcd is put back":   w.rollBack,
		"another host":       w.pointElsewhere,
	}
	deed := rapid.SampledFrom(sorted(deeds)).Draw(t, "deed")
	deeds[deed](t)
	w.done()
}

// pointElsewhere names another host in the URL of a credential, or the provider's again.
func (w *world) pointElsewhere(t *rapid.T) {
	w.edit(t, func(c *v1alpha1.TokenCredential) {
		if url := &c.Spec.Parameters; (*url)["tokenURL"] == homeURL {
			*url = map[string]string{"tokenURL": elsewhereURL}
		} else {
			*url = map[string]string{"tokenURL": homeURL}
		}
	})
}

// suspend suspends a credential, or resumes it.
func (w *world) suspend(t *rapid.T) {
	w.edit(t, func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = !c.Spec.Suspend })
}

// setWriteBack has the operator write the refresh token into the user's Secret, or no
// more. Two credentials on one Secret would both write to it.
func (w *world) setWriteBack(t *rapid.T) {
	if len(w.names) > 1 || w.restored {
		t.Skip("there are two credentials on the Secret, or what was written back would be taken for the user's word")
	}
	w.writesBack = true
	w.edit(t, func(c *v1alpha1.TokenCredential) {
		c.Spec.RefreshTokenSecretRef.WriteBack = !c.Spec.RefreshTokenSecretRef.WriteBack
	})
}

// mistypeSeed puts a token into the Secret which no provider ever issued.
func (w *world) mistypeSeed(t *rapid.T) {
	if len(w.names) > 1 || w.stateDeleted || w.restored || len(w.seeds) == 0 {
		t.Skip("nobody would remember what was there before")
	}
	w.mistype()
}

func (w *world) mistype() {
	w.mistyped = true
	w.asked++
	typed := fmt.Sprintf("mistyped-%d", w.asked)
	w.tokens[typed] = &tokenFate{mistyped: true}
	w.put(seedName, map[string]string{"refresh_token": typed})
}

// mendSeed puts the good seed back in place of one that was mistyped.
func (w *world) mendSeed(t *rapid.T) {
	if !w.isMistyped(w.seed()) || w.stateDeleted || w.restored {
		t.Skip("it is not mistyped, or nobody would remember what was there before")
	}
	w.putSeedBack(w.seeds[len(w.seeds)-1])
}

// putSeedBack puts a seed of before into the user's Secret. One that was refused, and that no
// state holds any more, begins anew: it is bound to no host.
func (w *world) putSeedBack(seed string) {
	isHeld := func(name string) bool { return w.state(name).refreshToken == seed || w.state(name).previous == seed }
	if !slices.ContainsFunc(w.names, isHeld) {
		w.fateOf(seed).hosts = nil
	}
	w.put(seedName, map[string]string{"refresh_token": seed})
}

func (w *world) isMistyped(token string) bool {
	return w.tokens[token] != nil && w.tokens[token].mistyped
}

// rollBack puts etcd back to an older revision, under processes that go on living: what
// they had seen of a state then is all that tells of what was sent since.
func (w *world) rollBack(t *rapid.T) {
	credential := w.api.credential(shop)
	if len(w.names) > 1 || w.stateDeleted || credential == nil || len(w.visits()) > 0 {
		t.Skip("nobody would remember the seed, or a request is in flight")
	}
	from := w.api.since(credentials, shop, credential.UID)
	to := rapid.Uint64Range(from, w.api.latest).Draw(t, "revision")
	if then := w.api.at(credentials, shop, to).(*v1alpha1.TokenCredential); w.writesBack && !then.Spec.RefreshTokenSecretRef.WriteBack {
		t.Skip("what was written back would be taken for the user's word")
	}
	w.rollBackTo(to)
}

func (w *world) rollBackTo(to uint64) {
	for _, r := range w.replicas { // of a second time nothing is asked: versions tell no more what came first
		r.process.livedThrough = true
		r.process.unaware = w.putBack || r.process.seenState[stateOf(shop)] <= to
	}
	w.restored, w.putBack = true, true
	w.api.rollBack(to)
	w.obtained = map[string]obtained{}
	w.appWrong = string(w.api.secret(appName).Data["app_secret"]) != appSecret
	for _, r := range w.replicas {
		r.process.catchUp()
		clear(r.process.looked) // a watch starts anew, and lists all
	}
}

// putSpentSeedBack is what a GitOps tool does. Where another credential never
// knew that seed, or the state that did is gone, nobody can tell it from a new
// one.
func (w *world) putSpentSeedBack(t *rapid.T) {
	if len(w.names) > 1 || w.stateDeleted || w.restored || len(w.seeds) == 0 {
		t.Skip("nobody remembers")
	}
	w.putSeedBack(rapid.SampledFrom(w.seeds).Draw(t, "seed"))
}

// touchApp writes the app's Secret, with a wrong secret at times.
func (w *world) touchApp(t *rapid.T) {
	w.appWrong = rapid.IntRange(0, 3).Draw(t, "wrong") == 3
	w.correctApp(!w.appWrong)
}

func (w *world) correctApp(right bool) {
	w.asked++
	value := appSecret
	if !right {
		value = "wrong"
	}
	w.put(appName, map[string]string{"app_key": "app", "app_secret": value, "touched": fmt.Sprint(w.asked)})
}

func (w *world) deleteTarget(t *rapid.T) { w.deleteSecret(t, targetOf) }

func (w *world) deleteSecret(t *rapid.T, of func(string) string) {
	name := of(rapid.SampledFrom(w.names).Draw(t, "credential"))
	if w.api.secret(name) == nil {
		t.Skip("there is none")
	}
	w.must(w.api.remove(secrets, name))
}

// deleteState throws the refresh token away, on purpose. What is promised then is
// that the seed is not sent again, as far as the status remembers it, and caches
// show that status.
func (w *world) deleteState(t *rapid.T) {
	name := rapid.SampledFrom(w.names).Draw(t, "credential")
	if len(w.names) > 1 || !w.state(name).exists || !w.isSeedRemembered(name) {
		t.Skip("nobody would remember the seed")
	}
	if len(w.visits()) > 0 {
		t.Skip("a visit under way may have read an older seed")
	}
	w.stateDeleted = true
	w.must(w.api.remove(secrets, stateOf(name)))
	w.restartAll() // an older seed than that, or an older status, is known to nobody any more
}

// restartAll starts every process again, with a cache that is up to date.
func (w *world) restartAll() {
	for _, r := range w.replicas {
		r.process.kill()
		w.start(r)
		r.process.catchUp()
	}
}

// isSeedRemembered tells whether the seed was adopted, and the status, as every
// cache shows it, says so.
func (w *world) isSeedRemembered(name string) bool {
	forgets := func(resourceVersion uint64) bool {
		seen, _ := w.api.at(credentials, name, resourceVersion).(*v1alpha1.TokenCredential)
		return seen == nil || seen.Status.StateSecret == nil || seen.Status.StateSecret.Seed != inStatus(seen, w.seed())
	}
	return w.state(name).seed == digest(w.seed()) && !forgets(w.api.latest) &&
		!slices.ContainsFunc(w.replicas, func(r *replica) bool { return forgets(r.process.seenCredentials) })
}

// deleteCredential deletes a credential, or makes it again.
func (w *world) deleteCredential(t *rapid.T) {
	name := rapid.SampledFrom(w.names).Draw(t, "credential")
	switch {
	case w.api.credential(name) == nil:
		w.createCredential(name)
	case w.stateDeleted || w.restored:
		t.Skip("nobody would remember the seed")
	default:
		w.must(w.api.remove(credentials, name))
	}
}

func (w *world) setPolicy(t *rapid.T) {
	policies := []v1alpha1.UnknownOutcomePolicy{"", v1alpha1.Hold, v1alpha1.RetryOnce}
	if w.variant.revokes {
		policies = policies[:2] // RetryOnce where reuse revokes the family is a known limit
	}
	policy := rapid.SampledFrom(policies).Draw(t, "policy")
	w.edit(t, func(c *v1alpha1.TokenCredential) { c.Spec.OnUnknownOutcome = policy })
}

func (w *world) askForRefresh(t *rapid.T) {
	w.asked++
	w.edit(t, func(c *v1alpha1.TokenCredential) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.RefreshAtAnnotation, fmt.Sprint(w.asked))
	})
	w.done()
}

func (w *world) edit(t *rapid.T, how func(*v1alpha1.TokenCredential)) {
	name := rapid.SampledFrom(w.names).Draw(t, "credential")
	if w.api.credential(name) == nil {
		t.Skip("there is none")
	}
	change(w.api, credentials, name, how)
}

// backUp keeps a copy of the state. That of a first exchange does not know its own
// UID yet, and so cannot be told from its original.
func (w *world) backUp(t *rapid.T) {
	state := w.api.secret(stateOf(shop))
	if state == nil || !strings.Contains(string(state.Data["identity"]), string(state.UID)) {
		t.Skip("there is none")
	}
	w.backups = append(w.backups, state)
}

// restore puts a copy in the state's place.
func (w *world) restore(t *rapid.T) {
	if len(w.names) > 1 || len(w.backups) == 0 || !w.isSeedRemembered(shop) {
		t.Skip("there is none, or nobody would remember the seed")
	}
	w.restored = true
	restored := w.backups[rapid.IntRange(0, len(w.backups)-1).Draw(t, "backup")].DeepCopy()
	restored.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: restored.Name, Labels: restored.Labels, Annotations: restored.Annotations}
	if w.api.secret(restored.Name) != nil {
		w.must(w.api.remove(secrets, restored.Name))
	}
	w.must(w.api.create(secrets, restored))
	w.restartAll()
}

// createTwin makes a second credential on the same seed.
func (w *world) createTwin(t *rapid.T) {
	if len(w.names) > 1 || w.stateDeleted || w.restored || w.variant.login || w.writesBack || w.mistyped {
		t.Skip("there is one, or it could not see that the seed is spent")
	}
	w.names = append(w.names, twin)
	w.createCredential(twin)
}
