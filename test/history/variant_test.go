// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"io"
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
)

// Where a credential may point: to the provider, or to a host that refuses all that comes.
const (
	homeURL       = "https://id.example/oauth/token"
	elsewhereHost = "elsewhere.example"
	elsewhereURL  = "https://" + elsewhereHost + "/oauth/token"
)

// variant is a kind of provider.
type variant struct {
	name     string
	policy   v1alpha1.UnknownOutcomePolicy
	window   time.Duration
	revokes  bool // reuse revokes the family
	reusable bool // a refresh token works again and again
	login    bool // beside the refresh token
	// auto is how the server treats a refresh token of which rotation.mode Auto finds out
	// whether it works once; empty: the mode says what is so.
	auto serverHabit
}

// serverHabit is when a server gives another refresh token.
type serverHabit string

// Habits of the servers that rotation.mode Auto meets.
const (
	neverRotates  serverHabit = "never"
	alwaysRotates serverHabit = "always"
	rotatesAtTime serverHabit = "now and then" // with each n-th refresh
	beginsLater   serverHabit = "begins later" // after years, and from then on always
)

// variants of providers. RetryOnce where reuse revokes the family is none of
// them: it is not safe, which is why such a provider declares Hold.
func variants() []variant {
	return []variant{
		{name: "hold", policy: v1alpha1.Hold},
		{name: "hold-revokes", policy: v1alpha1.Hold, revokes: true},
		{name: "retry", policy: v1alpha1.RetryOnce},
		{name: "window", policy: v1alpha1.Hold, window: 3 * time.Minute},
		{name: "window-retry", policy: v1alpha1.RetryOnce, window: 3 * time.Minute},
		{name: "login", policy: v1alpha1.Hold, login: true},
		{name: "reusable", policy: v1alpha1.Hold, reusable: true},
		{name: "reusable-login", policy: v1alpha1.Hold, reusable: true, login: true},
		{name: "auto", policy: v1alpha1.Hold, auto: alwaysRotates},
		{name: "auto-never", policy: v1alpha1.Hold, auto: neverRotates},
		{name: "auto-now-and-then", policy: v1alpha1.Hold, auto: rotatesAtTime},
		{name: "auto-retry", policy: v1alpha1.RetryOnce, auto: rotatesAtTime},
		{name: "auto-window", policy: v1alpha1.Hold, auto: rotatesAtTime, window: 3 * time.Minute},
		{name: "auto-begins", policy: v1alpha1.Hold, auto: beginsLater},
		{name: "auto-begins-revokes", policy: v1alpha1.Hold, auto: beginsLater, revokes: true},
		{name: "auto-login", policy: v1alpha1.Hold, auto: beginsLater, login: true},
	}
}

// spec of a provider: the built-in oauth2 with another way of rotation, and with a
// login beside it.
func (v variant) spec(oauth2 v1alpha1.ClusterTokenProviderSpec) v1alpha1.ClusterTokenProviderSpec {
	spec := *oauth2.DeepCopy()
	spec.Rotation.OnUnknownOutcome = v.policy
	spec.Rotation.ReuseWindow = &v1alpha1.Duration{Duration: metav1.Duration{Duration: v.window}}
	switch {
	case v.reusable:
		spec.Rotation.Mode = v1alpha1.Reusable
	case v.auto == "":
		spec.Rotation.Mode = v1alpha1.SingleUse
	}
	if v.login {
		login := *spec.Refresh.DeepCopy()
		login.Request.Form = maps.Clone(login.Request.Form)
		delete(login.Request.Form, "refresh_token")
		login.Request.Form["grant_type"] = "password"
		login.Request.Form["username"], login.Request.Form["password"] = "${login.username}", "${login.password}"
		spec.Login = &login
		spec.Inputs.RefreshToken = v1alpha1.Optional
		spec.Inputs.Login = []v1alpha1.SecretKey{"username", "password"}
	}
	return spec
}

// shared is what histories have in common, and does not change.
type shared struct {
	catalog *inputs.Catalog
	metrics *metrics.Metrics
	// directory for spools, in memory where the system has one.
	directory string
	stats     stats
	began     time.Time
	reports   io.Writer // nil: nobody asked
	reported  time.Time
}

// newShared compiles the providers.
func newShared(directory string) (*shared, error) {
	builtIns, err := builtin.Specs()
	if err != nil {
		return nil, err
	}
	specs := map[string]v1alpha1.ClusterTokenProviderSpec{}
	for _, each := range variants() {
		specs[each.name] = each.spec(builtIns["oauth2"])
	}
	catalog, err := inputs.NewCatalog(nil, specs, []string{"*"})
	return &shared{catalog: catalog, metrics: metrics.New(prometheus.NewRegistry()), directory: directory, reports: openReports()}, err
}

// newCredential is what a user creates.
func (v variant) newCredential(name string) *v1alpha1.TokenCredential {
	credential := &v1alpha1.TokenCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.TokenCredentialSpec{
			ProviderRef:           v1alpha1.ProviderReference{Kind: v1alpha1.BuiltInProvider, Name: v.name},
			Parameters:            map[string]string{"tokenURL": homeURL},
			AppSecretRef:          &v1alpha1.AppSecretReference{Name: appName},
			RefreshTokenSecretRef: &v1alpha1.RefreshTokenSecretReference{Name: seedName},
			Renewal:               v1alpha1.Renewal{Percentage: 80},
			Target: v1alpha1.Target{
				Name:     v1alpha1.SecretName(targetOf(name)),
				Template: &v1alpha1.TargetTemplate{Data: map[string]string{"access_token": "${accessToken}"}}, // one alone: each visit compiles them
			},
		},
	}
	if v.login {
		credential.Spec.LoginSecretRef = &v1alpha1.LoginSecretReference{Name: loginName}
	}
	return credential
}
