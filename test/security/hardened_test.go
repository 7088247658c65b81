// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package security

import (
	"bytes"
	"flag"
	"io"
	"maps"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestTheHardenedInstall(t *testing.T) {
	t.Parallel()
	admin := install(t)
	objects := render(t, "config/hardened")
	manager := &appsv1.Deployment{}
	var policies []networkingv1.NetworkPolicy
	for _, object := range objects {
		if err := apply(t.Context(), admin, object.DeepCopy(), client.DryRunAll); err != nil {
			t.Errorf("the API server does not take the %s %s: %v", object.GetKind(), object.GetName(), err)
		}
		switch object.GetKind() {
		case "Deployment":
			into(t, object, manager)
		case "NetworkPolicy":
			var policy networkingv1.NetworkPolicy
			into(t, object, &policy)
			policies = append(policies, policy)
		}
	}
	if len(manager.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("the hardened install has no manager: %+v", manager)
	}
	t.Run("no built-in provider takes a host", func(t *testing.T) {
		t.Parallel()
		faults.Shows(t, "a host of one's own for a built-in provider")
		fixed := withoutFreeHost(t)
		for name := range strings.SplitSeq(argument(manager, "builtin-providers"), ",") {
			if !slices.Contains(fixed, name) {
				t.Errorf("--builtin-providers has %s, which is none, or one of whose host a parameter decides", name)
			}
		}
	})
	t.Run("no host is called until one is named", func(t *testing.T) {
		t.Parallel()
		faults.Shows(t, "a host that the admin has not named")
		way := wayOut(t, manager)
		for _, address := range []string{"https://account.xiaomi.com/oauth2/token", "https://attacker.example/", "https://1.1.1.1/"} {
			target, err := url.Parse(address)
			must(t, err)
			if err := way.Check(target); err == nil {
				t.Errorf("%s may be called", address)
			}
		}
	})
	t.Run("the cluster's own networks are not called, whatever else is allowed", func(t *testing.T) {
		t.Parallel()
		faults.Shows(t, "an address of the cluster's own networks")
		way := wayOut(t, manager)
		way.AllowHosts = nil
		must(t, way.AllowCIDRs.Set("0.0.0.0/0,::/0"))
		for _, address := range []string{"https://10.96.0.1/", "https://172.16.0.1/", "https://192.168.0.1/", "https://100.64.0.1/", "https://[fd00::1]/"} {
			target, err := url.Parse(address)
			must(t, err)
			if err := way.Check(target); err == nil {
				t.Errorf("%s may be called", address)
			}
		}
	})
	t.Run("network policies bind the manager's pods", func(t *testing.T) {
		t.Parallel()
		var types []networkingv1.PolicyType
		for _, policy := range policies {
			selected := labels.SelectorFromSet(policy.Spec.PodSelector.MatchLabels)
			if policy.Namespace != manager.Namespace || !selected.Matches(labels.Set(manager.Spec.Template.Labels)) {
				t.Errorf("the policy %s/%s is for other pods", policy.Namespace, policy.Name)
			}
			types = append(types, policy.Spec.PolicyTypes...)
		}
		if !slices.Contains(types, networkingv1.PolicyTypeEgress) || !slices.Contains(types, networkingv1.PolicyTypeIngress) {
			t.Errorf("the policies are for %v, want both ways", types)
		}
	})
}

// TestThePodHasMemoryForWhatIsPromised reads what docs/benchmarks.md asks of the
// operator: 60 MiB, and 4.5 KiB for each of 50,000 credentials.
func TestThePodHasMemoryForWhatIsPromised(t *testing.T) {
	t.Parallel()
	for _, object := range render(t, "config/default") {
		if object.GetKind() != "Deployment" {
			continue
		}
		manager := &appsv1.Deployment{}
		into(t, object, manager)
		container, spool := manager.Spec.Template.Spec.Containers[0], manager.Spec.Template.Spec.Volumes[0].EmptyDir.SizeLimit
		limit, promised := container.Resources.Limits.Memory().Value(), int64(60<<20+50_000*4.5*1024)
		if limit < promised+spool.Value() {
			t.Errorf("the limit is %d bytes, and %d are promised, beside a spool of %d", limit, promised, spool.Value())
		}
		// The kubelet puts the limit in mebibytes, rounded up, in front of six zeros.
		goLimit := (limit + 1<<20 - 1) >> 20 * 1_000_000
		if goLimit < promised || goLimit+spool.Value() > limit {
			t.Errorf("GOMEMLIMIT is %d, beside a spool of %d under a limit of %d", goLimit, spool.Value(), limit)
		}
		want := []corev1.EnvVar{
			{Name: "MEMORY_LIMIT_MEBIBYTES", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory", Divisor: resource.MustParse("1Mi")}}},
			{Name: "GOMEMLIMIT", Value: "$(MEMORY_LIMIT_MEBIBYTES)000000"},
		}
		if diff := cmp.Diff(want, container.Env); diff != "" {
			t.Errorf("the environment (-want +got):\n%s", diff)
		}
		return
	}
	t.Error("there is no Deployment")
}

// rendering is held while make works: its folder is one for all overlays.
var rendering sync.Mutex

// render prints an overlay as `make deploy` applies it.
func render(t *testing.T, config string) []*unstructured.Unstructured {
	t.Helper()
	rendering.Lock()
	defer rendering.Unlock()
	command := exec.CommandContext(t.Context(), "make", "--silent", "--no-print-directory", "-C", root, "render", "CONFIG="+config)
	var failure bytes.Buffer
	command.Stderr = &failure
	printed, err := command.Output()
	if err != nil {
		t.Fatalf("make render CONFIG=%s: %v\n%s", config, err, &failure)
	}
	objects, err := decode(printed)
	must(t, err)
	return objects
}

func into(t *testing.T, object *unstructured.Unstructured, typed any) {
	t.Helper()
	must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed))
}

