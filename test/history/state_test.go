// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	keydigest "github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/recovery"
	kept "github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// stored is what the machine reads of a state Secret.
type stored struct {
	exists       bool
	refreshToken string
	previous     string
	accessToken  string
	seed         string
	spent        string
	attempt      *rotation.Attempt
	proves       bool   // a proof of the refresh token is there
	provenIn     string // the attempt in which it was proven
	refused      bool   // the refresh token is known not to be accepted, and a login takes its place
	restored     bool   // a copy
	host         string // to which the refresh token belongs; empty: to none yet
}

func (w *world) state(credential string) stored {
	secret := w.api.secret(stateOf(credential))
	if secret == nil {
		return stored{}
	}
	return w.read(secret)
}

func (w *world) read(secret *corev1.Secret) stored {
	s := stored{
		exists:       true,
		refreshToken: string(secret.Data["refresh_token"]),
		previous:     string(secret.Data["previous_refresh_token"]),
		accessToken:  string(secret.Data["access_token"]),
		seed:         string(secret.Data["seed"]),
		spent:        string(secret.Data["spent"]),
	}
	refused := string(secret.Data["refused"])
	s.refused = refused != "" && refused == kept.New(s.refreshToken).Digest()
	if attempt := secret.Data["attempt"]; attempt != nil {
		w.must(json.Unmarshal(attempt, &s.attempt))
	}
	if proof := secret.Data["proven"]; proof != nil {
		var proven rotation.Proof
		w.must(json.Unmarshal(proof, &proven))
		s.proves, s.provenIn = true, proven.Attempt
	}
	var identity rotation.Identity
	if encoded := secret.Data["identity"]; encoded != nil {
		w.must(json.Unmarshal(encoded, &identity))
	}
	var origin struct {
		RefreshToken rotation.Origin `json:"refreshToken"`
	}
	if encoded := secret.Data["origin"]; encoded != nil {
		w.must(json.Unmarshal(encoded, &origin))
	}
	s.host = strings.TrimPrefix(origin.RefreshToken.Refresh, "https://")
	s.restored = identity.Secret != "" && identity.Secret != string(secret.UID)
	return s
}

// exchange names that whose reply may be in a spool.
func (s stored) exchange() string {
	if s.attempt != nil {
		return s.attempt.ID
	}
	return s.provenIn
}

// claim is what the machine knows of an attempt in a state.
type claim struct {
	process *process
	made    time.Time
	// courier that is to carry its exchange, and that exchange; nil: none. What came of it
	// is clear, or it is not; or nothing was sent.
	courier            *carrier
	exchange           *visit
	isClear, isUnclear bool
}

// obtained is the last access token that a credential got.
type obtained struct {
	at       time.Time // of its issue
	recorded uint64    // the version of the API server that shows it
	version  int       // of what users had done by then, as its reconcile saw it; 0: not known
}

// noteWrite judges what the operator writes, as it is written.
func (w *world) noteWrite(_ kind, before, after client.Object) {
	switch after := after.(type) {
	case *v1alpha1.TokenCredential:
		if before, ok := before.(*v1alpha1.TokenCredential); ok && w.writer != nil {
			w.judgeStatus(before, after)
		}
	case *corev1.Secret:
		before, _ := before.(*corev1.Secret)
		switch {
		case after.Type == v1alpha1.StateSecretType:
			w.judgeState(before, after)
		case len(after.Data["access_token"]) > 0:
			w.judgeTarget(before, after)
		}
	}
}

// judgeStatus: what one process says is not undone by another that is behind.
func (w *world) judgeStatus(before, after *v1alpha1.TokenCredential) {
	w.judgeHidden(after)
	w.judgeKeyed(after)
	if w.stateDeleted || w.restored || before.Status.LastRefreshTime == nil || after.Status.LastRefreshTime == nil {
		return
	}
	if after.Status.RefreshCount < before.Status.RefreshCount && after.Status.LastRefreshTime.Before(before.Status.LastRefreshTime) {
		w.violated(fmt.Sprintf("the status of %s falls back from token %d to %d", after.Name, before.Status.RefreshCount, after.Status.RefreshCount))
	}
}

// judgeKeyed: nobody can check a guess at a token by what a status has of it.
func (w *world) judgeKeyed(credential *v1alpha1.TokenCredential) {
	var digests []string
	if last := credential.Status.LastAttempt; last != nil {
		digests = append(digests, last.RefusedToken)
	}
	if state := credential.Status.StateSecret; state != nil {
		digests = append(digests, state.Seed)
	}
	for _, each := range digests {
		if keydigest.IsPlain(each) {
			w.violated(fmt.Sprintf("the status of %s has a digest that is not keyed", credential.Name))
		}
	}
}

