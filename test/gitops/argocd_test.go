// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitops tests what tools that apply manifests make of credentials: Argo CD by its
// own scripts, run by a Lua interpreter, and Flux, kubectl and others by kstatus. It is a
// module of its own, so that neither is a part of the operator's.
package gitops

import (
	"fmt"
	"os"
	"testing"

	lua "github.com/yuin/gopher-lua"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// script is a key of the ConfigMap.
func script(t *testing.T, key string) string {
	t.Helper()
	text, err := os.ReadFile("../../config/argocd/argocd-cm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var configMap struct{ Data map[string]string }
	if err := yaml.Unmarshal(text, &configMap); err != nil {
		t.Fatal(err)
	}
	if configMap.Data[key] == "" {
		t.Fatalf("the ConfigMap has no %s", key)
	}
	return configMap.Data[key]
}

// run runs a script on an object, as Argo CD does, and returns what it returns.
func run(t *testing.T, script string, object map[string]any) map[string]any {
	t.Helper()
	state := lua.NewState()
	defer state.Close()
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoString(script); err != nil {
		t.Fatal(err)
	}
	result, _ := fromLua(state.Get(-1)).(map[string]any)
	return result
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, member := range value {
			table.RawSetString(key, toLua(state, member))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, element := range value {
			table.Append(toLua(state, element))
		}
		return table
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case nil:
		return lua.LNil
	}
	panic(fmt.Sprintf("a %T in an object", value))
}

func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case *lua.LTable:
		members := map[string]any{}
		value.ForEach(func(key, member lua.LValue) { members[key.String()] = fromLua(member) })
		return members
	case lua.LString:
		return string(value)
	case lua.LBool:
		return bool(value)
	case lua.LNumber:
		return float64(value)
	}
	return nil
}

// credential with conditions such as "Ready True TokenValid".
func credential(t *testing.T, change func(*v1alpha1.TokenCredential), conditions ...metav1.Condition) map[string]any {
	t.Helper()
	c := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Name: "shop", Generation: 3}}
	c.APIVersion, c.Kind = v1alpha1.GroupVersion.String(), "TokenCredential"
	c.Spec.ProviderRef.Name = "xiaomi"
	c.Status.Conditions, c.Status.ObservedGeneration = conditions, 3
	if change != nil {
		change(c)
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c)
	if err != nil {
		t.Fatal(err)
	}
	return (&unstructured.Unstructured{Object: object}).Object
}

func condition(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: "because", LastTransitionTime: metav1.Now()}
}

var (
	ready    = condition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.TokenValidReason)
	notReady = condition(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ProviderUnavailableReason)
	pending  = condition(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.PendingReason)
	failed   = condition(v1alpha1.RefreshedCondition, metav1.ConditionFalse, v1alpha1.ProviderUnavailableReason)
	working  = condition("Reconciling", metav1.ConditionTrue, "Progressing")
	stalled  = condition(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.AppRejectedReason)
)

func TestArgoCDHealth(t *testing.T) {
	t.Parallel()
	const key = "resource.customizations.health.tokenkeeper.io_TokenCredential"
	suspend := func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = true }
	for _, each := range []struct {
		name           string
		object         map[string]any
		status, reason string
	}{
		{"nobody has looked", credential(t, nil), "Progressing", "there is nothing to judge by"},
		{"a new spec", credential(t, func(c *v1alpha1.TokenCredential) { c.Generation = 4 }, ready), "Progressing", "the status is of the spec before"},
		{"a fresh token", credential(t, nil, ready), "Healthy", "pods work"},
		{"a renewal that fails while the token lives", credential(t, nil, ready, failed), "Healthy", "pods work still"},
		{"stalled while the token lives", credential(t, nil, ready, failed, stalled), "Degraded", "a person must act before the token expires"},
		{"the first token is to come", credential(t, nil, pending, working), "Progressing", "nothing is wrong"},
		{"no token, and a failure", credential(t, nil, notReady, failed), "Degraded", "pods do not work"},
		{"suspended", credential(t, suspend, ready), "Suspended", "somebody meant it"},
		{"suspended and stalled", credential(t, suspend, ready, stalled), "Degraded", "a person must act all the same"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			got := run(t, script(t, key), each.object)
			if got["status"] != each.status || got["message"] == "" {
				t.Errorf("it is %v, want %s\nreason: %s", got, each.status, each.reason)
			}
		})
	}
}

func TestArgoCDHealthOfProviders(t *testing.T) {
	t.Parallel()
	const key = "resource.customizations.health.tokenkeeper.io_ClusterTokenProvider"
	provider := func(observed int64, status string) map[string]any {
		return map[string]any{"metadata": map[string]any{"generation": int64(2)}, "status": map[string]any{
			"observedGeneration": observed, "conditions": []any{map[string]any{"type": "Ready", "status": status, "message": "because"}}}}
	}
	for want, object := range map[string]map[string]any{
		"Healthy": provider(2, "True"), "Degraded": provider(2, "False"), "Progressing": provider(1, "True"),
	} {
		if got := run(t, script(t, key), object); got["status"] != want {
			t.Errorf("it is %v, want %s", got, want)
		}
	}
	if got := run(t, script(t, key), map[string]any{"metadata": map[string]any{}}); got["status"] != "Progressing" {
		t.Errorf("a new one is %v", got)
	}
}

func TestArgoCDActions(t *testing.T) {
	t.Parallel()
	var actions struct {
		Discovery   string `json:"discovery.lua"`
		Definitions []struct {
			Name   string
			Action string `json:"action.lua"`
		}
	}
	if err := yaml.Unmarshal([]byte(script(t, "resource.customizations.actions.tokenkeeper.io_TokenCredential")), &actions); err != nil {
		t.Fatal(err)
	}
	offered := run(t, actions.Discovery, credential(t, nil, ready))
	for _, each := range actions.Definitions {
		if offered[each.Name] == nil {
			t.Errorf("%s is defined and not offered", each.Name)
		}
		got := run(t, each.Action, credential(t, func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = each.Name == "resume" }, ready))
		metadata, _ := got["metadata"].(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		spec, _ := got["spec"].(map[string]any)
		switch asked, _ := annotations[v1alpha1.RefreshAtAnnotation].(string); each.Name {
		case "refresh":
			if len(asked) != len("2006-01-02T15:04:05Z") {
				t.Errorf("refresh asks for %q", asked)
			}
		case "suspend", "resume":
			if spec["suspend"] != (each.Name == "suspend") {
				t.Errorf("%s leaves spec.suspend at %v", each.Name, spec["suspend"])
			}
		default:
			t.Errorf("nobody tests %s", each.Name)
		}
	}
	if len(actions.Definitions) != 3 {
		t.Errorf("%d actions, want 3", len(actions.Definitions))
	}
	for name, suspended := range map[string]bool{"resume": false, "suspend": true, "refresh": true} {
		offered := run(t, actions.Discovery, credential(t, func(c *v1alpha1.TokenCredential) { c.Spec.Suspend = suspended }, ready))
		if action, _ := offered[name].(map[string]any); action["disabled"] != true {
			t.Errorf("%s is offered where it makes no sense: %v", name, offered)
		}
	}
}
