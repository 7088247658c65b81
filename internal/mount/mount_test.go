// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package mount_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/internal/mount"
)

func TestHowAPodUsesASecret(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason, spec string
		use                mount.Use
		followed           []string
	}{
		{"a volume that a container mounts", "a kubelet brings it up to date",
			`{containers: [{name: a, volumeMounts: [{name: t}]}], volumes: [{name: t, secret: {secretName: token}}]}`,
			mount.AsVolume, []string{"token"}},
		{"a source of a projected volume", "as for a volume of its own, beside its other sources",
			`{containers: [{name: a, volumeMounts: [{name: t}]}], volumes: [{name: t, projected: {sources: [{secret: {name: token}}, {configMap: {name: token2}}, {secret: {name: other}}]}}]}`,
			mount.AsVolume, []string{"other", "token"}},
		{"a sidecar", "it is an init container that goes on",
			`{initContainers: [{name: a, restartPolicy: Always, volumeMounts: [{name: t}]}], containers: [{name: b}], volumes: [{name: t, secret: {secretName: token}}]}`,
			mount.AsVolume, []string{"token"}},
		{"a container that somebody added to debug", "it mounts as any other",
			`{ephemeralContainers: [{name: a, volumeMounts: [{name: t}]}], volumes: [{name: t, secret: {secretName: token}}]}`,
			mount.AsVolume, []string{"token"}},
		{"a subPath", "it never changes in a running pod",
			`{containers: [{name: a, volumeMounts: [{name: t, subPath: access_token}]}], volumes: [{name: t, secret: {secretName: token}}]}`,
			mount.AsSubPath, nil},
		{"a subPath made of variables", "as any subPath",
			`{containers: [{name: a, volumeMounts: [{name: t, subPathExpr: $(KEY)}]}], volumes: [{name: t, secret: {secretName: token}}]}`,
			mount.AsSubPath, nil},
		{"a subPath in one container and a folder in another", "the slower way is told, and the other one sees changes",
			`{containers: [{name: a, volumeMounts: [{name: t, subPath: k}]}, {name: b, volumeMounts: [{name: t}]}], volumes: [{name: t, secret: {secretName: token}}]}`,
			mount.AsSubPath, []string{"token"}},
		{"an environment variable", "it is read when a container starts",
			`{containers: [{name: a, env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: token, key: k}}}]}]}`,
			mount.AsVariable, nil},
		{"all keys as environment variables", "as one of them",
			`{containers: [{name: a, envFrom: [{secretRef: {name: token}}]}]}`,
			mount.AsVariable, nil},
		{"a variable beside a volume", "the slower way is told, and the volume sees changes",
			`{containers: [{name: a, envFrom: [{secretRef: {name: token}}], volumeMounts: [{name: t}]}], volumes: [{name: t, secret: {secretName: token}}]}`,
			mount.AsVariable, []string{"token"}},
		{"a volume that nobody mounts", "no container sees it",
			`{containers: [{name: a}], volumes: [{name: t, secret: {secretName: token}}]}`,
			mount.Unused, nil},
		{"a mount of a volume that does not exist", "the API server takes no such pod, and nothing breaks",
			`{containers: [{name: a, volumeMounts: [{name: t}]}]}`,
			mount.Unused, nil},
		{"another Secret", "it is not the one asked for",
			`{containers: [{name: a, volumeMounts: [{name: t}]}], volumes: [{name: t, secret: {secretName: other}}]}`,
			mount.Unused, []string{"other"}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			pod := &corev1.Pod{}
			if err := yaml.UnmarshalStrict([]byte(each.spec), &pod.Spec); err != nil {
				t.Fatal(err)
			}
			if got := mount.Of(pod, "token"); got != each.use {
				t.Errorf("the use is %d, want %d\nreason: %s", got, each.use, each.reason)
			}
			if diff := cmp.Diff(each.followed, mount.Followed(pod)); diff != "" {
				t.Errorf("followed are others (-want +got):\n%s\nreason: %s", diff, each.reason)
			}
		})
	}
}
