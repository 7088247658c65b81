// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// kindOfVisit is one thing that happens to a credential, from its cause until all is
// quiet again.
type kindOfVisit struct {
	name     string
	provider string
	// loginAlone: the user has no refresh token.
	loginAlone bool
	// before brings the world to where it begins; nil: a credential has just been created.
	before func(*world)
	// cause of it; nil: what before has left.
	cause func(*world)
	// carries is the courier of its pod.
	carries courierKind
	// stalls is the reason for which it stalls where nothing goes wrong; empty: it is well.
	stalls string
}

// kindsOfVisit are those that a history's world can express.
func kindsOfVisit() []kindOfVisit {
	return slices.Concat(firstTokens(), renewals(), recoveries(), deedsOfUsers(), losses(), withCouriers())
}

func firstTokens() []kindOfVisit {
	return []kindOfVisit{
		{name: "the first token of a single-use seed", provider: "hold"},
		{name: "the first token of a seed that reuse would revoke", provider: "hold-revokes"},
		{name: "the first token of a reusable seed", provider: "reusable"},
		{name: "the first token of a seed that rotates", provider: "auto"},
		{name: "the first token of a seed that it proves", provider: "auto-never"},
		{name: "the first token comes by a login", provider: "login", loginAlone: true},
	}
}

func renewals() []kindOfVisit {
	return []kindOfVisit{
		{name: "a single-use token is renewed", provider: "hold", before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "a single-use token is renewed under RetryOnce", provider: "retry", before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "a single-use token with a reuse window is renewed", provider: "window", before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "a reusable token is renewed", provider: "reusable", before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "an unproven token is renewed", provider: "auto", before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "a proven token is renewed", provider: "auto-never", before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "a proven token is renewed as the provider begins to rotate", provider: "auto-begins", before: (*world).rest, cause: func(w *world) {
			w.rotateFromNowOn()
			w.renewalIsDue()
		}},
		{name: "a token is renewed by a provider that rotates now and then", provider: "auto-now-and-then", before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "a single-use token with a login beside it is renewed", provider: "login", before: (*world).rest, cause: (*world).renewalIsDue},
		{name: "a token is renewed and written back", provider: "hold", before: (*world).restWithWriteBack, cause: (*world).renewalIsDue},
		{name: "a proven token is renewed and its successor written back", provider: "auto-begins", before: (*world).restWithWriteBack, cause: func(w *world) {
			w.rotateFromNowOn()
			w.renewalIsDue()
		}},
		{name: "a refresh is asked for", provider: "hold", before: (*world).rest, cause: func(w *world) {
			w.editShop(func(c *v1alpha1.TokenCredential) {
				metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.RefreshAtAnnotation, "now")
			})
		}},
	}
}

// recoveries of what a process left that died.
func recoveries() []kindOfVisit {
	return []kindOfVisit{
		{name: "a claim is found, whose token nobody sent", provider: "hold", before: (*world).diesBeforeSending, stalls: v1alpha1.OutcomeUnknownReason},
		{name: "a claim is found, whose token was spent", provider: "hold", before: (*world).diesAfterSending, stalls: v1alpha1.OutcomeUnknownReason},
		{name: "a claim is found under RetryOnce, whose token nobody sent", provider: "retry", before: (*world).diesBeforeSending},
		{name: "a claim is found under RetryOnce, whose token was spent", provider: "retry", before: (*world).diesAfterSending, stalls: v1alpha1.RotatedTokenLostReason},
		{name: "a claim is found inside the reuse window", provider: "window", before: (*world).diesAfterSending},
		{name: "a proven token was sent, and its successor is lost inside the reuse window", provider: "auto-window", before: (*world).diesAfterSending, stalls: v1alpha1.ReauthorizationRequiredReason},
		{name: "a proven token was sent, and the reply is lost", provider: "auto-never", before: (*world).diesAfterSending},
		{name: "the reply is found in the spool", provider: "hold", before: (*world).diesBeforeSaving},
		{name: "the reply to a proven token is found in the spool", provider: "auto-begins", before: func(w *world) {
			w.rest()
			w.rotateFromNowOn()
			w.diesBeforeSaving()
		}},
		{name: "the target is behind the state", provider: "hold", before: (*world).diesBeforePublishing},
		{name: "the status is behind the target", provider: "hold", before: (*world).diesBeforeReporting},
	}
}

