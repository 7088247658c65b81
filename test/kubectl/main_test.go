// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubectl tests the plugin against a real API server: what is printed, what is
// changed, the exit codes, and that no command prints a secret.
package kubectl

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl"
	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

func TestMain(m *testing.M) { os.Exit(apiserver.Run(m)) }

// secretValue stands in every Secret of these tests.
const secretValue = "s3cr3t-value-that-nobody-prints"

// world is a namespace and a kubeconfig.
type world struct {
	t          *testing.T
	api        client.Client
	namespace  string
	kubeconfig string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, api: apiserver.NewClient(t), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "plugin-"}}
	w.do(w.api.Create(t.Context(), namespace))
	w.namespace = namespace.Name
	w.do(os.WriteFile(w.kubeconfig, apiserver.Kubeconfig, 0o600))
	return w
}

func (w *world) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run runs a command in the namespace. Neither its output nor its errors may hold a secret.
func (w *world) run(arguments ...string) (code int, output string) {
	w.t.Helper()
	var out, errOut bytes.Buffer
	code = kubectl.Main(append(arguments, "--kubeconfig", w.kubeconfig, "-n", w.namespace), kubectl.Terminal{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
	output = out.String() + errOut.String()
	if strings.Contains(output, secretValue) {
		w.t.Errorf("%v prints a secret:\n%s", arguments, output)
	}
	return code, output
}

// wants runs a command and looks for its exit code and for parts of its output.
func (w *world) wants(code int, parts []string, arguments ...string) string {
	w.t.Helper()
	got, output := w.run(arguments...)
	if got != code {
		w.t.Errorf("%v ends with %d, want %d:\n%s", arguments, got, code, output)
	}
	for _, part := range parts {
		if !strings.Contains(output, part) {
			w.t.Errorf("%v does not say %q:\n%s", arguments, part, output)
		}
	}
	return output
}

func (w *world) secret(name string, keys ...string) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace}, Data: map[string][]byte{}}
	for _, key := range keys {
		secret.Data[key] = []byte(secretValue)
	}
	w.do(w.api.Create(w.t.Context(), secret))
}

// credential makes a credential with a status as an operator would write it.
func (w *world) credential(name string, status v1alpha1.TokenCredentialStatus) *v1alpha1.TokenCredential {
	w.t.Helper()
	credential := &v1alpha1.TokenCredential{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace, Labels: map[string]string{"tier": "web"}},
		Spec: v1alpha1.TokenCredentialSpec{
			ProviderRef:           v1alpha1.ProviderReference{Name: "xiaomi"},
			Parameters:            map[string]string{"redirectURI": "https://shop.example/callback"},
			AppSecretRef:          &v1alpha1.AppSecretReference{Name: "app"},
			RefreshTokenSecretRef: &v1alpha1.RefreshTokenSecretReference{Name: "seed"},
		},
	}
	w.do(w.api.Create(w.t.Context(), credential))
	credential.Status = status
	w.do(w.api.Status().Update(w.t.Context(), credential))
	return credential
}

func conditions(reasons ...string) []metav1.Condition {
	var all []metav1.Condition
	for _, each := range reasons {
		parts := strings.SplitN(each, " ", 4)
		all = append(all, metav1.Condition{Type: parts[0], Status: metav1.ConditionStatus(parts[1]), Reason: parts[2], Message: parts[3], LastTransitionTime: metav1.Now()})
	}
	return all
}

func fresh() v1alpha1.TokenCredentialStatus {
	now := time.Now()
	at := func(d time.Duration) *metav1.Time { t := metav1.NewTime(now.Add(d)); return &t }
	return v1alpha1.TokenCredentialStatus{
		Conditions:      conditions("Ready True TokenValid the Secret holds a token", "Refreshed True Refreshed a token was obtained"),
		LastRefreshTime: at(-30 * time.Minute), ExpirationTime: at(30*time.Minute + 30*time.Second), NextRefreshTime: at(18*time.Minute + 30*time.Second), RefreshCount: 7,
	}
}

func stalled() v1alpha1.TokenCredentialStatus {
	status := fresh()
	status.Conditions = conditions("Ready True TokenValid the Secret holds a token",
		"Refreshed False ReauthorizationRequired the refresh token is not accepted any more",
		"Stalled True ReauthorizationRequired the refresh token is not accepted any more: have a user go through the consent screen again")
	return status
}

func (w *world) event(credential *v1alpha1.TokenCredential, reason, note string) {
	w.t.Helper()
	w.do(w.api.Create(w.t.Context(), &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e", Namespace: w.namespace}, EventTime: metav1.NowMicro(),
		ReportingController: "tokenkeeper", ReportingInstance: "t", Action: "Refresh", Reason: reason, Note: note, Type: "Warning",
		Regarding: corev1.ObjectReference{APIVersion: "tokenkeeper.io/v1alpha1", Kind: "TokenCredential", Namespace: w.namespace, Name: credential.Name, UID: credential.UID},
	}))
}
