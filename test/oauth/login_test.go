// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl"
	"github.com/tokenkeeper/tokenkeeper/internal/kubectl/authorize"
	"github.com/tokenkeeper/tokenkeeper/test/apiserver"
)

// person is somebody at a machine with kubectl, in a namespace where nothing but an app is.
type person struct {
	*world
	consents   *consentServer
	kubeconfig string
	manifest   string
	ca         string
}

// newPerson has the operator at work, and a manifest for a credential that has no refresh
// token.
func newPerson(t *testing.T) *person {
	t.Helper()
	a := withBasic()
	s := newServer(t, a)
	p := &person{world: &world{Client: apiserver.NewClient(t), t: t}, consents: s.grantsAccess(a)}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	must(t, p.Create(t.Context(), namespace))
	p.namespace = namespace.Name
	p.start()
	p.secret("app", a.data())
	folder := t.TempDir()
	p.kubeconfig, p.manifest, p.ca = filepath.Join(folder, "kubeconfig"), filepath.Join(folder, "shop.yaml"), filepath.Join(folder, "ca.pem")
	must(t, os.WriteFile(p.kubeconfig, apiserver.Kubeconfig, 0o600))
	must(t, os.WriteFile(p.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	must(t, os.WriteFile(p.manifest, []byte(fmt.Sprintf(`
apiVersion: tokenkeeper.io/v1alpha1
kind: TokenCredential
metadata: {name: shop}
spec:
  providerRef: {name: oauth2}
  parameters:
    tokenURL: %s
    authorizationURL: %s
    deviceAuthorizationURL: %s
    scope: offline photos
  appSecretRef: {name: app}
  refreshTokenSecretRef: {name: seed}
`, s.tokenURL(), p.consents.pageURL(), p.consents.deviceURL())), 0o600))
	return p
}

// screen is what a command prints, while it runs. Safe for concurrent use.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// login runs the command; browse acts as the browser that is told to open a page. The
// bystander reads all that is printed.
func (p *person) login(browse func(page string) error, in io.Reader, arguments ...string) (int, string) {
	p.t.Helper()
	out := &screen{}
	arguments = append([]string{"login"}, arguments...)
	arguments = append(arguments, "--ca-file", p.ca, "--kubeconfig", p.kubeconfig, "-n", p.namespace)
	code := kubectl.Main(arguments, kubectl.Terminal{In: in, Out: out, ErrOut: out, Open: browse})
	bystander.See("what login prints in "+p.t.Name(), out.String())
	return code, out.String()
}

// client is a browser without a window; it stops before it leaves for another host where
// follows is false.
func (p *person) client(follows bool) *http.Client {
	c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	if !follows {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return c
}

// visit opens a page and goes where it leads.
func (p *person) visit(page string) error {
	response, err := p.client(true).Get(page)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// leads opens a page and returns where it leads, without going there.
func (p *person) leads(page string) (*url.URL, error) {
	response, err := p.client(false).Get(page)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return response.Location()
}

// nothing is an input that never ends and brings nothing.
func nothing(t *testing.T) io.Reader {
	reader, writer := io.Pipe()
	t.Cleanup(func() { _ = writer.Close() })
	return reader
}

func (p *person) says(code, wantCode int, output string, parts ...string) {
	p.t.Helper()
	if code != wantCode {
		p.t.Errorf("it ends with %d, want %d:\n%s", code, wantCode, output)
	}
	for _, part := range parts {
		if !strings.Contains(output, part) {
			p.t.Errorf("it does not say %q:\n%s", part, output)
		}
	}
}

func TestTheFirstTokenAndTheNextComeOfABrowser(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.secret("seed", map[string]string{"another": "stays"})
	code, output := p.login(p.visit, nothing(t), "-f", p.manifest, "--create")
	p.says(code, 0, output, "The refresh token is in the Secret seed, key refresh_token.", "is applied", "shop is Ready")
	p.awaitFresh(1)
	p.consents.server.serves(p.world)

	code, output = p.login(p.visit, nothing(t), shop)
	p.says(code, 1, output, "is not stalled", "--reauthorize")
	if opened := len(p.consents.pages); opened != 1 {
		t.Errorf("the page was opened %d times, want once: a credential that is Ready needs no person", opened)
	}

	stolen := p.live()
	p.askForRefresh()
	p.awaitFresh(2)
	if thief := refreshOnce(t, p.consents.app, p.consents.tokenURL(), stolen); thief.Reason != v1alpha1.ReauthorizationRequiredReason {
		t.Fatalf("whoever sends a spent token is told %s", thief.Reason)
	}
	p.askForRefresh()
	p.awaitRefused(v1alpha1.ReauthorizationRequiredReason, true, "kubectl tokencredential login shop")
	code, output = p.login(p.visit, nothing(t), shop, "--reauthorize")
	p.says(code, 0, output, "shop is stalled (ReauthorizationRequired)", "shop is Ready")
	if p.read("seed", "another") != "stays" {
		t.Error("another key of the seed's Secret was changed")
	}
	p.consents.server.serves(p.world)
}

func TestAPastedAnswerServesAsWell(t *testing.T) {
	t.Parallel()
	for name, paste := range map[string]func(*url.URL) string{
		"the address": func(end *url.URL) string { return end.String() },
		"the code":    func(end *url.URL) string { return end.Query().Get("code") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t)
			reader, writer := io.Pipe()
			browse := func(page string) error {
				end, err := p.leads(page)
				if err == nil {
					go func() { _, _ = fmt.Fprintln(writer, "\n"+paste(end)) }()
				}
				return err
			}
			code, output := p.login(browse, reader, "-f", p.manifest, "--create", "--redirect-uri", "https://shop.example/callback")
			p.says(code, 0, output, "paste the address", "shop is Ready")
		})
	}
}

func TestAnAnswerToAnotherLoginIsNotTaken(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	browse := func(page string) error {
		end, err := p.leads(page)
		if err != nil {
			return err
		}
		forged := *end
		query := forged.Query()
		query.Set("state", "another-login's-state")
		forged.RawQuery = query.Encode()
		response, err := p.client(true).Get(forged.String())
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("an answer with another state is answered %d", response.StatusCode)
		}
		return p.visit(end.String())
	}
	code, output := p.login(browse, nothing(t), "-f", p.manifest, "--create")
	p.says(code, 0, output, "belongs to another login", "shop is Ready")

	p = newPerson(t)
	pasted := strings.NewReader("https://shop.example/callback?code=somebody-elses-code&state=another\n")
	code, output = p.login(nil, pasted, "-f", p.manifest, "--create", "--redirect-uri", "https://shop.example/callback")
	p.says(code, 1, output, "belongs to another login")
	if p.read("seed", "refresh_token") != "" {
		t.Error("a seed was written")
	}
}

func TestAPersonWhoSaysNoIsUnderstood(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.consents.denies = true
	code, output := p.login(p.visit, nothing(t), "-f", p.manifest, "--create")
	p.says(code, 1, output, "access was not granted: access_denied", "The person said no.")
	if p.read("seed", "refresh_token") != "" {
		t.Error("a seed was written")
	}
}

func TestADeviceWaitsForThePerson(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.consents.polls = []string{"authorization_pending", "slow_down", ""}
	code, output := p.login(nil, nothing(t), "-f", p.manifest, "--create", "--device")
	p.says(code, 0, output, "enter the code WDJB-MJHT", "shop is Ready")
	if asked := len(p.consents.asked); asked != 3 {
		t.Errorf("the provider was asked %d times, want 3", asked)
	}
}

func TestADeviceThatIsNotGrantedAccessEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expiresIn int
		poll      string
		want      string
	}{
		"denied":                  {300, "access_denied", "access was not granted"},
		"expired, the reply says": {300, "expired_token", "expired_token"},
		"expired, the clock says": {1, "", "nobody entered the code before it expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t)
			p.consents.expiresIn, p.consents.polls = c.expiresIn, []string{c.poll}
			code, output := p.login(nil, nothing(t), "-f", p.manifest, "--create", "--device")
			p.says(code, 1, output, c.want)
			if p.read("seed", "refresh_token") != "" {
				t.Error("a seed was written")
			}
		})
	}
}