func deedsOfUsers() []kindOfVisit {
	newSeed := func(w *world) { w.giveSeed(w.authorize()) }
	suspend := func(w *world) { w.editShop(func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = true }) }
	resume := func(w *world) { w.editShop(func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = false }) }
	deleted := func(w *world) { w.must(w.api.remove(credentials, shop)) }
	withoutTarget := func(w *world) { w.must(w.api.remove(secrets, targetOf(shop))) }
	return []kindOfVisit{
		{name: "the target of a single-use token is deleted", provider: "hold", before: (*world).rest, cause: withoutTarget},
		{name: "the target of a reusable token is deleted", provider: "reusable", before: (*world).rest, cause: withoutTarget},
		{name: "the target of a proven token is deleted", provider: "auto-never", before: (*world).rest, cause: withoutTarget},
		{name: "the target holds something else", provider: "hold", before: (*world).rest, cause: func(w *world) {
			change(w.api, secrets, targetOf(shop), func(s *corev1.Secret) { s.Data = map[string][]byte{"other": []byte("thing")} })
		}},
		{name: "the seed is replaced", provider: "hold", before: (*world).rest, cause: newSeed},
		{name: "the seed of a proven token is replaced", provider: "auto-never", before: (*world).rest, cause: newSeed},
		{name: "the reusable seed is replaced", provider: "reusable", before: (*world).rest, cause: newSeed},
		{name: "the spent seed is put back", provider: "hold", before: func(w *world) {
			w.rest()
			newSeed(w)
			w.done()
			w.rest()
		}, cause: func(w *world) { w.put(seedName, map[string]string{"refresh_token": w.seeds[0]}) }},
		{name: "writeBack is turned on", provider: "hold", before: (*world).rest, cause: (*world).writeBack},
		{name: "the credential is suspended as its renewal is due", provider: "hold", before: (*world).rest, cause: func(w *world) {
			suspend(w)
			w.renewalIsDue()
		}},
		{name: "the reply is found in the spool of a credential that was suspended since", provider: "hold", before: (*world).diesBeforeSaving, cause: suspend},
		{name: "the credential is resumed after its token has expired", provider: "hold", before: func(w *world) {
			w.rest()
			suspend(w)
			w.done()
			w.rest()
			w.now = w.now.Add(2 * lifetime)
			w.rest()
		}, cause: resume},
		{name: "the credential is deleted", provider: "hold", before: (*world).rest, cause: deleted},
		{name: "the credential is made again", provider: "hold", before: func(w *world) {
			w.rest()
			deleted(w)
			w.done()
			w.rest()
		}, cause: func(w *world) { w.createCredential(shop) }},
	}
}

// losses are what a person has to mend, and what happens once one has.
func losses() []kindOfVisit {
	mistype := func(w *world) { w.mistype() }
	wrongApp := func(w *world) {
		w.appWrong = true
		w.correctApp(false)
		w.renewalIsDue()
	}
	after := func(cause func(*world)) func(*world) {
		return func(w *world) {
			w.rest()
			cause(w)
			w.done()
			w.rest()
		}
	}
	return []kindOfVisit{
		{name: "the seed is mistyped", provider: "hold", before: (*world).rest, cause: mistype, stalls: v1alpha1.ReauthorizationRequiredReason},
		{name: "a mistyped seed is mended", provider: "hold", before: after(mistype), cause: func(w *world) {
			w.put(seedName, map[string]string{"refresh_token": w.seeds[0]})
		}},
		{name: "the app is wrong", provider: "hold", before: (*world).rest, cause: wrongApp, stalls: v1alpha1.AppRejectedReason},
		{name: "the app is corrected", provider: "hold", before: after(wrongApp), cause: func(w *world) {
			w.appWrong = false
			w.correctApp(true)
		}},
		{name: "the seed is mistyped, and there is a login", provider: "login", before: (*world).rest, cause: mistype},
		{name: "the refresh token was revoked, and there is a login", provider: "login", before: (*world).rest, cause: (*world).revoke},
		{name: "a reusable seed is mistyped, and there is a login", provider: "reusable-login", before: (*world).rest, cause: mistype},
		{name: "a reusable token was revoked, and there is a login", provider: "reusable-login", before: (*world).rest, cause: func(w *world) {
			grant, _ := w.simulator.GrantOf(w.seed())
			w.simulator.Revoke(grant.ID)
			w.renewalIsDue()
		}},
		{name: "a proven token was revoked, and there is a login", provider: "auto-login", before: (*world).rest, cause: (*world).revoke},
		{name: "a token is renewed after its grant was revoked, by a login", provider: "auto-login", before: after((*world).revoke), cause: (*world).renewalIsDue},
		{name: "the refresh token was revoked", provider: "hold", before: (*world).rest, cause: (*world).revoke, stalls: v1alpha1.ReauthorizationRequiredReason},
		{name: "a new seed follows a refusal", provider: "hold", before: after((*world).revoke), cause: func(w *world) { w.giveSeed(w.authorize()) }},
		{name: "a new seed follows an unknown outcome", provider: "hold", before: func(w *world) {
			w.diesAfterSending()
			w.rest()
		}, cause: func(w *world) { w.giveSeed(w.authorize()) }},
		{name: "the policy becomes RetryOnce after an unknown outcome", provider: "hold", before: func(w *world) {
			w.diesBeforeSending()
			w.rest()
		}, cause: func(w *world) {
			w.editShop(func(c *v1alpha1.TokenCredential) { c.Spec.OnUnknownOutcome = v1alpha1.RetryOnce })
		}},
		{name: "the state is restored from a backup", provider: "hold", before: (*world).rest, cause: (*world).restoreState, stalls: v1alpha1.RestoredFromBackupReason},
		{name: "a new seed follows a restored state", provider: "hold", before: after((*world).restoreState), cause: func(w *world) { w.giveSeed(w.authorize()) }},
		{name: "etcd is put back to before there was a state", provider: "hold", before: (*world).rest, cause: func(w *world) {
			w.etcdIsPutBack(w.api.since(credentials, shop, w.api.credential(shop).UID))
		}, stalls: v1alpha1.RestoredFromBackupReason},
		{name: "etcd is put back to before another seed was adopted", provider: "hold", before: (*world).rest, cause: func(w *world) {
			w.giveSeed(w.authorize())
			w.done()
			given := w.api.latest
			w.rest()
			w.etcdIsPutBack(given)
		}, stalls: v1alpha1.RestoredFromBackupReason},
		{name: "a second credential is created on the seed", provider: "hold", before: (*world).rest, cause: func(w *world) {
			w.names = append(w.names, twin)
			w.createCredential(twin)
		}},
	}
}

