// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	esv1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	"github.com/external-secrets/external-secrets/pkg/provider/webhook"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"
)

// TestExternalSecretsSendsTheToken has External Secrets' own webhook provider fetch a value
// by the store of docs/consuming.md, with the Secret of the sample in its cluster; without
// the sample's label it takes no such Secret.
func TestExternalSecretsSendsTheToken(t *testing.T) {
	t.Parallel()
	secret := sample(t, "external-secrets")
	url := guarded(t, "Bearer "+aToken, "Bearer", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"value": "what is at %s"}`, r.URL.Path)
	}))
	store := storeOfThePage(t, url)
	fetch := func() (string, error) {
		client, err := (&webhook.Provider{}).NewClient(t.Context(), store, fake.NewFakeClient(&secret), secret.Namespace)
		must(t, err)
		value, err := client.GetSecret(t.Context(), esv1.ExternalSecretDataRemoteRef{Key: "database"})
		return string(value), err
	}
	got, err := fetch()
	must(t, err)
	if want := "what is at /secrets/database"; got != want {
		t.Errorf("it fetches %q, want %q", got, want)
	}
	delete(secret.Labels, "external-secrets.io/type")
	if _, err := fetch(); err == nil {
		t.Error("it takes a Secret without the label, so the page asks for too much")
	}
}

// storeOfThePage is the SecretStore that docs/consuming.md shows, for another address.
func storeOfThePage(t *testing.T, url string) *esv1.SecretStore {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "docs", "consuming.md"))
	must(t, err)
	for _, block := range regexp.MustCompile("(?ms)^```yaml\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(block[1], "kind: SecretStore") {
			store := &esv1.SecretStore{}
			must(t, yaml.UnmarshalStrict([]byte(strings.Replace(block[1], "https://vault.example.com", url, 1)), store))
			return store
		}
	}
	t.Fatal("docs/consuming.md shows no SecretStore")
	return nil
}
