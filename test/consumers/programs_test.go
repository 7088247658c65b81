// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runs has a program end well, in an empty folder and with an empty home, and returns what
// it prints.
func runs(t *testing.T, variables []string, name string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), tool(t, name), arguments...)
	command.Dir = t.TempDir()
	command.Env = append(append(os.Environ(), "HOME="+t.TempDir(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1"), variables...)
	printed, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, printed)
	}
	return string(printed)
}

// at puts the address of a test's server in the place of a sample's.
func at(data map[string][]byte, pairs ...string) map[string][]byte {
	changed := map[string][]byte{}
	for name, content := range data {
		changed[name] = []byte(strings.NewReplacer(pairs...).Replace(string(content)))
	}
	return changed
}

func TestAShellReadsTheVariables(t *testing.T) {
	t.Parallel()
	folder := mounted(t, sample(t, "env").Data)
	if got := runs(t, nil, "sh", "-c", `. "$0"; printf %s "$API_TOKEN"`, filepath.Join(folder, "token.env")); got != aToken {
		t.Errorf("it reads %q", got)
	}
}

func TestCurlSendsTheHeader(t *testing.T) {
	t.Parallel()
	tool(t, "curl")
	folder := mounted(t, sample(t, "header").Data)
	runs(t, nil, "curl", "-sSf", "-H", "@"+filepath.Join(folder, "header"), guarded(t, "Bearer "+aToken, "Bearer", nothing))
}

func TestCurlReadsTheNetrc(t *testing.T) {
	t.Parallel()
	tool(t, "curl")
	folder := mounted(t, at(sample(t, "netrc").Data, "git.example.com", "127.0.0.1"))
	runs(t, nil, "curl", "-sSf", "--netrc-file", filepath.Join(folder, ".netrc"), guarded(t, basic("oauth2"), `Basic realm="git"`, nothing))
}

// TestGitReadsTheNetrc clones over HTTP from Git's own server.
func TestGitReadsTheNetrc(t *testing.T) {
	t.Parallel()
	folder := mounted(t, at(sample(t, "netrc").Data, "git.example.com", "127.0.0.1"))
	runs(t, []string{"HOME=" + folder}, "git", "clone", gitServer(t, "oauth2")+"/repository.git")
}

// TestGitReadsBasicAuth has a credential helper read the files of the mounted Secret.
func TestGitReadsBasicAuth(t *testing.T) {
	t.Parallel()
	secret := sample(t, "basic-auth")
	if secret.Type != "kubernetes.io/basic-auth" {
		t.Errorf("its type is %s", secret.Type)
	}
	folder := mounted(t, secret.Data)
	helper := fmt.Sprintf(`!f() { echo "username=$(cat %[1]s/username)"; echo "password=$(cat %[1]s/password)"; }; f`, folder)
	runs(t, nil, "git", "-c", "credential.helper="+helper, "clone", gitServer(t, "oauth2")+"/repository.git")
}

// gitServer serves an empty repository to who brings the token as the password of a user.
func gitServer(t *testing.T, user string) string {
	t.Helper()
	git, folder := tool(t, "git"), t.TempDir()
	runs(t, nil, "git", "init", "--quiet", "--bare", filepath.Join(folder, "repository.git"))
	return guarded(t, basic(user), `Basic realm="git"`, &cgi.Handler{
		Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + folder, "GIT_HTTP_EXPORT_ALL=1"},
	})
}

func TestNpmReadsTheNpmrc(t *testing.T) {
	t.Parallel()
	tool(t, "npm")
	url := guarded(t, "Bearer "+aToken, "Bearer", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	folder := mounted(t, at(sample(t, "npmrc").Data, "https://npm.example.com", url, "//npm.example.com", strings.TrimPrefix(url, "http:")))
	runs(t, []string{"NPM_CONFIG_USERCONFIG=" + filepath.Join(folder, ".npmrc")}, "npm", "ping", "--cache", t.TempDir(), "--no-update-notifier")
}

// TestMavenReadsTheSettings has Maven fetch a parent from a repository that asks for the
// token; that takes no plugin, and so nothing from the Internet.
func TestMavenReadsTheSettings(t *testing.T) {
	t.Parallel()
	tool(t, "mvn")
	const parent = `<project><modelVersion>4.0.0</modelVersion><groupId>example</groupId><artifactId>parent</artifactId><version>1</version><packaging>pom</packaging></project>`
	url := guarded(t, basic("oauth2"), `Basic realm="packages"`, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/parent-1.pom") {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, parent)
	}))
	folder := mounted(t, sample(t, "maven").Data)
	project := mounted(t, map[string][]byte{"pom.xml": fmt.Appendf(nil, `<project><modelVersion>4.0.0</modelVersion>
<parent><groupId>example</groupId><artifactId>parent</artifactId><version>1</version><relativePath/></parent>
<artifactId>child</artifactId><packaging>pom</packaging>
<repositories><repository><id>packages</id><url>%s/</url></repository></repositories></project>`, url)})
	runs(t, nil, "mvn", "--batch-mode", "--settings", filepath.Join(folder, "settings.xml"), "-Dmaven.repo.local="+t.TempDir(),
		"--file", filepath.Join(project, "pom.xml"), "validate")
}
