// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/tokenkeeper/tokenkeeper/api/v1alpha1"

// RotationMode is what the description says, or nothing where no refresh token is used.
func (d described) RotationMode() string {
	if d.Refresh == nil {
		return ""
	}
	return string(d.compiled.Rotation.Mode)
}

// RotationInShort says in a few words what becomes of a refresh token.
func (d described) RotationInShort() string {
	window := d.compiled.Rotation.ReuseWindow
	switch {
	case d.Refresh == nil:
		return "–"
	case d.compiled.Rotation.Mode == v1alpha1.Reusable:
		return "stays"
	case d.compiled.Rotation.Mode != v1alpha1.SingleUse:
		return "found out"
	case window > 0:
		return "works once; again within " + span(window)
	}
	return "works once"
}

// RotationInWords says what the mode means for whoever keeps a credential.
func (d described) RotationInWords() string {
	rotation := d.compiled.Rotation
	switch {
	case d.Refresh == nil:
		return "There is no refresh token: each access token comes of a login, and a call that fails is simply made again."
	case rotation.Mode == v1alpha1.Reusable:
		return "A refresh token may be sent again, so a call that fails is simply made again."
	}
	text := "A refresh token works once, or nothing says that it works twice, so its successor is saved before anything else. "
	if rotation.Mode != v1alpha1.SingleUse {
		text = "Whether a refresh token works once depends on the server. It is taken to, until one was sent, brought an access token and stayed. "
	}
	if rotation.ReuseWindow > 0 {
		text += "After a call without a clear answer the same token is sent again for " + span(rotation.ReuseWindow) + ", in which the provider honours it; later "
	} else {
		text += "After a call without a clear answer "
	}
	if rotation.OnUnknownOutcome == v1alpha1.RetryOnce {
		return text + "it is sent once more, since the provider merely refuses a spent one."
	}
	return text + "the credential waits for a person ([OutcomeUnknown](../user-guide.md#an-unknown-outcome))."
}
