// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Next is what a person does about a credential now, each with its command.
func Next(c *v1alpha1.TokenCredential) []string {
	telling := Telling(c)
	seed := "the refresh token's Secret"
	if c.Spec.RefreshTokenSecretRef != nil {
		seed = fmt.Sprintf("the Secret %s, key %s", c.Spec.RefreshTokenSecretRef.Name, keyOf(c.Spec.RefreshTokenSecretRef))
	}
	login := fmt.Sprintf("kubectl tokencredential login %s -n %s --reauthorize", c.Name, c.Namespace)
	authorize := "have a user go through the provider's consent screen again: " + login
	byHand := "or put a new refresh token into " + seed
	resume := fmt.Sprintf("kubectl tokencredential resume %s -n %s", c.Name, c.Namespace)
	try := fmt.Sprintf("kubectl tokencredential refresh %s -n %s --wait", c.Name, c.Namespace)
	switch StateOf(c) {
	case Ready:
		if telling.Type != v1alpha1.RefreshedCondition { // else the token is good still, and its renewal fails
			return []string{"nothing"}
		}
	case Suspended:
		return []string{"it is suspended and is not renewed: " + resume}
	case Unseen:
		return []string{"is an operator at work, and does it watch this namespace? kubectl tokencredential check"}
	case NotReady, Stalled:
	}
	switch telling.Reason {
	case v1alpha1.ReauthorizationRequiredReason, v1alpha1.RotatedTokenLostReason:
		return []string{authorize, byHand}
	case v1alpha1.RestoredFromBackupReason:
		return []string{
			authorize,
			byHand,
			fmt.Sprintf(`or, where you know that the token was not used since: kubectl annotate tokencredential %s -n %s --overwrite %s="$(date +%%s)"`, c.Name, c.Namespace, v1alpha1.TrustRestoredAnnotation),
		}
	case v1alpha1.SecretNotFoundReason:
		if steps := creations(c, telling.Message); len(steps) > 0 {
			return steps
		}
	case v1alpha1.OutcomeUnknownReason:
		return []string{
			authorize,
			byHand,
			fmt.Sprintf(`or, where the provider merely refuses a spent token, send it once more: kubectl patch tokencredential %s -n %s --type merge -p '{"spec":{"onUnknownOutcome":"RetryOnce"}}'`, c.Name, c.Namespace),
		}
	case v1alpha1.AppRejectedReason:
		if c.Spec.AppSecretRef != nil {
			return []string{fmt.Sprintf("correct the app's key and secret: kubectl edit secret %s -n %s", c.Spec.AppSecretRef.Name, c.Namespace)}
		}
	case v1alpha1.SuspendedReason:
		return []string{resume}
	case v1alpha1.ProviderUnavailableReason, v1alpha1.RateLimitedReason:
		return []string{"it is tried again by itself. To try now: " + try}
	}
	return []string{"do what the message above says. It is tried again once that is changed"}
}

// creations are the commands that make the Secrets which a message says do not exist. The
// values come from files, so that no shell's history has them.
func creations(c *v1alpha1.TokenCredential, message string) []string {
	var steps []string
	create := func(name v1alpha1.SecretName, keys ...string) {
		if !strings.Contains(message, fmt.Sprintf("the Secret %q", name)) {
			return
		}
		step := fmt.Sprintf("kubectl create secret generic %s -n %s", name, c.Namespace)
		for _, key := range keys {
			step += fmt.Sprintf(" --from-file=%s=FILE", key)
		}
		steps = append(steps, step)
	}
	if app := c.Spec.AppSecretRef; app != nil {
		create(app.Name, cmp.Or(string(app.KeyField), "app_key"), cmp.Or(string(app.SecretField), "app_secret"))
	}
	if seed := c.Spec.RefreshTokenSecretRef; seed != nil {
		create(seed.Name, keyOf(seed))
	}
	return steps
}

// keyOf is the key of a refresh token's Secret.
func keyOf(reference *v1alpha1.RefreshTokenSecretReference) string {
	if reference.Key == "" {
		return "refresh_token"
	}
	return string(reference.Key)
}
