// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestHelmInstallsUpgradesAndUninstalls has Helm's own program do what the pages say of it,
// by their commands: the first install, an upgrade with other values, an uninstall that
// leaves what it must, and another install that goes on from there.
func TestHelmInstallsUpgradesAndUninstalls(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	l, install := withHelm(t)
	before := everything(t)
	t.Cleanup(func() { removedWithHelm(t, l) })
	l.types(install)
	replicasAre(t, 1)

	// The reader's values, beside the chart's own.
	l.values("values.yaml", ownValues())
	upgrade := line(t, openPage(t, "docs/upgrading.md").block("sh", "helm upgrade"), "helm upgrade") + " --wait"
	l.types(upgrade + " --values values.yaml")
	newNamespace(t, "team-a")
	lifetime(t, longLifetime)
	newCredential(t, "team-a", "shop")
	awaitReady(t, "team-a", "shop")
	must(t, holdsCurrentToken(t, "team-a", "shop"))

	// One value more: the others are kept, and nobody is called for a token that is fresh.
	calls := env.simulator.Totals().Refreshes
	l.types(upgrade + " --set replicas=2")
	replicasAre(t, 2)
	if got := env.simulator.Totals().Refreshes; got != calls {
		t.Errorf("an upgrade called the provider %d times", got-calls)
	}
	refreshed(t, 1)

	chart := openPage(t, "charts/tokenkeeper/README.md")
	uninstall := chart.inline("helm uninstall") + " tokenkeeper --namespace " + namespace + " --wait"
	l.types(uninstall)
	leavesWhatThePageSays(t, before)
	must(t, holdsCurrentToken(t, "team-a", "shop"))

	calls = env.simulator.Totals().Refreshes
	l.types(install + " --values values.yaml")
	awaitReady(t, "team-a", "shop")
	if got := env.simulator.Totals().Refreshes; got != calls {
		t.Errorf("installed again, it called the provider %d times for a token that is fresh", got-calls)
	}
	refreshed(t, 2)
	report(t, "helm install, two upgrades, uninstall, install again: grants lost, calls for fresh tokens", "0, 0")

	l.types(uninstall)
	l.types("kubectl delete crd tokencredentials.tokenkeeper.io clustertokenproviders.tokenkeeper.io")
	eventually(t, patience, "the target has gone with its credential", func() error {
		if secret(t, "team-a", "shop-token") != nil {
			return errors.New("it is still there")
		}
		return nil
	})
	if secret(t, "team-a", "shop-token-state") == nil {
		t.Error("the state has gone, too")
	}
}

// TestHelmTakesOverFromTheInstaller goes from the one-file installer to Helm as the chart's
// page says, with a credential at work.
func TestHelmTakesOverFromTheInstaller(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	l, helmInstall := withHelm(t)
	t.Cleanup(func() { removedWithHelm(t, l) })
	install(t, fromInstaller, 1)
	newNamespace(t, "team-a")
	lifetime(t, longLifetime)
	newCredential(t, "team-a", "shop")
	awaitReady(t, "team-a", "shop")

	calls := env.simulator.Totals().Refreshes
	page := openPage(t, "charts/tokenkeeper/README.md")
	l.values("values.yaml", ownValues())
	l.types(page.inline("kubectl -n tokenkeeper-system delete deployment tokenkeeper-controller-manager"))
	page.inline("helm install --take-ownership")
	l.types(helmInstall + " --take-ownership " + page.inline("--force-conflicts") + " --values values.yaml")
	if got := env.simulator.Totals().Refreshes; got != calls {
		t.Errorf("the provider was called %d times", got-calls)
	}
	refreshed(t, 1)
}

