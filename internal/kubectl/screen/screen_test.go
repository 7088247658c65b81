// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// update writes the golden files anew: go test ./internal/kubectl/screen -update
var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(minutes int) *metav1.Time {
	moment := metav1.NewTime(noon.Add(time.Duration(minutes) * time.Minute))
	return &moment
}

func conditionsOf(all ...string) []metav1.Condition {
	var conditions []metav1.Condition
	for _, each := range all {
		parts := strings.SplitN(each, " ", 4)
		conditions = append(conditions, metav1.Condition{Type: parts[0], Status: metav1.ConditionStatus(parts[1]), Reason: parts[2], Message: parts[3]})
	}
	return conditions
}

func shop(change func(*v1alpha1.TokenCredential)) *v1alpha1.TokenCredential {
	c := &v1alpha1.TokenCredential{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "team-a"},
		Spec: v1alpha1.TokenCredentialSpec{
			ProviderRef:           v1alpha1.ProviderReference{Name: "xiaomi"},
			AppSecretRef:          &v1alpha1.AppSecretReference{Name: "shop-app"},
			RefreshTokenSecretRef: &v1alpha1.RefreshTokenSecretReference{Name: "shop-refresh"},
		},
		Status: v1alpha1.TokenCredentialStatus{
			Conditions: conditionsOf("Ready True TokenValid the Secret \"shop\" holds a token that expires at 12:30",
				"Refreshed True Refreshed a token was obtained"),
			LastRefreshTime: at(-30), ExpirationTime: at(30), NextRefreshTime: at(18), RefreshCount: 12,
		},
	}
	change(c)
	return c
}

// TestScreen compares screens with their golden files, without colours.
func TestScreen(t *testing.T) {
	t.Parallel()
	uses := []Use{
		{What: "Provider", Name: "xiaomi", Found: "built in, redirectURI=https://shop.example/callback"},
		{What: "App", Name: "Secret shop-app", Found: "app_key, app_secret"},
		{What: "Seed", Name: "Secret shop-refresh", Wrong: `has no value under the key "refresh_token"`},
		{What: "Target", Name: "Secret shop", Found: "access_token, expires_at, mac_key, token_type"},
	}
	for _, each := range []struct {
		name   string
		screen Screen
	}{
		{"missing", Screen{Credential: shop(func(c *v1alpha1.TokenCredential) {
			const missing = `the Secret "shop-app" of spec.appSecretRef does not exist: create it`
			c.Status.Conditions = conditionsOf("Ready False SecretNotFound the token expired at 2026-11-22T11:58:00Z: "+missing,
				"Refreshed False SecretNotFound "+missing, "Reconciling True SecretNotFound "+missing)
			c.Status.ExpirationTime = at(-2)
		})}},
		{"well", Screen{Credential: shop(func(*v1alpha1.TokenCredential) {}), Uses: uses[:2], Mounts: []Mount{
			{Pod: "web-0", SeesCurrent: true, Says: "sees the current token in its volume"},
			{Pod: "web-1", Says: "does not see it before a restart: environment variables are read once"},
		}}},
		{"stalled", Screen{Credential: shop(func(c *v1alpha1.TokenCredential) {
			c.Status.Conditions = conditionsOf("Ready True TokenValid the Secret holds a token",
				"Refreshed False OutcomeUnknown the provider answered 502, and nobody knows whether the refresh token was spent",
				"Stalled True OutcomeUnknown the provider answered 502, and nobody knows whether the refresh token was spent: have a user go through the provider's consent screen again, or set spec.onUnknownOutcome to RetryOnce")
			c.Status.FailedAttempts = 1
		}), Uses: uses, Events: []Event{
			{At: noon.Add(-time.Hour), Reason: "Refreshed", Message: "a token was obtained"},
			{At: noon.Add(-time.Minute), IsWarning: true, Reason: "OutcomeUnknown", Message: "the provider answered 502"},
		}}},
		{"expired", Screen{Credential: shop(func(c *v1alpha1.TokenCredential) {
			c.Status.Conditions = conditionsOf("Ready False ProviderUnavailable the token expired: id.example.com could not be reached; it is tried again")
			c.Status.ExpirationTime, c.Status.NextRefreshTime = at(-2), at(1)
		})}},
		{"new", Screen{Credential: shop(func(c *v1alpha1.TokenCredential) { c.Status = v1alpha1.TokenCredentialStatus{} }), Unknown: []string{"pods (Forbidden)"}}},
		{"suspended", Screen{Credential: shop(func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = true })}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			each.screen.Now, each.screen.Width = noon, 80
			got, golden := each.screen.String(), filepath.Join("testdata", each.name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the screen is another than %s:\n%s", golden, got)
			}
			for _, line := range strings.Split(got, "\n") {
				if isCommand := strings.HasPrefix(line, strings.Repeat(" ", labelWidth)+"  kubectl "); len([]rune(line)) > 80 && !isCommand {
					t.Errorf("a line that nobody copies is wider than 80 columns: %q", line)
				}
			}
			if each.screen.Colours = true; !strings.Contains(each.screen.String(), "\x1b[") {
				t.Error("there are no colours although they are asked for")
			}
		})
	}
}

