// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Step is something that a person does.
type Step struct {
	// Words say what it is; Command does it, as it is typed. Where it is empty, there is none.
	Words, Command string
}

// Next is what a person does about a credential now.
func Next(c *v1alpha1.TokenCredential) []Step {
	telling := Telling(c)
	switch StateOf(c) {
	case Ready:
		if telling.Type != v1alpha1.RefreshedCondition { // else the token is good still, and its renewal fails
			return []Step{{Words: "nothing"}}
		}
	case Suspended:
		return []Step{resumption(c, "it is suspended and is not renewed")}
	case Unseen:
		return []Step{{"is an operator at work, and does it watch this namespace?", "kubectl tokencredential check"}}
	case NotReady, Stalled:
	}
	switch telling.Reason {
	case v1alpha1.ReauthorizationRequiredReason, v1alpha1.RotatedTokenLostReason:
		if c.Spec.RefreshTokenSecretRef == nil { // it lives on a login
			break
		}
		return authorization(c)
	case v1alpha1.RestoredFromBackupReason:
		return append(authorization(c), Step{"or, where you know that the token was not used since:",
			of(c, `kubectl annotate tokencredential %s -n %s --overwrite `+v1alpha1.TrustRestoredAnnotation+`="$(date +%%s)"`)})
	case v1alpha1.OutcomeUnknownReason:
		return append(authorization(c), Step{"or, where the provider merely refuses a spent token, send it once more:",
			of(c, `kubectl patch tokencredential %s -n %s --type merge -p '{"spec":{"onUnknownOutcome":"RetryOnce"}}'`)})
	case v1alpha1.SecretNotFoundReason:
		if steps := creations(c, telling.Message); len(steps) > 0 {
			return steps
		}
	case v1alpha1.AppRejectedReason:
		if app := c.Spec.AppSecretRef; app != nil {
			return []Step{{"correct the app's key and secret:", fmt.Sprintf("kubectl edit secret %s -n %s", app.Name, c.Namespace)}}
		}
	case v1alpha1.ProviderNotFoundReason:
		return []Step{{"see which providers there are:", "kubectl tokencredential providers"}, edit(c)}
	case v1alpha1.InvalidParametersReason:
		return []Step{{"see what the provider wants to know:", "kubectl tokencredential provider explain " + c.Spec.ProviderRef.Name}, edit(c)}
	case v1alpha1.SuspendedReason:
		return []Step{resumption(c, "it is suspended")}
	case v1alpha1.ProviderUnavailableReason, v1alpha1.RateLimitedReason:
		return []Step{{"it is tried again by itself; to try now:", of(c, "kubectl tokencredential refresh %s -n %s --wait")}}
	}
	return []Step{{Words: "do what the message above says. It is tried again once that is changed"}}
}

// of a credential: a command with its name and namespace.
func of(c *v1alpha1.TokenCredential, command string) string {
	return fmt.Sprintf(command, c.Name, c.Namespace)
}

func edit(c *v1alpha1.TokenCredential) Step {
	return Step{"and correct the spec, here or where it is kept:", of(c, "kubectl edit tokencredential %s -n %s")}
}

func resumption(c *v1alpha1.TokenCredential, why string) Step {
	return Step{why + "; to go on:", of(c, "kubectl tokencredential resume %s -n %s")}
}

// authorization brings a new grant: by the plugin, or by hand.
func authorization(c *v1alpha1.TokenCredential) []Step {
	seed := "the refresh token's Secret"
	if ref := c.Spec.RefreshTokenSecretRef; ref != nil {
		seed = fmt.Sprintf("the Secret %s, key %s", ref.Name, keyOf(ref))
	}
	return []Step{
		{"have a user go through the provider's consent screen again:", of(c, "kubectl tokencredential login %s -n %s --reauthorize")},
		{Words: "or put a new refresh token into " + seed},
	}
}

// creations make the Secrets which a message says do not exist. The values come from
// files, so that no shell's history has them.
func creations(c *v1alpha1.TokenCredential, message string) []Step {
	var steps []Step
	create := func(name v1alpha1.SecretName, keys ...string) {
		if !strings.Contains(message, fmt.Sprintf("the Secret %q", name)) {
			return
		}
		step := Step{Words: "create it, with its values from files:", Command: fmt.Sprintf("kubectl create secret generic %s -n %s", name, c.Namespace)}
		for _, key := range keys {
			step.Command += fmt.Sprintf(" --from-file=%s=FILE", key)
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
