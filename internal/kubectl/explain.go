// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/compile"
)

func (p *plugin) explain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain NAME",
		Short: "Say what a provider needs and does, with manifests to fill in",
		Example: `  kubectl tokencredential provider explain xiaomi

  # the manifests alone, to fill in and apply
  kubectl tokencredential provider explain xiaomi | sed '1,/^---/d'`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, names []string) error {
			spec, kind, err := p.specOf(command.Context(), names[0])
			if err != nil {
				return err
			}
			compiled, err := compile.Provider(names[0], spec)
			if err != nil {
				return err
			}
			p.printf("%s", explanation(compiled, spec, kind))
			return nil
		},
	}
}

// rotations says in a sentence what becomes of a refresh token that was used.
var rotations = map[v1alpha1.RotationMode]string{
	v1alpha1.Auto:      "a refresh token counts as working once until a reply has left it as it was",
	v1alpha1.SingleUse: "a refresh token works once; its successor is saved before anything else is done",
	v1alpha1.Reusable:  "a refresh token may be used again, so none can be lost",
}

func explanation(compiled *provider.Provider, spec v1alpha1.ClusterTokenProviderSpec, kind v1alpha1.ProviderKind) string {
	var b strings.Builder
	line := func(label, format string, arguments ...any) {
		fmt.Fprintf(&b, "%-15s%s\n", label, fmt.Sprintf(format, arguments...))
	}
	line("Provider", "%s (%s)", compiled.Name, kind)
	line("Description", "%s", spec.Description)
	if spec.Documentation != "" {
		line("Documentation", "%s", spec.Documentation)
	}
	line("App", "%s", compiled.App)
	line("Refresh token", "%s", compiled.RefreshToken)
	if len(compiled.LoginKeys) > 0 {
		line("Login", "keys %s", strings.Join(compiled.LoginKeys, ", "))
	}
	if compiled.ClientCertificate != v1alpha1.None {
		line("Certificate", "%s", compiled.ClientCertificate)
	}
	if compiled.ServiceAccountToken != nil {
		line("Account", "a token of spec.serviceAccountName is sent")
	}
	if ways := waysToLogin(compiled.Authorize); ways != "" {
		line("First token", "kubectl tokencredential login, by %s", ways)
	}
	for _, parameter := range spec.Inputs.Parameters {
		line("Parameter", "%s", parameterLine(parameter))
	}
	if sentence := rotations[compiled.Rotation.Mode]; compiled.Refresh != nil && sentence != "" {
		line("Rotation", "%s: %s", compiled.Rotation.Mode, sentence)
	}
	if lifetime := spec.Lifetime.AccessToken; lifetime != nil {
		line("Lifetime", "%s where a reply states none", lifetime.OrDefault(0))
	}
	if len(compiled.Outputs) > 0 {
		line("Outputs", "%s", strings.Join(compiled.Outputs, ", "))
	}
	b.WriteString(skeleton(compiled, spec, kind))
	return b.String()
}

// waysToLogin are the ways in which a person can authorize; empty where none is described.
func waysToLogin(authorize *provider.Authorize) string {
	var ways []string
	if authorize != nil && authorize.Page != nil {
		ways = append(ways, "a browser")
	}
	if authorize != nil && authorize.Device != nil {
		ways = append(ways, "another device")
	}
	return strings.Join(ways, " or ")
}

func parameterLine(parameter v1alpha1.ProviderParameter) string {
	text := parameter.Name
	switch {
	case parameter.Required:
		text += ", required"
	case parameter.Default != nil:
		text += fmt.Sprintf(", default %q", *parameter.Default)
	}
	if parameter.Description != "" {
		text += ": " + parameter.Description
	}
	return text
}

// skeleton are manifests to fill in.
func skeleton(compiled *provider.Provider, spec v1alpha1.ClusterTokenProviderSpec, kind v1alpha1.ProviderKind) string {
	var b strings.Builder
	secret := func(name string, keys ...string) {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData:\n", name)
		for _, key := range keys {
			fmt.Fprintf(&b, "  %s: FILL-IN\n", key)
		}
	}
	var references strings.Builder
	if compiled.App != v1alpha1.None {
		secret("my-app", "app_key", "app_secret")
		references.WriteString("  appSecretRef: {name: my-app}\n")
	}
	if compiled.RefreshToken == v1alpha1.Required || compiled.RefreshToken == v1alpha1.Optional && len(compiled.LoginKeys) == 0 {
		secret("my-refresh-token", "refresh_token")
		references.WriteString("  refreshTokenSecretRef: {name: my-refresh-token}\n")
	}
	if len(compiled.LoginKeys) > 0 {
		secret("my-login", compiled.LoginKeys...)
		references.WriteString("  loginSecretRef: {name: my-login}\n")
	}
	b.WriteString("---\napiVersion: tokenkeeper.io/v1alpha1\nkind: TokenCredential\nmetadata: {name: my-token}\nspec:\n")
	fmt.Fprintf(&b, "  providerRef: {kind: %s, name: %s}\n", kind, compiled.Name)
	parameters := ""
	for _, parameter := range spec.Inputs.Parameters {
		if parameter.Required {
			parameters += fmt.Sprintf("    %s: FILL-IN\n", parameter.Name)
		}
	}
	if parameters != "" {
		b.WriteString("  parameters:\n" + parameters)
	}
	return b.String() + references.String()
}
