// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestWhoMayReadMetrics(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "metrics without a token")
	s := newScene(t, simulator.Hour)
	address := freeAddress(t)
	process := s.newPod().start("--metrics-bind-address=" + address)
	s.awaitFresh(1)
	stranger, reader := s.serviceAccount("stranger"), s.serviceAccount("reader")
	s.bindMetricsReader("reader")

	for _, each := range []struct {
		name  string
		token string
		want  int
	}{
		{"nobody is refused", "", http.StatusUnauthorized},
		{"a service account without the role is refused", stranger, http.StatusForbidden},
		{"a service account with the role reads", reader, http.StatusOK},
	} {
		status, body := s.scrape("https://"+address+"/metrics", each.token)
		if told := bytes.Contains(body, []byte("tokenkeeper_")); status != each.want || told != (each.want == http.StatusOK) {
			t.Errorf("%s: got status %d, metrics %t; want %d", each.name, status, told, each.want)
		}
	}
	process.stop()
}

// serviceAccount makes a service account, and returns a token of it.
func (s *scene) serviceAccount(name string) string {
	s.t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	s.must(s.Create(s.t.Context(), account))
	request := &authenticationv1.TokenRequest{}
	s.must(s.SubResource("token").Create(s.t.Context(), account, request))
	return request.Status.Token
}

// bindMetricsReader gives a service account the role that is shipped for that.
func (s *scene) bindMetricsReader(account string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", "metrics_reader_role.yaml"))
	s.must(err)
	role := &rbacv1.ClusterRole{}
	s.must(yaml.UnmarshalStrict(text, role))
	role.Name = s.namespace // roles are the cluster's, and each run of a test has its own
	s.must(s.Create(s.t.Context(), role))
	s.must(s.Create(s.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.namespace, Name: account}},
	}))
}

// scrape asks for metrics, with a token where one is given.
func (s *scene) scrape(url, token string) (status int, body []byte) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	s.must(err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // it is made up by the manager
	}
	reply, err := transport.RoundTrip(request)
	s.must(err)
	defer func() { _ = reply.Body.Close() }()
	body, err = io.ReadAll(reply.Body)
	s.must(err)
	return reply.StatusCode, body
}
