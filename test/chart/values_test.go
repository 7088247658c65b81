// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const deployment = "Deployment tokenkeeper-controller-manager"

// TestValues sets what people set, and looks at what becomes of it.
func TestValues(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name, reason, values string
		check                func(t *testing.T, o objects) string // what is wrong; "": nothing
	}{
		{"hosts that may be called", "a flag each, as the operator takes it",
			`egress: {allowHosts: [id.example.com, "*.auth.example.com"], denyCIDRs: [10.0.0.0/8]}`,
			courierHasArgs("--egress-allow-hosts=id.example.com,*.auth.example.com", "--egress-deny-cidrs=10.0.0.0/8")},
		{"no courier", "the manager makes the calls itself, by the same flags",
			"courier: {enabled: false}\negress: {allowHosts: [id.example.com]}\nmaxReplySize: 1Mi",
			func(t *testing.T, o objects) string {
				if text := fmt.Sprint(o.get(t, deployment).Object); strings.Contains(text, "courier") {
					return "a courier is there: " + text
				}
				return hasArgs("--egress-allow-hosts=id.example.com", "--max-reply-size=1Mi")(t, o)
			}},
		{"a courier", "the manager asks it, and has no flags of its own for what may be called",
			"egress: {allowHosts: [id.example.com]}\nextraArgs: [--egress-resolve=a.example:443=127.0.0.1:8443]\ncourier: {extraArgs: [--log-level=debug]}",
			func(t *testing.T, o objects) string {
				if text := fmt.Sprint(theContainer(t, o.get(t, deployment), managers)["args"]); strings.Contains(text, "egress") || !strings.Contains(text, "--courier=unix:/courier/socket") {
					return "the manager has the flags " + text
				}
				return courierHasArgs("--egress-allow-hosts=id.example.com", "--egress-resolve=a.example:443=127.0.0.1:8443", "--log-level=debug")(t, o)
			}},
		{"an authority in the values", "it is mounted where the flag says, and a new one restarts the pod",
			"egress:\n  extraCA: |\n    -----BEGIN CERTIFICATE-----\n    AAAA\n    -----END CERTIFICATE-----\n",
			func(t *testing.T, o objects) string {
				text, _, _ := unstructured.NestedString(o.get(t, "ConfigMap tokenkeeper-provider-ca").Object, "data", "ca.crt")
				sum, _, _ := unstructured.NestedString(o.get(t, deployment).Object, "spec", "template", "metadata", "annotations", "checksum/provider-ca")
				if !strings.HasPrefix(text, "-----BEGIN CERTIFICATE-----\nAAAA\n") || len(sum) != 64 {
					return fmt.Sprintf("the authority is %q, its sum %q", text, sum)
				}
				return courierHasArgs("--egress-ca-file=/provider-ca/ca.crt")(t, o)
			}},
		{"an authority in a ConfigMap", "it is the user's, and none is made",
			`egress: {extraCAConfigMap: {name: corporate, key: bundle.pem}}`,
			func(t *testing.T, o objects) string {
				if slices.ContainsFunc(o.keys(), func(key string) bool { return strings.HasPrefix(key, "ConfigMap ") }) {
					return "a ConfigMap is made"
				}
				return courierHasArgs("--egress-ca-file=/provider-ca/bundle.pem")(t, o)
			}},
		{"a webhook for notifications", "its key is mounted where the flag says",
			`notify: {url: "https://hooks.example.com/tokenkeeper", keySecret: {name: hooks, key: signing}}`,
			func(t *testing.T, o objects) string {
				volumes, _, _ := unstructured.NestedSlice(o.get(t, deployment).Object, "spec", "template", "spec", "volumes")
				if !strings.Contains(fmt.Sprint(volumes), "secretName:hooks") {
					return fmt.Sprintf("the volumes are %v", volumes)
				}
				return hasArgs("--notify-url=https://hooks.example.com/tokenkeeper", "--notify-key-file=/notify/signing")(t, o)
			}},
		{"some namespaces alone", "no role of the cluster lets the manager read a Secret",
			`namespaces: [team-a, team-b]`,
			func(t *testing.T, o objects) string {
				for key, object := range o {
					if object.GetKind() == "ClusterRole" && strings.Contains(key, "manager") && strings.Contains(fmt.Sprint(object.Object["rules"]), "secrets") {
						return key + " reads Secrets of all namespaces"
					}
				}
				for _, team := range []string{"Role tokenkeeper-manager-role", "RoleBinding tokenkeeper-manager-rolebinding"} {
					first := o.get(t, team)
					second := o[team+" in team-b"]
					if second == nil {
						second = o[team+" in team-a"]
					}
					if second == nil || first.GetNamespace() == second.GetNamespace() {
						return team + " is not in both namespaces"
					}
				}
				return hasArgs("--namespaces=team-a,team-b")(t, o)
			}},
		{"a digest", "it says more than a tag", "image: {tag: v1.2.3, digest: 'sha256:" + strings.Repeat("a", 64) + "'}",
			func(t *testing.T, o objects) string {
				if image := theContainer(t, o.get(t, deployment), couriers)["image"]; image != "ghcr.io/tokenkeeper/tokenkeeper@sha256:"+strings.Repeat("a", 64) {
					return fmt.Sprintf("the image is %v", image)
				}
				return ""
			}},
		{"CRDs that stay", "an uninstall must not take every credential with it", ``,
			func(t *testing.T, o objects) string {
				for _, crd := range []string{"tokencredentials", "clustertokenproviders"} {
					if o.get(t, "CustomResourceDefinition "+crd+".tokenkeeper.io").GetAnnotations()["helm.sh/resource-policy"] != "keep" {
						return crd + " is not kept"
					}
				}
				return ""
			}},
		{"without CRDs", "somebody else installs them", `crds: {enabled: false}`,
			lacks("CustomResourceDefinition tokencredentials.tokenkeeper.io")},
		{"without metrics", "nothing listens, and nothing is made for who would ask", `metrics: {enabled: false}`,
			lacks("Service tokenkeeper-controller-manager-metrics-service", "ClusterRole tokenkeeper-metrics-auth-role")},
		{"without nudges", "the right to pods is an opt-in", ``, func(t *testing.T, o objects) string {
			for key, object := range o {
				if strings.Contains(fmt.Sprint(object.Object["rules"]), "resources:[pods]") {
					return key + " gives a right to pods"
				}
			}
			if hasArgs("--nudge-pods")(t, o) == "" {
				return "the manager has the flag"
			}
			return ""
		}},
		{"nudges", "the flag, and the right to list and patch pods, and no more", `nudgePods: {enabled: true}`, func(t *testing.T, o objects) string {
			if got := fmt.Sprint(o.get(t, "ClusterRole tokenkeeper-nudge-pods").Object["rules"]); got != "[map[apiGroups:[] resources:[pods] verbs:[list patch]]]" {
				return "the rules are " + got
			}
			o.get(t, "ClusterRoleBinding tokenkeeper-nudge-pods")
			return hasArgs("--nudge-pods")(t, o)
		}},
		{"nudges in some namespaces alone", "the right is given there, and nowhere else", `{nudgePods: {enabled: true}, namespaces: [team-a]}`, func(t *testing.T, o objects) string {
			if o["ClusterRole tokenkeeper-nudge-pods"] != nil || o["ClusterRoleBinding tokenkeeper-nudge-pods"] != nil {
				return "the right is given in all namespaces"
			}
			for _, key := range []string{"Role tokenkeeper-nudge-pods", "RoleBinding tokenkeeper-nudge-pods"} {
				if in := o.get(t, key).GetNamespace(); in != "team-a" {
					return key + " is in " + in
				}
			}
			return ""
		}},
		{"without the admission policy", "it is the cluster's admin who says so", `admissionPolicy: {enabled: false}`,
			lacks("ValidatingAdmissionPolicy tokenkeeper-tokencredential-rights")},
		{"alerts and dashboard", "what Prometheus and Grafana fill in is left to them",
			`metrics: {prometheusRule: {enabled: true, labels: {release: stack}}, dashboard: {enabled: true}}`,
			func(t *testing.T, o objects) string {
				rule := o.get(t, "PrometheusRule tokenkeeper-controller-manager-alerts")
				json, _, _ := unstructured.NestedString(o.get(t, "ConfigMap tokenkeeper-dashboard").Object, "data", "tokenkeeper.json")
				if rule.GetLabels()["release"] != "stack" || !strings.Contains(fmt.Sprint(rule.Object), "{{ $labels.name }}") || !strings.Contains(json, `"title": "TokenKeeper"`) {
					return fmt.Sprintf("the rule is %v", rule.Object)
				}
				return ""
			}},
		{"a constraint of spread", "it is of the manager's pods",
			`topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]`,
			func(t *testing.T, o objects) string {
				constraints, _, _ := unstructured.NestedSlice(o.get(t, deployment).Object, "spec", "template", "spec", "topologySpreadConstraints")
				if len(constraints) != 1 || !strings.Contains(fmt.Sprint(constraints[0]), "control-plane:controller-manager") {
					return fmt.Sprintf("the constraints are %v", constraints)
				}
				return ""
			}},
		{"labels for all", "each object and the pod carry them", `commonLabels: {team: platform}`,
			func(_ *testing.T, o objects) string {
				for key, object := range o {
					if object.GetLabels()["team"] != "platform" {
						return key + " lacks the label"
					}
				}
				return ""
			}},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			if wrong := each.check(t, mustRender(t, each.values)); wrong != "" {
				t.Errorf("%s\nreason: %s", wrong, each.reason)
			}
		})
	}
}