// isAboutTarget matches a message that begins with the failure to write a target.
var isAboutTarget = regexp.MustCompile("^the API server [a-z ]* write the target Secret")

// judgeHidden: what keeps the token from the target does not hide that the refresh token
// may be lost.
func (w *world) judgeHidden(credential *v1alpha1.TokenCredential) {
	last, refreshed := credential.Status.LastAttempt, meta.FindStatusCondition(credential.Status.Conditions, v1alpha1.RefreshedCondition)
	if last == nil || refreshed == nil || !slices.Contains(tellingReasons, last.Reason) {
		return
	}
	if refreshed.Reason != last.Reason && isAboutTarget.MatchString(refreshed.Message) {
		w.violated(fmt.Sprintf("%s of %s is hidden by %s: %s", last.Reason, credential.Name, refreshed.Reason, refreshed.Message))
	}
}

// judgeState: nobody ends the claim of another process that is alive and may be at it,
// except for a new seed.
func (w *world) judgeState(before, after *corev1.Secret) {
	now, was := w.read(after), stored{}
	if before != nil {
		was = w.read(before)
	}
	if now.accessToken != "" {
		w.stateTokens[now.accessToken] = true
	}
	if w.writer == nil {
		return
	}
	for _, v := range w.writer.visits { // a reply whose successor is kept behind a newer seed
		if v.brings != "" && v.holds != "" && v.holds == now.previous {
			w.stateTokens[v.brings] = true
		}
		if v.brings != "" && v.sent == "" && now.proves { // a login, beside a token that another has proven meanwhile
			w.stateTokens[v.brings] = true
		}
	}
	if w.putBack && w.writer.unaware { // what it writes looks like progress to the others
		w.forgotten = true
		for _, r := range w.replicas {
			r.process.unaware = true
		}
	}
	name := credentialOf(after.Name)
	if attempt := now.attempt; attempt != nil && w.claims[attempt.ID] == nil {
		w.claims[attempt.ID] = w.writer.link.noteClaim(&claim{process: w.writer, made: w.now}, name, attempt)
	}
	w.traceWrite(now)
	if now.host == elsewhereHost {
		w.fateOf(now.refreshToken).boundElsewhere = true
	}
	w.judgeRetry(name, was, now)
	if now.accessToken != was.accessToken && !w.isRequested(name) {
		w.noteObtained(name, now.accessToken)
	}
	if was.attempt != nil && now.seed != was.seed {
		w.fateOf(was.refreshToken).abandoned = true
	}
	if was.attempt == nil || now.attempt != nil && now.attempt.ID == was.attempt.ID || now.seed != was.seed {
		return
	}
	of := w.claims[was.attempt.ID]
	if of != nil && of.process != w.writer && !of.process.killed && w.now.Sub(of.made) < recovery.HolderTimeout {
		w.violated(fmt.Sprintf("%s ends the claim of %s, which is alive and may be at it", w.writer.name, of.process.name))
	}
}

// judgeTarget: no target ever shows an access token that no state held.
func (w *world) judgeTarget(before, target *corev1.Secret) {
	token := string(target.Data["access_token"])
	if !w.variant.reusable && !w.stateTokens[token] {
		w.violated(fmt.Sprintf("the target %s holds %s, which no state ever held", target.Name, token))
	}
	name := target.Name[:len(target.Name)-len(targetOf(""))]
	if w.state(name).attempt != nil {
		return // the token is that of before, in a target that was gone: what became of the claim may call for a login
	}
	if before == nil || string(before.Data["access_token"]) != token {
		w.noteObtained(name, token)
	}
}

// isRequested reports whether a refresh is asked for that the status does not echo: the
// target alone says that it was answered. A second leader may not have seen the answer.
func (w *world) isRequested(name string) bool {
	credential := w.api.credential(name)
	if credential == nil {
		return false
	}
	return credential.RefreshRequested() || len(w.replicas) > 1 && credential.Annotations[v1alpha1.RefreshAtAnnotation] != ""
}

// noteObtained notes that a credential has got an access token.
func (w *world) noteObtained(credential, token string) {
	if w.writer == nil || w.tried[credential] {
		return
	}
	got := obtained{at: w.issued[token], recorded: w.api.latest}
	for _, v := range w.writer.visits {
		if v.activity == reconciles && v.credential == credential {
			got.version = v.version
		}
	}
	w.obtained[credential] = got
}

func credentialOf(state string) string { return state[:len(state)-len(v1alpha1.StateSecretSuffix)] }