// TestARealBrowserComesBack has the plugin open the page in headless Chromium as on a
// person's machine: xdg-open asks $BROWSER. The page at which Chromium ends is the plugin's.
func TestARealBrowserComesBack(t *testing.T) { // not parallel: the environment is the process's
	binary := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"} {
		if found, err := exec.LookPath(name); err == nil {
			binary = found
			break
		}
	}
	if binary == "" {
		t.Skip("there is no Chromium on the PATH, so no real browser is tried: apt-get install chromium")
	}
	if _, err := exec.LookPath("xdg-open"); err != nil {
		t.Skip("there is no xdg-open on the PATH, by which the plugin opens a browser: apt-get install xdg-utils")
	}
	folder := t.TempDir()
	browser, end := filepath.Join(folder, "browser"), filepath.Join(folder, "end.html")
	must(t, os.WriteFile(browser, fmt.Appendf(nil, `#!/bin/sh
%[1]s --headless --no-sandbox --disable-gpu --ignore-certificate-errors --user-data-dir=%[2]s/profile --dump-dom "$1" > %[2]s/writing
mv %[2]s/writing %[3]s
`, binary, folder, end), 0o700))
	t.Setenv("BROWSER", browser)
	p := newPerson(t)
	code, output := p.login(authorize.OpenBrowser, nothing(t), "-f", p.manifest, "--create")
	p.says(code, 0, output, "The refresh token is in the Secret seed, key refresh_token.", "shop is Ready")
	if p.read("seed", "refresh_token") == "" {
		t.Error("the seed was not written")
	}
	for range 600 { // it also ends its processes, which use the folder
		if shown, err := os.ReadFile(end); err == nil {
			if !strings.Contains(string(shown), "Access is granted.") {
				t.Errorf("the browser ends at %s", shown)
			}
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("the browser does not end")
}
