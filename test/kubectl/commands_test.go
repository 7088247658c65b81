// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestGetShowsTheStalledFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wants(0, []string{"no TokenCredentials found"}, "get")
	w.credential("a-well", fresh())
	w.credential("b-stalled", stalled())
	w.credential("c-new", v1alpha1.TokenCredentialStatus{})
	lines := strings.Split(w.wants(0, []string{"STATE", "ReauthorizationRequired", "xiaomi", "18m"}, "get"), "\n")
	for i, name := range []string{"NAME", "b-stalled", "c-new", "a-well"} {
		if !strings.HasPrefix(lines[i], name) {
			t.Errorf("line %d is %q, want %s: who needs a person comes first", i, lines[i], name)
		}
	}
	w.wants(0, []string{"consent screen"}, "get", "-o", "wide")
	w.wants(0, []string{"tokencredential.tokenkeeper.io/a-well"}, "get", "-o", "name")
	w.wants(0, []string{`"kind": "TokenCredentialList"`, `"name": "a-well"`}, "get", "-o", "json")
	w.wants(0, []string{"kind: TokenCredential", "redirectURI"}, "get", "a-well", "-o", "yaml")
	w.wants(0, []string{w.namespace, "a-well"}, "get", "-A", "-l", "tier=web")
	w.wants(1, []string{"not found"}, "get", "nobody")
	w.wants(1, []string{"not both"}, "get", "a-well", "-l", "tier=web")
	w.wants(1, []string{"unable to match a printer"}, "get", "-o", "table")
}

func TestStatusShowsAllOnOneScreen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secret("app", "app_key", "app_secret")
	w.secret("shop", "access_token", "expires_at")
	shop := w.credential("shop", stalled())
	w.event(shop, "ReauthorizationRequired", "the refresh token is not accepted any more")
	w.pod("mounts", corev1.PodSpec{
		Containers: []corev1.Container{{Name: "c", Image: "i", VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}}},
		Volumes:    []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "shop"}}}},
	})
	output := w.wants(2, []string{
		"Stalled", "✓ Secret app  app_key, app_secret", "✗ Secret seed  does not exist", "7 obtained so far", "ReauthorizationRequired",
		"pod mounts", "have a user go through the provider's consent screen again", "the Secret seed, key refresh_token", "█", "░",
	}, "status", "shop")
	for _, line := range strings.Split(output, "\n") {
		if len([]rune(line)) > 100 {
			t.Errorf("a line is wider than the screen: %q", line)
		}
	}
	w.credential("well", fresh())
	w.wants(0, []string{"What next", "nothing"}, "status", "well")
	w.wants(1, []string{"not found"}, "status", "nobody")
}

func (w *world) pod(name string, spec corev1.PodSpec) {
	w.t.Helper()
	w.do(w.api.Create(w.t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace}, Spec: spec}))
}

func TestActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop := w.credential("shop", stalled())
	look := func() *v1alpha1.TokenCredential {
		w.do(w.api.Get(t.Context(), client.ObjectKeyFromObject(shop), shop))
		return shop
	}
	w.wants(0, []string{"a refresh is asked for"}, "refresh", "shop")
	if look().Annotations[v1alpha1.RefreshAtAnnotation] == "" {
		t.Error("no refresh is asked for")
	}
	w.wants(2, []string{"ReauthorizationRequired", "1 of 1 were not refreshed"}, "refresh", "--all", "--wait")
	w.wants(0, []string{"suspended"}, "suspend", "-l", "tier=web")
	if !look().Spec.Suspend {
		t.Error("it is not suspended")
	}
	w.wants(0, []string{"renewed again"}, "resume", "shop")
	if look().Spec.Suspend {
		t.Error("it is suspended still")
	}
	w.credential("slow", fresh())
	w.wants(2, []string{"not answered in time", "is an operator at work"}, "refresh", "slow", "--wait", "--timeout", "2s")
	broken := fresh()
	broken.Conditions = conditions("Ready False SecretNotFound the Secret shop-app does not exist", "Refreshed False SecretNotFound the Secret shop-app does not exist")
	w.credential("broken", broken)
	w.wants(2, []string{"not refreshed in time: SecretNotFound: the Secret shop-app does not exist"}, "refresh", "broken", "--wait", "--timeout", "2s")
	for _, verb := range []string{"refresh", "suspend", "resume"} {
		w.wants(1, []string{"which credentials?"}, verb)
	}
}

