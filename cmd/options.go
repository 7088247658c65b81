// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenkeeper/tokenkeeper/internal/controller/access"
	"github.com/tokenkeeper/tokenkeeper/internal/egress"
)

// options are what the flags say.
type options struct {
	metricsAddress  string
	metricsSecure   bool
	metricsCertPath string
	metricsCertName string
	metricsCertKey  string
	probeAddress    string
	pprofAddress    string
	leaderElect     bool
	enableHTTP2     bool

	namespaces        list
	labelSelector     selector
	concurrency       int
	builtInProviders  list
	credentialMetrics bool
	spoolDir          string
	courier           string
	nudgePods         bool
	notifyURL         string
	notifyKeyFile     string

	egress egress.Policy
}

func defaultOptions() options {
	return options{
		labelSelector:    selector{labels.Everything()},
		builtInProviders: list{"*"},
	}
}

func (o *options) addFlags(flags *flag.FlagSet) {
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "where metrics are served, such as :8443; 0 serves none")
	flags.BoolVar(&o.metricsSecure, "metrics-secure", true, "serve metrics over HTTPS, to who may read them by the cluster's RBAC")
	flags.StringVar(&o.metricsCertPath, "metrics-cert-path", "", "directory with the certificate of the metrics server; without it a self-signed one is made")
	flags.StringVar(&o.metricsCertName, "metrics-cert-name", "tls.crt", "file name of that certificate")
	flags.StringVar(&o.metricsCertKey, "metrics-cert-key", "tls.key", "file name of its key")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "where /healthz and /readyz are served; 0 serves none")
	flags.StringVar(&o.pprofAddress, "pprof-bind-address", "0", "where profiles are served without authentication, such as 127.0.0.1:6060; 0 serves none")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "take part in the election of a leader, so that one of several replicas works")
	flags.BoolVar(&o.enableHTTP2, "enable-http2", false, "let the metrics server speak HTTP/2")
	flags.Var(&o.namespaces, "namespaces", "watch these namespaces alone, as A,B; default: all")
	flags.Var(&o.labelSelector, "watch-label-selector", "work on the TokenCredentials that this label selector matches alone; default: all")
	flags.IntVar(&o.concurrency, "max-concurrent-reconciles", 64, "how many credentials are worked on at once")
	flags.Var(&o.builtInProviders, "builtin-providers", "which built-in providers may be used, as A,B, or * for all")
	flags.BoolVar(&o.credentialMetrics, "credential-metrics", true, "serve gauges for each credential, read from the cache at scrape time")
	flags.StringVar(&o.spoolDir, "spool-dir", "", "directory, in memory, that outlives the container (an emptyDir): what a provider sent is kept there, sealed, until it is saved; default: none")
	flags.StringVar(&o.courier, "courier", "", "the socket of a courier (manager courier --listen), as unix:PATH: it sends what goes to providers, by its own --egress-* flags, and outlives this process; default: none, this process does")
	flags.BoolVar(&o.nudgePods, "nudge-pods", false, "for credentials with target.nudgePods, have the pods that mount the target see a new token within seconds; needs the right to list and patch pods (config/nudge-pods)")
	flags.StringVar(&o.notifyURL, "notify-url", "", "send a signed CloudEvent to this `URL` when a person must act on a credential, and when nobody must any more; default: none")
	flags.StringVar(&o.notifyKeyFile, "notify-key-file", "", "`FILE` with the keys that notifications are signed with, one a line: whsec_ and 24 to 64 random bytes in base64")
	o.egress.AddFlags(flags)
}

// handOver is how long a process that is ending keeps its lease at most. Nearly always
// its work ends at once. What does not, a call to a slow provider or a commit that is
// refused, is of one tenant, and the others' tokens must not wait for it: another process
// takes over, leaves the claims of this one alone, and this one ends when that work has
// ended (run). The pod's grace period is the outer bound.
const handOver = 5 * time.Second

// manager are the options of the controller manager.
func (o *options) manager(scheme *runtime.Scheme) ctrl.Options {
	handOver := handOver
	return ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       o.metrics(),
		HealthProbeBindAddress:        "0", // see serveProbes
		PprofBindAddress:              o.pprofAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              o.leaseName(),
		LeaderElectionNamespace:       ownNamespace(),
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &handOver,
		Cache:                         access.CacheOptions(o.namespaces, o.labelSelector.Selector),
		Client:                        access.ClientOptions(),
	}
}

// leaseName is the name of the leader's lease. Each shard has one of its own, which
// its replicas find by their flags: those of another shard must not keep it from
// working.
func (o *options) leaseName() string {
	const name = "manager.tokenkeeper.io"
	if len(o.namespaces) == 0 && o.labelSelector.Empty() {
		return name
	}
	namespaces := slices.Sorted(slices.Values(o.namespaces))
	sum := sha256.Sum256([]byte(strings.Join(namespaces, ",") + "/" + o.labelSelector.String()))
	return hex.EncodeToString(sum[:4]) + "." + name
}

// ownNamespace is where the leader's lease is kept, and the key for digests: the pod's
// own namespace, or, outside of a cluster, one that the environment names.
func ownNamespace() string {
	mounted, _ := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	return cmp.Or(strings.TrimSpace(string(mounted)), os.Getenv("POD_NAMESPACE"), "default")
}

// holder names this process in the claims it makes: the host and a name that no
// other process has.
func holder(id string) string {
	host, err := os.Hostname()
	if err != nil {
		host = filepath.Base(os.Args[0])
	}
	return host + "/" + id
}

// list is a flag of words separated by commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

// Set replaces the list.
func (l *list) Set(text string) error {
	*l = nil
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			*l = append(*l, word)
		}
	}
	return nil
}

// selector is a flag that holds a label selector.
type selector struct{ labels.Selector }

func (s *selector) String() string {
	if s.Selector == nil {
		return ""
	}
	return s.Selector.String()
}

// Set parses a label selector.
func (s *selector) Set(text string) error {
	parsed, err := labels.Parse(text)
	if err != nil {
		return fmt.Errorf("write a label selector such as shard=1: %w", err)
	}
	s.Selector = parsed
	return nil
}