// editShop changes the credential as a user does.
func (w *world) editShop(how func(*v1alpha1.TokenCredential)) { change(w.api, credentials, shop, how) }

// renewalIsDue lets time pass until it is, and no token has expired.
func (w *world) renewalIsDue() { w.now = w.now.Add(lifetime * 9 / 10) }

func (w *world) writeBack() {
	w.writesBack = true
	w.editShop(func(c *v1alpha1.TokenCredential) { c.Spec.RefreshTokenSecretRef.WriteBack = true })
}

func (w *world) restWithWriteBack() {
	w.rest()
	w.writeBack()
	w.done()
	w.rest()
}

// revoke has the provider end the grant, and the renewal come that finds it out.
func (w *world) revoke() {
	grant, _ := w.simulator.GrantOf(w.state(shop).refreshToken)
	w.simulator.Revoke(grant.ID)
	w.renewalIsDue()
}

// restoreState puts the state back as it was before the last renewal, under another UID.
func (w *world) restoreState() {
	backup := w.api.secret(stateOf(shop)).DeepCopy()
	w.renewalIsDue()
	w.rest()
	backup.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: backup.Name, Labels: backup.Labels, Annotations: backup.Annotations}
	w.restored = true
	w.must(w.api.remove(secrets, backup.Name))
	w.must(w.api.create(secrets, backup))
	w.restartAll()
}

// etcdIsPutBack to a revision, and the processes begin again, as they do then.
func (w *world) etcdIsPutBack(revision uint64) {
	w.rollBackTo(revision)
	w.noticePutBack()
}

func (w *world) diesBeforeSending() {
	w.diesAt(killedBefore, func(v *visit) bool { return v.at.verb == "send" })
}

func (w *world) diesAfterSending() {
	w.diesAt(killedAfter, func(v *visit) bool { return v.at.verb == "send" })
}

// diesBeforeSaving dies with the reply in the spool alone.
func (w *world) diesBeforeSaving() {
	w.diesAt(killedBefore, func(v *visit) bool { return v.brings != "" && v.at.name == stateOf(shop) })
}

func (w *world) diesBeforePublishing() {
	w.diesAt(killedBefore, func(v *visit) bool { return v.brings != "" && v.at.name == targetOf(shop) && v.at.verb != "get" })
}

func (w *world) diesBeforeReporting() {
	w.diesAt(killedBefore, func(v *visit) bool { return v.at.verb == "patch status" })
}

// diesAt has the process die in the renewal after the first, in the same pod.
func (w *world) diesAt(decided fate, here func(*visit) bool) {
	w.rest()
	w.renewalIsDue()
	p, hasDied := w.replicas[0].process, false
	w.script = func(v *visit) fate {
		if hasDied = hasDied || here(v); hasDied {
			return decided
		}
		return done
	}
	w.visitToTheEnd(p, shop)
	for _, name := range p.unwritten() {
		if !p.killed {
			w.toItsEnd(p.write(name))
		}
	}
	w.script = nil
	if !hasDied {
		w.t.Fatalf("the simulation itself fails: the process has not come to where it was to die")
	}
}
