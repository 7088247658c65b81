// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// TestGettingStartedIsAsItSays types the commands of docs/getting-started.md, all of them
// and as they stand there, and looks for what the page says that comes of them. A reader
// puts two URLs in: their provider's and their API's. Theirs are at a private address, so
// they also do what the page says of that.
func TestGettingStartedIsAsItSays(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	started := time.Now()
	terminal := newTerminal(t)
	images := map[string]v1.Image{"tokenkeeper/tokenkeeper:latest": imageOfManager(t), "curlimages/curl:latest": imageOfCurl(t)}
	pullsFromHere(t, images)
	lifetime(t, longLifetime)
	idp := startProvider(t)
	page, readme := openPage(t, "docs/getting-started.md"), openPage(t, "README.md")

	t.Cleanup(func() { removedByHand(t) })
	terminal.types(page.block("sh", "git clone"))
	terminal.types(readme.block("sh", "dist/install.yaml")) // the same once more changes nothing
	terminal.types(page.block("sh", "make plugin"))
	terminal.types(page.block("sh", "provider explain"))
	allowed(t, terminal, idp)

	writeInputs(t, terminal, newGrant(t, "getting started").RefreshToken)
	terminal.types(page.block("sh", "--from-file"))
	manifest := page.filledIn("kind: TokenCredential", "https://id.example.com/oauth2/token", idp.url+tokenPath)
	terminal.file("shop.yaml", manifest)
	terminal.types(page.block("sh", "kubectl apply -f shop.yaml"))
	console := page.block("console", "$ kubectl")
	looks, shown, _ := strings.Cut(strings.TrimPrefix(console, "$ "), "\n")
	isPrintedAs(t, terminal.types(looks), shown)
	status := page.block("sh", "tokencredential status shop -n team-a        # or")
	for _, each := range append(alternatives(status), status) {
		if printed := terminal.types(each); !strings.Contains(printed, "shop-token") {
			t.Errorf("%s does not show the target:\n%s", each, printed)
		}
	}

	mounted(t, terminal, page)
	first := string(secret(t, "team-a", "shop-token").Data["access_token"])
	terminal.types(page.block("sh", "tokencredential refresh shop"))
	must(t, holdsCurrentToken(t, "team-a", "shop"))
	if string(secret(t, "team-a", "shop-token").Data["access_token"]) == first {
		t.Error("the token is the one from before the refresh")
	}

	// The other way: without a refresh token, through the provider's page.
	terminal.types("kubectl delete namespace team-a")
	terminal.types(without(page.block("sh", "--from-file"), "shop-refresh"))
	terminal.file("shop.yaml", strings.Replace(manifest, "parameters: {", `parameters: {authorizationURL: "`+idp.url+`/authorize", `, 1))
	terminal.program("xdg-open", `exec curl -sSkL "$1" > /dev/null`) // a browser, without a window
	terminal.types(page.block("sh", "tokencredential login"))
	must(t, holdsCurrentToken(t, "team-a", "shop"))
	terminal.types("kubectl delete namespace team-a")

	page.block("sh", "helm install") // TestHelmInstallsUpgradesAndUninstalls
	page.wasFollowed()
	report(t, "the commands of Getting started, from git clone to a token that a pod uses, and a login", "%s", time.Since(started).Round(time.Second))
}

// allowed does what docs/operations.md says of an address in one's own network.
func allowed(t *testing.T, l *terminal, idp *provides) {
	t.Helper()
	operations := openPage(t, "docs/operations.md")
	checkout := l.folder
	l.types("mkdir ../mine; cd ../mine; cp ../tokenkeeper/dist/install.yaml .")
	l.file("kustomization.yaml", operations.filledIn("configMapGenerator", "10.20.0.0/16", env.host+"/32"))
	l.file("ca.crt", string(idp.certificate))
	l.types(operations.inline("kubectl apply --server-side -k ."))
	l.types(openPage(t, "docs/upgrading.md").block("sh", "rollout status"))
	l.folder = checkout
	l.variables = append(l.variables, "SSL_CERT_FILE="+filepath.Join(checkout, "..", "mine", "ca.crt")) // the machine knows the authority too
}

// mounted runs the page's pod, and waits until it calls its API with the token.
func mounted(t *testing.T, l *terminal, page *guide) {
	t.Helper()
	l.file("pod.yaml", page.filledIn("kind: Pod", "https://api.example.com/orders", env.api.url+"/orders"))
	if printed := l.types(page.block("sh", "kubectl apply -f pod.yaml")); !strings.Contains(printed, "pod shop") {
		t.Errorf("the plugin does not show the pod:\n%s", printed)
	}
	eventually(t, patience, "the pod calls its API with the token", func() error {
		calls := env.api.of("orders")
		switch {
		case calls.refused > 0:
			t.Fatalf("a call was refused: %v", calls.refusals)
		case calls.accepted == 0:
			return errors.New("it has not called")
		case calls.tokens[0] != string(secret(t, "team-a", "shop-token").Data["access_token"]):
			return fmt.Errorf("its token is not the target's")
		}
		return nil
	})
}

// writeInputs puts what a reader has into files, as an editor leaves them.
func writeInputs(t *testing.T, l *terminal, refreshToken string) {
	t.Helper()
	l.file("app_key", simulator.DemoOAuthClientID+"\n")
	l.file("app_secret", simulator.DemoOAuthClientSecret+"\n")
	l.file("refresh_token", refreshToken+"\n")
}

// without leaves out the command that names something, to its end on a later line.
func without(commands, name string) string {
	kept := []string{}
	for each := range strings.SplitSeq(strings.ReplaceAll(commands, "\\\n", " "), "\n") {
		if !strings.Contains(each, name) {
			kept = append(kept, each)
		}
	}
	return strings.Join(kept, "\n")
}

// removedByHand leaves the cluster as it was, whatever the test has come to: credentials
// first, as docs/operations.md says.
func removedByHand(t *testing.T) {
	t.Helper()
	removeNamespace(t, "team-a")
	text, err := os.ReadFile(filepath.Join(repository, "dist", "install.yaml"))
	must(t, err)
	objects, err := decode(text)
	must(t, err)
	(&operator{objects: objects, deployment: client.ObjectKey{Namespace: namespace, Name: "tokenkeeper-controller-manager"}}).uninstall(t)
}