// argument is the value of one of the manager's flags.
func argument(manager *appsv1.Deployment, name string) string {
	for _, text := range manager.Spec.Template.Spec.Containers[0].Args {
		if value, is := strings.CutPrefix(text, "--"+name+"="); is {
			return value
		}
	}
	return ""
}

// wayOut is where the courier's flags let the manager call.
func wayOut(t *testing.T, manager *appsv1.Deployment) *egress.Policy {
	t.Helper()
	var way egress.Policy
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	way.AddFlags(flags)
	for _, text := range manager.Spec.Template.Spec.InitContainers[0].Args {
		if strings.HasPrefix(text, "--egress-") {
			if err := flags.Parse([]string{text}); err != nil {
				t.Errorf("the manager does not start with %s: %v", text, err)
			}
		}
	}
	return &way
}

// freeHost matches a URL whose host a parameter or a reply decides.
var freeHost = regexp.MustCompile(`^(https?://[^/]*)?\$\{(parameters|outputs)\.`)

// withoutFreeHost are the built-in providers whose hosts their descriptions name.
func withoutFreeHost(t *testing.T) []string {
	t.Helper()
	specs, err := builtin.Specs()
	must(t, err)
	maps.DeleteFunc(specs, func(_ string, spec v1alpha1.ClusterTokenProviderSpec) bool {
		return slices.ContainsFunc([]*v1alpha1.ProviderCall{spec.Refresh, spec.Login}, func(call *v1alpha1.ProviderCall) bool {
			return call != nil && freeHost.MatchString(call.Request.URL)
		})
	})
	return slices.Sorted(maps.Keys(specs))
}

// TestTheCourierHoldsNoRightInTheCluster: who reads what the Internet sends has no token of
// the cluster, and the one who has it reads nothing of that.
func TestTheCourierHoldsNoRightInTheCluster(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a courier that is taken over")
	for _, config := range []string{"config/default", "config/hardened"} {
		for _, object := range render(t, config) {
			if object.GetKind() != "Deployment" {
				continue
			}
			deployment := &appsv1.Deployment{}
			into(t, object, deployment)
			pod := deployment.Spec.Template.Spec
			if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
				t.Errorf("%s: the token is mounted into every container", config)
			}
			if len(pod.InitContainers) != 1 || len(pod.Containers) != 1 {
				t.Fatalf("%s: %d and %d containers, want the courier and the manager", config, len(pod.InitContainers), len(pod.Containers))
			}
			courier, manager := pod.InitContainers[0], pod.Containers[0]
			if courier.RestartPolicy == nil || *courier.RestartPolicy != corev1.ContainerRestartPolicyAlways {
				t.Errorf("%s: the courier is no sidecar: the manager would wait for its end", config)
			}
			if got := mounted(courier); !slices.Equal(got, []string{"courier"}) {
				t.Errorf("%s: the courier mounts %v, want its socket and its spool alone", config, got)
			}
			if got := mounted(manager); !slices.Contains(got, "kube-api-access") || !slices.Contains(got, "courier") {
				t.Errorf("%s: the manager mounts %v, want its token and the courier's socket", config, got)
			}
			if diff := cmp.Diff(manager.SecurityContext, courier.SecurityContext); diff != "" || manager.Image != courier.Image {
				t.Errorf("%s: the courier is less confined than the manager, or another program (-manager +courier):\n%s", config, diff)
			}
			if slices.ContainsFunc(manager.Args, func(arg string) bool { return strings.HasPrefix(arg, "--egress-") }) {
				t.Errorf("%s: the manager has flags that say what may be called, and calls nobody: %v", config, manager.Args)
			}
		}
	}
}

// mounted are the volumes of a container.
func mounted(container corev1.Container) []string {
	var names []string
	for _, mount := range container.VolumeMounts {
		names = append(names, mount.Name)
	}
	return names
}
