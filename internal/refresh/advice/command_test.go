// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package advice

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/rotation/twins"
)

// TestWhatAPersonMustDoIsSaidToItsEnd gives names as long as a label, and of a provider as
// many words as are shown.
func TestWhatAPersonMustDoIsSaidToItsEnd(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 63)
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: long, Name: long}}
	credential.Spec.RefreshTokenSecretRef = &v1alpha1.RefreshTokenSecretReference{Name: v1alpha1.SecretName(long), Key: v1alpha1.SecretKey(long), WriteBack: true}
	twin := &twins.Twin{Namespace: long, Credential: long, StateSecret: long}
	for name, message := range map[string]string{
		"refused":     Of(Case{Credential: credential, Inputs: &inputs.Inputs{}}, v1alpha1.ReauthorizationRequiredReason, strings.Repeat("w", 256)),
		"unknown":     Unknown(credential, &rotation.Attempt{Started: time.Unix(0, 0)}, strings.Repeat("w", 256)).Message,
		"lost":        Lost(credential).Message,
		"too large":   LostForSize(credential, 1<<20).Message,
		"restored":    Restored(credential, true).Message,
		"an old seed": Restored(credential, false).Message,
		"a duplicate": Duplicate(credential, twin).Message,
	} {
		if len(message) > problem.MaxMessage {
			t.Errorf("%s: the message has %d bytes, of at most %d: its end would be left out", name, len(message), problem.MaxMessage)
		}
		if !strings.Contains(message, "kubectl tokencredential login "+long+" -n "+long) {
			t.Errorf("%s: the message names no command: %s", name, message)
		}
	}
	credential.Name = strings.Repeat("n", 241)
	if message := Restored(credential, true).Message; strings.Contains(message, "kubectl") {
		t.Errorf("a name that is too long is repeated in a command: %s", message)
	}
}
