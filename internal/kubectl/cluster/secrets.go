// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Secret is one that a credential names.
type Secret struct {
	// What it is to the credential: its app, its seed, its login, its target or its state.
	What            string
	Namespace, Name string
	// Keys that must be there.
	Keys []string
	// ByOperator is true for those that the operator makes.
	ByOperator bool
}

// SecretsOf are the Secrets that a credential names.
func SecretsOf(credential *v1alpha1.TokenCredential) []Secret {
	var all []Secret
	add := func(what, name string, byOperator bool, keys ...string) {
		all = append(all, Secret{what, credential.Namespace, name, keys, byOperator})
	}
	spec := credential.Spec
	if app := spec.AppSecretRef; app != nil {
		add("App", string(app.Name), false, string(cmp.Or(app.KeyField, "app_key")), string(cmp.Or(app.SecretField, "app_secret")))
	}
	if seed := spec.RefreshTokenSecretRef; seed != nil {
		add("Seed", string(seed.Name), false, string(cmp.Or(seed.Key, "refresh_token")))
	}
	if login := spec.LoginSecretRef; login != nil {
		add("Login", string(login.Name), false)
	}
	add("Target", credential.TargetName(), true)
	if credential.Status.StateSecret != nil {
		add("State", credential.StateSecretName(), true)
	}
	return all
}
