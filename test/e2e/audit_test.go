// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
)

// entry is a line of the API server's audit log, as far as it is looked at.
type entry struct {
	Verb string `json:"verb"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource, Subresource, Namespace, Name, APIGroup string
	} `json:"objectRef"`
	RequestURI     string `json:"requestURI"`
	ResponseStatus struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	} `json:"responseStatus"`
}

func (e entry) resource() string {
	name := e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		name += "/" + e.ObjectRef.Subresource
	}
	if e.ObjectRef.APIGroup != "" {
		name += "." + e.ObjectRef.APIGroup
	}
	return name
}

// readAudit gives what the operator asked the API server from an offset of the log on,
// and where the log ends.
func readAudit(t *testing.T, from int64) ([]entry, int64) {
	t.Helper()
	if env.node == "" {
		return nil, 0
	}
	file, err := os.Open(filepath.Join(env.node, "log", "audit.jsonl"))
	must(t, err)
	defer file.Close()
	_, err = file.Seek(from, 0)
	must(t, err)
	found := []entry{}
	reader := bufio.NewReader(file)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return found, from // the last line is being written
		}
		from += int64(len(line))
		each := entry{}
		must(t, json.Unmarshal(line, &each))
		if strings.HasPrefix(each.User.Username, "system:serviceaccount:"+namespace+":") {
			found = append(found, each)
		}
	}
}

// checkAudit fails where the API server has refused the operator something since an
// offset, and reports what the roles allow that it never asked for.
func (o *operator) checkAudit(t *testing.T, from int64) {
	t.Helper()
	asked, _ := readAudit(t, from)
	if env.node == "" {
		t.Log("the audit log of this cluster is not at hand: refusals and unused permissions are not looked at")
		return
	}
	if len(asked) == 0 {
		t.Error("the audit log has no request of the operator: nothing is shown by it")
	}
	used := map[string]bool{}
	for _, each := range asked {
		used[each.Verb+" "+each.resource()] = true
		if each.ObjectRef.Resource == "" {
			used[each.Verb+" "+strings.SplitN(each.RequestURI, "?", 2)[0]] = true
		}
		if each.ResponseStatus.Code == 403 || each.ResponseStatus.Code == 401 {
			t.Errorf("the API server refused the operator %s %s %s/%s: %d %s", each.Verb, each.resource(), each.ObjectRef.Namespace, each.ObjectRef.Name,
				each.ResponseStatus.Code, each.ResponseStatus.Reason)
		}
	}
	unused := []string{}
	for permission := range o.permissions(t) {
		if !used[permission] {
			unused = append(unused, permission)
		}
	}
	slices.Sort(unused)
	report(t, "requests of the operator that were refused", "0 of %d", len(asked))
	report(t, "permissions never used", "%d (%s)", len(unused), strings.Join(unused, ", "))
}

// permissions of the operator's service account, as "verb resource.group".
func (o *operator) permissions(t *testing.T) map[string]bool {
	t.Helper()
	rules := map[string][]rbacv1.PolicyRule{} // by kind and name of the role
	bound := []string{}
	for _, each := range o.objects {
		switch each.GetKind() {
		case "Role", "ClusterRole":
			role := &rbacv1.ClusterRole{}
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(each.Object, role))
			rules[each.GetKind()+" "+each.GetName()] = role.Rules
		case "RoleBinding", "ClusterRoleBinding":
			binding := &rbacv1.ClusterRoleBinding{}
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(each.Object, binding))
			bound = append(bound, binding.RoleRef.Kind+" "+binding.RoleRef.Name)
		}
	}
	all := map[string]bool{}
	for _, role := range bound {
		for _, rule := range rules[role] {
			for _, verb := range rule.Verbs {
				for _, resource := range rule.Resources {
					for _, group := range rule.APIGroups {
						all[strings.TrimSuffix(fmt.Sprintf("%s %s.%s", verb, resource, group), ".")] = true
					}
				}
			}
		}
	}
	return all
}

func kubernetesVersion() string {
	client, err := discovery.NewDiscoveryClientForConfig(env.config)
	if err != nil {
		return err.Error()
	}
	found, err := client.ServerVersion()
	if err != nil {
		return err.Error()
	}
	return "Kubernetes " + found.GitVersion
}
