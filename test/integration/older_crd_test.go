// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"

	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// What an older CRD let in is in etcd, and today's CRD does not check it again.
func TestASpecThatAnOlderCRDLetIn(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a spec that an older CRD let in")
	w := newWorld(t, simulator.Hour)
	odd := []struct {
		name   string
		reason string
		change func(spec map[string]any)
	}{
		{"a duration that is none", "it is told, not guessed", func(spec map[string]any) { spec["renewal"] = map[string]any{"before": "soon"} }},
		{"a percentage out of bounds", "it must not make a storm of calls", func(spec map[string]any) { spec["renewal"] = map[string]any{"percentage": -5000} }},
		{"a kind of provider that is unknown", "it is told", func(spec map[string]any) { spec["providerRef"] = map[string]any{"kind": "Other", "name": "x"} }},
		{"no provider", "it is told", func(spec map[string]any) { delete(spec, "providerRef") }},
		{"a policy that is unknown", "it counts as the careful one", func(spec map[string]any) { spec["onUnknownOutcome"] = "Perhaps" }},
		{"a target that cannot be one", "it is told", func(spec map[string]any) {
			spec["target"] = map[string]any{"name": "Not A Name", "creationPolicy": "Steal"}
		}},
		{"a type of target that is not allowed", "it is told", func(spec map[string]any) {
			spec["target"] = map[string]any{"template": map[string]any{"type": "kubernetes.io/service-account-token"}}
		}},
		{"fields that are no more", "they are ignored", func(spec map[string]any) { spec["retired"] = map[string]any{"x": 1} }},
	}
	// It cannot be looked up, so nothing can be said of it either.
	const unreadable = 1
	odd = append(odd, odd[0])
	odd[len(odd)-1].change = func(spec map[string]any) { spec["appSecretRef"] = map[string]any{"name": ""} }
	good := builtInNamed(t, "mcs")
	good.create(w)
	pattern := w.look(good.provider).Spec
	for i, each := range odd {
		pattern.Target.Name = ""
		name := fmt.Sprint("odd-", i)
		w.credential(name, pattern)
		must(t, apiserver.Smuggle(t.Context(), "tokenkeeper.io/tokencredentials/"+w.namespace+"/"+name, func(object map[string]any) {
			each.change(object["spec"].(map[string]any))
		}))
	}
	w.start()
	w.awaitFresh(good.provider)
	for i, each := range odd[:len(odd)-unreadable] {
		w.await(fmt.Sprint("odd-", i), each.name+": "+each.reason, func(c *v1alpha1.TokenCredential) bool {
			return meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ReadyCondition) != nil || len(w.toldByEvents(c.Name)) > 0
		})
	}
	w.askForRefresh(good.provider, "goes on")
	w.awaitRefreshes(good.provider, 2)
	w.awaitFresh(good.provider)
	if strings.Contains(w.journal.String(), "panic") {
		t.Error("a spec made the operator panic")
	}
}