// withHelm is a newcomer's terminal with Helm, in a clone, and the command by which Getting
// started installs the chart.
func withHelm(t *testing.T) (*terminal, string) {
	t.Helper()
	l := newTerminal(t)
	must(t, command(t.Context(), ".", "go", "build", "-o", filepath.Join(l.installed, "helm"), "helm.sh/helm/v4/cmd/helm"))
	chart, err := loader.Load(filepath.Join(repository, "charts", "tokenkeeper"))
	must(t, err)
	pullsFromHere(t, map[string]v1.Image{"tokenkeeper/tokenkeeper:" + chart.AppVersion(): imageOfManager(t)})
	page := openPage(t, "docs/getting-started.md")
	l.types(line(t, page.block("sh", "git clone"), "git clone"))
	return l, strings.TrimSpace(page.block("sh", "helm install"))
}

// ownValues are those of a reader whose provider is at a private address.
func ownValues() map[string]any {
	return map[string]any{
		"egress":    map[string]any{"allowCIDRs": []string{env.host + "/32"}, "extraCA": string(env.server.CAPEM())},
		"extraArgs": egressFlags(),
	}
}

func (l *terminal) values(name string, values map[string]any) {
	l.t.Helper()
	text, err := yaml.Marshal(values)
	must(l.t, err)
	l.file(name, string(text))
}

// line is the one of a block that begins with something.
func line(t *testing.T, block, begins string) string {
	t.Helper()
	for each := range strings.SplitSeq(block, "\n") {
		if each = strings.TrimSpace(each); strings.HasPrefix(each, begins) {
			return each
		}
	}
	t.Fatalf("no line begins with %q:\n%s", begins, block)
	return ""
}

// refreshed asks for another token, and waits for it.
func refreshed(t *testing.T, moreThan int64) {
	t.Helper()
	change(t, "team-a", "shop", func(c *v1alpha1.TokenCredential) { annotate(c, v1alpha1.RefreshAtAnnotation, ordinal(int(moreThan))) })
	awaitReady(t, "team-a", "shop", refreshedMoreThan(moreThan))
	must(t, holdsCurrentToken(t, "team-a", "shop"))
}

func replicasAre(t *testing.T, want int32) {
	t.Helper()
	found := &appsv1.DeploymentList{}
	must(t, env.List(t.Context(), found, client.InNamespace(namespace)))
	if len(found.Items) != 1 || found.Items[0].Status.ReadyReplicas != want {
		t.Fatalf("%d Deployments are there, want one with %d ready replicas: %v", len(found.Items), want, found.Items)
	}
}

// leavesWhatThePageSays checks that what Helm leaves is what the chart's page names, and
// what the reader made.
func leavesWhatThePageSays(t *testing.T, before map[string]bool) {
	t.Helper()
	want := []string{
		"APIService  v1alpha1.tokenkeeper.io", // the API server makes it for the CRDs
		"CustomResourceDefinition  clustertokenproviders.tokenkeeper.io", "CustomResourceDefinition  tokencredentials.tokenkeeper.io",
		"Namespace  team-a", "Namespace  " + namespace,
		"Secret team-a app", "Secret team-a shop-seed", "Secret team-a shop-token", "Secret team-a shop-token-state",
		"Secret " + namespace + " tokenkeeper-digest-key", "TokenCredential team-a shop",
	}
	eventually(t, patience, "what is left is what the page says", func() error { // its pods have a grace period
		left := []string{}
		for each := range everything(t) {
			if !before[each] && !strings.Contains(each, "kube-root-ca.crt") && !strings.HasSuffix(each, " default") {
				left = append(left, each)
			}
		}
		if slices.Sort(left); !slices.Equal(left, want) {
			return fmt.Errorf("there are\n%s\nwant\n%s", strings.Join(left, "\n"), strings.Join(want, "\n"))
		}
		return nil
	})
}

// removedWithHelm leaves the cluster as it was, whatever the test has come to.
func removedWithHelm(t *testing.T, l *terminal) {
	t.Helper()
	l.types("helm uninstall tokenkeeper --namespace " + namespace + " --ignore-not-found --wait")
	removedByHand(t)
}
