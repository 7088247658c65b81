// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

// TestASlipInATemplateIsExplained writes in a template what is known elsewhere alone.
func TestASlipInATemplateIsExplained(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Bearer ${accessTokn}":    "data[a]:1:10: undeclared reference to 'accessTokn': did you mean accessToken?",
		"${refreshToken}":         "data[a]:1:3: undeclared reference to 'refreshToken': a refresh token never goes to the target",
		"${body.mac_key}":         "undeclared reference to 'body': known only in the description of a provider: what it reads of a reply is in outputs",
		"${app.key}":              "undeclared reference to 'app': known only in the description of a provider",
		"${outputs.mackey}":       "undeclared field 'mackey' of outputs (it has mac_key): did you mean mac_key?",
		"${expiresAt = 1}":        "data[a]:1:13: '=' is no comparison: write '=='",
		"${accessToken":           "data[a]:1:1: '${' is not closed",
		"${mac_key}":              "did you mean outputs.mac_key?",
		`{"t": "${accessToken.x}`: "data[a]:1:21: accessToken is of type string, which has no fields",
	} {
		_, err := render.NewCompiler().Compile(t.Context(), "team", v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Data: map[string]string{"a": text}}}, []string{"mac_key"}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