// TestMounts tells what each way to use a Secret means for a token that was renewed.
func TestMounts(t *testing.T) {
	t.Parallel()
	const secret = "shop"
	volume := corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}
	projected := corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}}}}
	mounted := func(subPath string) corev1.Container {
		return corev1.Container{VolumeMounts: []corev1.VolumeMount{{Name: "v", SubPath: subPath}}}
	}
	variable := corev1.Container{Env: []corev1.EnvVar{{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{
		SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}}}
	all := corev1.Container{EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}}
	for _, each := range []struct {
		name    string
		spec    corev1.PodSpec
		started int // minutes from noon, when the token was renewed
		now     int
		sees    bool
		says    string
		nudged  time.Duration // after noon; 0: never
	}{
		{"a volume, soon after", corev1.PodSpec{Volumes: []corev1.Volume{volume}, Containers: []corev1.Container{mounted("")}}, -60, 1, false, "within 30s", 0},
		{"a volume, later", corev1.PodSpec{Volumes: []corev1.Volume{volume}, Containers: []corev1.Container{mounted("")}}, -60, 2, true, "in its volume", 0},
		{"a volume of a pod that was nudged, at once", corev1.PodSpec{Volumes: []corev1.Volume{volume}, Containers: []corev1.Container{mounted("")}}, -60, 0, false, "within 4s", time.Second},
		{"a volume of a pod that was nudged, soon after", corev1.PodSpec{Volumes: []corev1.Volume{volume}, Containers: []corev1.Container{mounted("")}}, -60, 1, true, "in its volume", time.Second},
		{"a volume of a pod that was nudged for the token before", corev1.PodSpec{Volumes: []corev1.Volume{volume}, Containers: []corev1.Container{mounted("")}}, -60, 1, false, "within 30s", -time.Minute},
		{"a projected volume", corev1.PodSpec{Volumes: []corev1.Volume{projected}, Containers: []corev1.Container{mounted("")}}, -60, 2, true, "in its volume", 0},
		{"a subPath", corev1.PodSpec{Volumes: []corev1.Volume{volume}, Containers: []corev1.Container{mounted("token")}}, -60, 60, false, "subPath", 0},
		{"a variable", corev1.PodSpec{Containers: []corev1.Container{variable}}, -60, 60, false, "environment", 0},
		{"all as variables", corev1.PodSpec{InitContainers: []corev1.Container{all}}, -60, 60, false, "environment", 0},
		{"a variable of a pod that started later", corev1.PodSpec{Containers: []corev1.Container{variable}}, 5, 60, true, "started with", 0},
		{"both ways", corev1.PodSpec{Volumes: []corev1.Volume{volume}, Containers: []corev1.Container{mounted(""), variable}}, -60, 60, false, "environment", 0},
		{"not at all", corev1.PodSpec{Volumes: []corev1.Volume{volume}, Containers: []corev1.Container{{}}}, -60, 60, false, "", 0},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			annotations := map[string]string{}
			if each.nudged != 0 {
				annotations[v1alpha1.NudgedAtAnnotation] = noon.Add(each.nudged).Format(time.RFC3339Nano)
			}
			pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: annotations}, Spec: each.spec, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
				{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: *at(each.started)}}}}}}
			mounts := MountsOf([]corev1.Pod{pod}, secret, noon, noon.Add(time.Duration(each.now)*time.Minute))
			if each.says == "" {
				if len(mounts) > 0 {
					t.Errorf("it is said to use the Secret: %v", mounts)
				}
				return
			}
			if len(mounts) != 1 || mounts[0].SeesCurrent != each.sees || !strings.Contains(mounts[0].Says, each.says) {
				t.Errorf("%v, want sees=%t and %q", mounts, each.sees, each.says)
			}
		})
	}
}
