// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers

import (
	"io"
	"log"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn/kubernetes"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
)

// TestARegistryClientTakesThePullSecret reads the Secret as a kubelet's keychain does, and
// pushes and pulls an image with it.
func TestARegistryClientTakesThePullSecret(t *testing.T) {
	t.Parallel()
	secret := sample(t, "dockerconfig")
	if secret.Type != corev1.SecretTypeDockerConfigJson {
		t.Fatalf("its type is %s", secret.Type)
	}
	url := guarded(t, basic("oauth2accesstoken"), `Basic realm="registry"`, registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	host := strings.TrimPrefix(url, "http://")
	secret.Data = at(secret.Data, "registry.example.com", host)
	keychain, err := kubernetes.NewFromPullSecrets(t.Context(), []corev1.Secret{secret})
	must(t, err)
	image, err := name.ParseReference(host + "/app:v1")
	must(t, err)
	options := []remote.Option{remote.WithAuthFromKeychain(keychain), remote.WithContext(t.Context())}
	must(t, remote.Write(image, empty.Image, options...))
	_, err = remote.Image(image, options...)
	must(t, err)
}