const manifest = `
apiVersion: v1
kind: Secret
metadata: {name: app}
stringData: {app_key: s3cr3t-value-that-nobody-prints, app_secret: s3cr3t-value-that-nobody-prints}
---
apiVersion: v1
kind: Secret
metadata: {name: seed}
stringData: {refresh_token: s3cr3t-value-that-nobody-prints}
---
apiVersion: tokenkeeper.io/v1alpha1
kind: TokenCredential
metadata: {name: shop}
spec:
  providerRef: {name: xiaomi}
  parameters: {redirectURI: "https://shop.example/callback"}
  appSecretRef: {name: app}
  refreshTokenSecretRef: {name: seed}
  target: {template: {data: {AUTHORIZATION: "Bearer ${accessToken}"}}}
`

func TestCheckOfAManifest(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, from, to string
		code           int
		says           string
	}{
		{"all is well", "", "", 0, "the Secret shop will hold AUTHORIZATION"},
		{"a Secret is missing", "metadata: {name: app}", "metadata: {name: other}", 2, `the Secret "app" of spec.appSecretRef does not exist`},
		{"a key is missing", "refresh_token:", "token:", 2, "refresh_token"},
		{"an unknown provider", "name: xiaomi", "name: xaomi", 2, `there is no built-in provider "xaomi"`},
		{"an unknown provider, and a Secret that is missing", "{name: xiaomi}", "{name: xaomi}\n  clientCertificateSecretRef: {name: none}", 2, `the Secret "none" of spec.clientCertificateSecretRef does not exist: create it`},
		{"an unknown provider, and a key that is missing", "name: xiaomi}", "name: xaomi}\n  clientCertificateSecretRef: {name: app}", 2, `the Secret "app" of spec.clientCertificateSecretRef has no key "tls.crt": add it`},
		{"a misspelt parameter", "redirectURI:", "redirectUri:", 2, "it takes redirectURI"},
		{"a field that does not exist", "appSecretRef:", "appSecret:", 1, "appSecret"},
		{"a template that does not compile", "${accessToken}", "${accessTokn}", 2, "accessTokn"},
		{"a reserved name", "target: {template", "target: {name: shop-token-state, template", 2, "-token-state"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			file := filepath.Join(t.TempDir(), "manifest.yaml")
			w.do(os.WriteFile(file, []byte(strings.Replace(manifest, each.from, each.to, 1)), 0o600))
			w.wants(each.code, []string{each.says}, "check", "-f", file)
			list := &v1alpha1.TokenCredentialList{}
			if w.do(w.api.List(t.Context(), list, client.InNamespace(w.namespace))); len(list.Items) > 0 {
				t.Error("a check has made something")
			}
		})
	}
}

// TestAManifestThatCannotBeReadIsNotQuoted: it may hold Secrets.
func TestAManifestThatCannotBeReadIsNotQuoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, each := range map[string]struct{ text, says string }{
		"no kind":             {"apiVersion: v1\nstringData: {a: s3cr3t-value-that-nobody-prints}", "object 1 has no kind"},
		"a kind that is none": {"apiVersion: v1\nkind: [s3cr3t-value-that-nobody-prints]", "object 1 has no kind"},
		"an open brace":       {"kind: Secret\nstringData: {a: s3cr3t-value-that-nobody-prints", "object 1 cannot be read"},
		"no object":           {"s3cr3t-value-that-nobody-prints", "object 1 is no object"},
		"text as data":        {"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: s3cr3t-value-that-nobody-prints}", "data holds base64"},
		"the second":          {manifest + "\n---\nstringData: {a: s3cr3t-value-that-nobody-prints}", "object 4 has no kind"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "manifest.yaml")
			w.do(os.WriteFile(file, []byte(each.text), 0o600))
			w.wants(1, []string{each.says}, "check", "-f", file)
			w.wants(1, []string{each.says}, "login", "-f", file)
		})
	}
}

func TestCheckOfTheInstallation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wants(0, []string{"Kubernetes: v", "tokenkeeper.io/v1alpha1 is served", "no Deployment has its labels", "Admission policy: it is not installed"}, "check")
}