// hasArgs looks for flags of the manager, and courierHasArgs for those of its courier.
func hasArgs(want ...string) func(*testing.T, objects) string { return argsIn(managers, want) }

func courierHasArgs(want ...string) func(*testing.T, objects) string { return argsIn(couriers, want) }

func argsIn(of string, want []string) func(*testing.T, objects) string {
	return func(t *testing.T, o objects) string {
		t.Helper()
		args, _ := theContainer(t, o.get(t, deployment), of)["args"].([]any)
		for _, arg := range want {
			if !slices.Contains(args, any(arg)) {
				return fmt.Sprintf("%s is not among %v", arg, args)
			}
		}
		return ""
	}
}

// lacks looks for objects that must not be there.
func lacks(keys ...string) func(*testing.T, objects) string {
	return func(_ *testing.T, o objects) string {
		for _, key := range keys {
			if o[key] != nil {
				return key + " is made"
			}
		}
		return ""
	}
}

// TestWrongValues are refused by the schema, before anything is installed.
func TestWrongValues(t *testing.T) {
	t.Parallel()
	for _, each := range []struct{ name, values, says string }{
		{"a value that does not exist", `replica: 2`, "replica"},
		{"a misspelt nested value", `egress: {allowHost: [a]}`, "allowHost"},
		{"hosts as one text", `egress: {allowHosts: "a,b"}`, "allowHosts"},
		{"two hosts in one", `egress: {allowHosts: ["a,b"]}`, "allowHosts"},
		{"a network without its length", `egress: {denyCIDRs: [10.0.0.0]}`, "denyCIDRs"},
		{"a digest that is a tag", `image: {digest: v1}`, "digest"},
		{"a flag without dashes", `extraArgs: [leader-elect]`, "extraArgs"},
		{"a privileged port", `metrics: {port: 443}`, "port"},
		{"a grace period that loses tokens", `terminationGracePeriodSeconds: 5`, "terminationGracePeriodSeconds"},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			_, err := render(each.values)
			if err == nil || !strings.Contains(err.Error(), each.says) {
				t.Errorf("%s is not refused with a word of %q: %v", each.values, each.says, err)
			}
		})
	}
}
