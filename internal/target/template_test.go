// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func token() Token {
	return Token{
		AccessToken: secret.New("the-token"),
		TokenType:   "mac",
		ExpiresAt:   noon,
		Outputs:     map[string]any{"scope": "1 3", "openId": int64(9007199254740993)},
		Parameters:  map[string]string{"site": "shop.example.com"},
	}
}

func templated(data map[string]string) v1alpha1.Target {
	return v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Type: "Opaque", Data: data}}
}

func TestRender(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		spec   v1alpha1.Target
		token  func(*Token)
		want   map[string]string
	}{
		"without a template": {
			"the token, its type, its expiry and each output", v1alpha1.Target{}, func(*Token) {},
			map[string]string{"access_token": "the-token", "token_type": "mac", "expires_at": "2026-11-22T12:00:00Z", "scope": "1 3", "openId": "9007199254740993"},
		},
		"an output that the reply lacks": {
			"its key is left out", v1alpha1.Target{}, func(t *Token) { delete(t.Outputs, "scope") },
			map[string]string{"access_token": "the-token", "token_type": "mac", "expires_at": "2026-11-22T12:00:00Z", "openId": "9007199254740993"},
		},
		"an output that is a list": {
			"it is written as JSON, and does not keep the token back", v1alpha1.Target{}, func(t *Token) { t.Outputs = map[string]any{"scope": []any{"a", int64(1)}, "openId": nil} },
			map[string]string{"access_token": "the-token", "token_type": "mac", "expires_at": "2026-11-22T12:00:00Z", "scope": `["a",1]`},
		},
		"no outputs at all": {
			"a reply without outputs is a reply", v1alpha1.Target{}, func(t *Token) { t.Outputs = nil },
			map[string]string{"access_token": "the-token", "token_type": "mac", "expires_at": "2026-11-22T12:00:00Z"},
		},
		"a header": {
			"text around an expression", templated(map[string]string{"AUTHORIZATION": "Bearer ${accessToken}"}), func(*Token) {},
			map[string]string{"AUTHORIZATION": "Bearer the-token"},
		},
		"a literal dollar": {
			"$${ writes ${", templated(map[string]string{"x": "$${accessToken}"}), func(*Token) {},
			map[string]string{"x": "${accessToken}"},
		},
		"a registry's login": {
			"an expression may hold braces and quotes",
			templated(map[string]string{".dockerconfigjson": `${json.encode({"auths": {parameters.site: {"auth": base64.encode(bytes("oauth2:" + accessToken))}}})}`}),
			func(*Token) {},
			map[string]string{".dockerconfigjson": `{"auths":{"shop.example.com":{"auth":"b2F1dGgyOnRoZS10b2tlbg=="}}}`},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := (&Compiler{}).Compile(c.spec, "", []string{"openId", "scope"}, []string{"site"})
			if err != nil {
				t.Fatal(err)
			}
			in := token()
			c.token(&in)
			content, err := template.Render(in)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for key, value := range content.Data {
				got[key] = string(value)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestCompileSaysWhereATemplateIsWrong(t *testing.T) {
	t.Parallel()
	labelled := func(key, value string) v1alpha1.Target {
		return v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Labels: map[string]string{key: value}}}}
	}
	cases := map[string]struct {
		reason string
		spec   v1alpha1.Target
		want   string
	}{
		"an unknown variable":   {"the field, line and column", templated(map[string]string{"x": "Bearer ${token}"}), "spec.target.template.data[x]:1:10"},
		"a refresh token":       {"a refresh token never goes to the target", templated(map[string]string{"x": "${refreshToken}"}), "spec.target.template.data[x]:1:3"},
		"an unknown output":     {"outputs are declared", templated(map[string]string{"x": "${outputs.nope}"}), "nope"},
		"an unknown parameter":  {"parameters are declared", templated(map[string]string{"x": "${parameters.nope}"}), "nope"},
		"a bad label":           {"the API server would refuse it after the token was spent", labelled("a b", "c"), "spec.target.template.metadata.labels[a b]"},
		"a bad value":           {"the API server would refuse it after the token was spent", labelled("a", "b c"), "spec.target.template.metadata.labels[a]"},
		"an unfinished ${ here": {"what is opened is closed", templated(map[string]string{"x": "a ${accessToken"}), "spec.target.template.data[x]:1:"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := (&Compiler{}).Compile(c.spec, "", []string{"scope"}, []string{"site"})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want it to contain %q", c.reason, err, c.want)
			}
		})
	}
}

func TestDigestTellsDriftFromWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		policy v1alpha1.CreationPolicy
		change func(*corev1.Secret)
		drift  bool
	}{
		"nothing":                     {"as written", v1alpha1.OwnerPolicy, func(*corev1.Secret) {}, false},
		"a value":                     {"somebody changed the token", v1alpha1.OwnerPolicy, func(s *corev1.Secret) { s.Data["access_token"] = []byte("x") }, true},
		"a key gone":                  {"somebody deleted a key", v1alpha1.OwnerPolicy, func(s *corev1.Secret) { delete(s.Data, "token_type") }, true},
		"a key more, in ours":         {"the whole Secret is ours", v1alpha1.OwnerPolicy, func(s *corev1.Secret) { s.Data["more"] = []byte("x") }, true},
		"a key more, merged":          {"only the keys are ours", v1alpha1.MergePolicy, func(s *corev1.Secret) { s.Data["more"] = []byte("x") }, false},
		"a value, merged":             {"our keys are ours", v1alpha1.MergePolicy, func(s *corev1.Secret) { s.Data["access_token"] = []byte("x") }, true},
		"a foreign label":             {"labels of others are not our business", v1alpha1.OwnerPolicy, func(s *corev1.Secret) { s.Labels["team"] = "a" }, false},
		"our label gone":              {"what the template sets is ours", v1alpha1.OwnerPolicy, func(s *corev1.Secret) { delete(s.Labels, "app") }, true},
		"a foreign annotation":        {"annotations of others are not our business", v1alpha1.OwnerPolicy, func(s *corev1.Secret) { s.Annotations = map[string]string{"a": "b"} }, false},
		"the managed-by label, ours":  {"it marks what is ours", v1alpha1.OwnerPolicy, func(s *corev1.Secret) { s.Labels[v1alpha1.ManagedByLabel] = "x" }, true},
		"the managed-by label, merge": {"a merged Secret is managed by its owner", v1alpha1.MergePolicy, func(s *corev1.Secret) { s.Labels[v1alpha1.ManagedByLabel] = "x" }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := (&Compiler{}).Compile(v1alpha1.Target{
				CreationPolicy: c.policy,
				Template:       &v1alpha1.TargetTemplate{Metadata: v1alpha1.TargetMetadata{Labels: map[string]string{"app": "shop"}}},
			}, "", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			content, err := template.Render(token())
			if err != nil {
				t.Fatal(err)
			}
			live := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Labels: content.Labels, Annotations: content.Annotations},
				Data:       content.Data,
			}
			before := template.digest(content)
			live = live.DeepCopy()
			c.change(live)
			if drift := template.Digest(live) != before; drift != c.drift {
				t.Errorf("%s: drift %t, want %t", c.reason, drift, c.drift)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "shop", UID: "1"}}
	owned := func(change func(*corev1.Secret)) *corev1.Secret {
		s := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "shop", OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(credential, credentialKind)}},
			Type:       corev1.SecretTypeOpaque,
		}
		change(s)
		return s
	}
	yes := true
	cases := map[string]struct {
		reason string
		policy v1alpha1.CreationPolicy
		live   *corev1.Secret
		want   string // part of the message; "" where nothing stands in the way
	}{
		"our own":              {"what we own we write", v1alpha1.OwnerPolicy, owned(func(*corev1.Secret) {}), ""},
		"an earlier one's":     {"a credential of that name that is gone left it", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.OwnerReferences[0].UID = "0" }), ""},
		"nobody's":             {"a Secret that a user made is not overwritten", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.OwnerReferences = nil }), "Merge"},
		"another's":            {"what someone else owns is never touched", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.OwnerReferences[0].Name = "other" }), `owned by TokenCredential "other"`},
		"another kind's":       {"what someone else owns is never touched", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.OwnerReferences[0].Kind = "Certificate" }), `owned by Certificate "shop"`},
		"immutable":            {"it cannot be written", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.Immutable = &yes }), "immutable"},
		"being deleted":        {"it is made again once it is gone", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.DeletionTimestamp = &metav1.Time{Time: noon} }), "being deleted"},
		"of another type":      {"a Secret's type cannot change", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.Type = corev1.SecretTypeBasicAuth }), "type cannot change"},
		"a service account's":  {"never a service-account token", v1alpha1.OwnerPolicy, owned(func(s *corev1.Secret) { s.Type = corev1.SecretTypeServiceAccountToken }), "never written"},
		"merged, nobody's":     {"the user asked to add keys", v1alpha1.MergePolicy, owned(func(s *corev1.Secret) { s.OwnerReferences = nil }), ""},
		"merged, another's":    {"what someone else owns is never touched", v1alpha1.MergePolicy, owned(func(s *corev1.Secret) { s.OwnerReferences[0].Name = "other" }), "owned by"},
		"merged into an SA's":  {"never a service-account token", v1alpha1.MergePolicy, owned(func(s *corev1.Secret) { s.Type = corev1.SecretTypeServiceAccountToken }), "never written"},
		"merged into a state":  {"a state Secret is nobody's target", v1alpha1.MergePolicy, owned(func(s *corev1.Secret) { s.Type = v1alpha1.StateSecretType }), "never written"},
		"merged, any ours may": {"basic-auth is an allowed type", v1alpha1.MergePolicy, owned(func(s *corev1.Secret) { s.Type, s.OwnerReferences = corev1.SecretTypeBasicAuth, nil }), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := (&Compiler{}).Compile(v1alpha1.Target{CreationPolicy: c.policy}, "", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = judge(credential, template, c.live)
			if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want it to contain %q", c.reason, err, c.want)
			}
		})
	}
}