const description = `
refresh:
  request: {url: "https://id.example.com/token", form: {refresh_token: "${refreshToken}", client_id: "${app.key}"}, basicAuth: {username: "${app.key}", password: "${app.secret}"}}
  response:
    accessToken: body.access_token
    refreshToken: body.?refresh_token
    expiresIn: body.?expires_in
    failures: [{when: status == 400, reason: ReauthorizationRequired}]
    message: body.?error
`

func TestProviders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wants(0, []string{"xiaomi", "BuiltIn", "SingleUse", "app, refresh token, redirectURI"}, "providers", "--offline")
	w.wants(0, []string{"a refresh token works once", "kind: TokenCredential", "redirectURI: FILL-IN"}, "provider", "explain", "xiaomi")
	w.wants(1, []string{`there is no provider "nobody"`}, "provider", "explain", "nobody")
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		w.do(os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	file := write("provider.yaml", description)
	good := write("good.txt", "200\nContent-Type: application/json\n\n{\"access_token\":\"a\",\"refresh_token\":\"b\",\"expires_in\":60}\n")
	bad := write("bad.txt", "400\n\n{\"error\":\"the refresh token has expired\"}")
	odd := write("odd.txt", "200\n\n{\"access_token\":\"a\",\"expires_in\":99999999999}")
	w.wants(0, []string{
		"POST https://id.example.com/token", "client_id=APPKEY-1", "refresh_token=RTOKEN-1", "Refreshed", "expires 1m0s later", "another refresh token, of 1 bytes",
		"ReauthorizationRequired: the provider answered 400: the refresh token has expired", "with a remark: the reply states a lifetime",
	}, "provider", "test", "-f", file, "--reply", good, "--reply", bad, "--reply", odd)
	prepared := write("prepared.yaml", "prepare: [{request: {method: GET, url: \"https://id.example.com/config\"}, response: {outputs: {endpoint: body.endpoint}}}]\n"+
		strings.Replace(description, "https://id.example.com/token", "${outputs.endpoint}", 1))
	w.wants(0, []string{"prepare[0]\n  GET https://id.example.com/config", "refresh\n  POST https://prepared.example/endpoint"}, "provider", "test", "-f", prepared)
	w.wants(0, []string{"a browser or another device", "counts as working once until"}, "provider", "explain", "oauth2")
	broken := write("broken.yaml", strings.Replace(description, "body.access_token", "bdy.access_token", 1))
	w.wants(1, []string{"bdy"}, "provider", "test", "-f", broken)
	misspelt := write("misspelt.yaml", strings.Replace(description, "accessToken:", "access_token:", 1))
	w.wants(1, []string{`there is no field "access_token": did you mean accessToken?`}, "provider", "test", "-f", misspelt)
	doubtful := strings.Replace(description, "status == 400", "status >= 400", 1)
	w.wants(0, []string{"? spec.refresh.response.failures[0].when: a plain 500 matches it"}, "provider", "test", "-f", write("doubtful.yaml", doubtful))
	whole := "apiVersion: tokenkeeper.io/v1alpha1\nkind: ClusterTokenProvider\nmetadata: {name: shop}\nspec:" + strings.ReplaceAll(doubtful, "\n", "\n  ")
	w.wants(0, []string{"✓ ClusterTokenProvider shop: it compiles", "? ClusterTokenProvider shop: spec.refresh.response.failures[0].when: a plain 500"}, "check", "-f", write("whole.yaml", whole))
	w.wants(1, []string{"want a status"}, "provider", "test", "-f", file, "--reply", file)
}

func TestReportHoldsNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.secret("app", "app_key", "app_secret")
	w.secret("shop", "access_token")
	w.credential("shop", fresh())
	to := filepath.Join(t.TempDir(), "bundle.tar.gz")
	w.wants(0, []string{"installation.txt", "shop/credential.yaml", "nothing is written yet"}, "report", "--to", to)
	if _, err := os.Stat(to); err == nil {
		t.Error("a bundle is written that nobody asked for")
	}
	w.wants(0, []string{"written to"}, "report", "--write", "--to", to)
	for name, text := range unpack(t, to) {
		if strings.Contains(text, secretValue) {
			t.Errorf("%s holds a secret", name)
		}
	}
	if secrets := unpack(t, to)["tokenkeeper-report/"+w.namespace+"/shop/secrets.yaml"]; !strings.Contains(secrets, "app_key: 31") {
		t.Errorf("the sizes of values are %q", secrets)
	}
	w.wants(1, []string{"exists"}, "report", "--write", "--to", to)
}
