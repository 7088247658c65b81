// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

const aToken = "eyJhbGciOi.token-of-a-sample_0"

// rendered is the target that a sample makes of a token.
func rendered(t *testing.T, name string) (data map[string][]byte, kind string, labels map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "config/samples/targets", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	credential := v1alpha1.TokenCredential{}
	if err := yaml.UnmarshalStrict(text, &credential); err != nil {
		t.Fatal(err)
	}
	compiled, err := render.NewCompiler().Compile(t.Context(), credential.Namespace, credential.Spec.Target, nil, credential.Spec.Parameters)
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	content, err := compiled.Render(token.Token{
		AccessToken: secret.New(aToken), Type: "Bearer", Validity: token.Validity{IssuedAt: noon, ExpiresAt: noon.Add(time.Hour)},
	}, credential.Spec.Parameters)
	if err != nil {
		t.Fatal(err)
	}
	return content.Data, string(compiled.Type()), compiled.Labels()
}

// tool is a program that reads such a file, where it is installed.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed here", name)
	}
	return path
}

func written(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// asked is what a server was sent in Authorization by a program that called it.
func asked(t *testing.T, call func(url string) *exec.Cmd) string {
	t.Helper()
	seen := ""
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Get("Authorization") }))
	defer server.Close()
	if output, err := call(server.URL).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return seen
}

// sentByStore is what the webhook store of docs/consuming.md sends in Authorization. External
// Secrets is not part of this test: the store's templates are Go's, over the data of the
// Secrets that it names (https://external-secrets.io/latest/provider/webhook/).
func sentByStore(t *testing.T, data map[string][]byte) string {
	t.Helper()
	var store struct {
		Spec struct {
			Provider struct {
				Webhook struct {
					Headers map[string]string `json:"headers"`
					Secrets []struct {
						Name      string `json:"name"`
						SecretRef struct {
							Name string `json:"name"`
						} `json:"secretRef"`
					} `json:"secrets"`
				} `json:"webhook"`
			} `json:"provider"`
		} `json:"spec"`
	}
	for _, block := range yamlBlock.FindAllStringSubmatch(pages(t)[filepath.Join("docs", "consuming.md")], -1) {
		if strings.Contains(block[1], "kind: SecretStore") {
			if err := yaml.Unmarshal([]byte(block[1]), &store); err != nil {
				t.Fatal(err)
			}
		}
	}
	values := map[string]map[string]string{}
	for _, each := range store.Spec.Provider.Webhook.Secrets {
		if each.SecretRef.Name != "external-secrets-token" {
			t.Errorf("the store reads the Secret %q, which is not the sample's target", each.SecretRef.Name)
		}
		values[each.Name] = map[string]string{}
		for key, value := range data {
			values[each.Name][key] = string(value)
		}
	}
	header, err := template.New("header").Option("missingkey=error").Parse(store.Spec.Provider.Webhook.Headers["Authorization"])
	if err != nil {
		t.Fatal(err)
	}
	var sent strings.Builder
	if err := header.Execute(&sent, values); err != nil {
		t.Fatal(err)
	}
	return sent.String()
}

func TestTargetsAreWhatTheirReadersTake(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("oauth2:"+aToken))
	for name, check := range map[string]func(*testing.T, map[string][]byte) string{
		"env": func(t *testing.T, data map[string][]byte) string {
			file := written(t, "token.env", data["token.env"])
			output, err := exec.CommandContext(ctx, tool(t, "sh"), "-c", `. "$0"; printf %s "$API_TOKEN"`, file).Output()
			return differs(string(output), aToken, err)
		},
		"header": func(t *testing.T, data map[string][]byte) string {
			curl, file := tool(t, "curl"), written(t, "header", data["header"])
			return differs(asked(t, func(url string) *exec.Cmd { return exec.CommandContext(ctx, curl, "-sS", "-H", "@"+file, url) }), "Bearer "+aToken, nil)
		},
		"netrc": func(t *testing.T, data map[string][]byte) string {
			here := strings.Replace(string(data[".netrc"]), "git.example.com", "127.0.0.1", 1)
			curl, file := tool(t, "curl"), written(t, ".netrc", []byte(here))
			return differs(asked(t, func(url string) *exec.Cmd { return exec.CommandContext(ctx, curl, "-sS", "--netrc-file", file, url) }), basic, nil)
		},
		"npmrc": func(t *testing.T, data map[string][]byte) string {
			npm := tool(t, "npm")
			seen := asked(t, func(url string) *exec.Cmd {
				file := written(t, ".npmrc", []byte(strings.NewReplacer("https://npm.example.com", url, "//npm.example.com", strings.TrimPrefix(url, "http:")).Replace(string(data[".npmrc"]))))
				command := exec.CommandContext(ctx, npm, "ping", "--userconfig", file, "--cache", t.TempDir(), "--no-update-notifier")
				command.Dir = t.TempDir()
				return command
			})
			return differs(seen, "Bearer "+aToken, nil)
		},
		"maven": func(_ *testing.T, data map[string][]byte) string {
			var settings struct {
				XMLName xml.Name `xml:"http://maven.apache.org/SETTINGS/1.2.0 settings"`
				Servers []struct {
					ID       string `xml:"id"`
					Password string `xml:"password"`
				} `xml:"servers>server"`
			}
			err := xml.Unmarshal(data["settings.xml"], &settings)
			if err != nil || len(settings.Servers) != 1 {
				return string(data["settings.xml"])
			}
			return differs(settings.Servers[0].Password, aToken, nil)
		},
		"dockerconfig": func(_ *testing.T, data map[string][]byte) string {
			var config struct {
				Auths map[string]struct{ Auth string }
			}
			err := json.Unmarshal(data[".dockerconfigjson"], &config)
			plain, _ := base64.StdEncoding.DecodeString(config.Auths["registry.example.com"].Auth)
			return differs(string(plain), "oauth2accesstoken:"+aToken, err)
		},
		"basic-auth": func(_ *testing.T, data map[string][]byte) string {
			return differs(string(data["password"]), aToken, nil)
		},
		"external-secrets": func(_ *testing.T, data map[string][]byte) string {
			return differs(sentByStore(t, data), "Bearer "+aToken, nil)
		},
		"mcp": func(_ *testing.T, data map[string][]byte) string {
			var config struct {
				Servers map[string]struct{ Headers map[string]string } `json:"mcpServers"`
			}
			err := json.Unmarshal(data["mcp.json"], &config)
			return differs(config.Servers["tools"].Headers["Authorization"], "Bearer "+aToken, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, kind, labels := rendered(t, name)
			if wrong := check(t, data); wrong != "" {
				t.Error(wrong)
			}
			want := map[string]string{"dockerconfig": "kubernetes.io/dockerconfigjson", "basic-auth": "kubernetes.io/basic-auth"}[name]
			if want != "" && kind != want {
				t.Errorf("the type is %s, want %s", kind, want)
			}
			if name == "external-secrets" && labels["external-secrets.io/type"] != "webhook" {
				t.Errorf("the labels are %v", labels)
			}
		})
	}
	samples, err := filepath.Glob(filepath.Join(root, "config/samples/targets/*.yaml"))
	if err != nil || len(samples) != 10 { // with the kustomization
		t.Errorf("there are %d samples, want one for each case here (%v)", len(samples), err)
	}
}

func differs(got, want string, err error) string {
	if err != nil {
		return err.Error()
	}
	if got != want {
		return "it reads " + got + ", want " + want
	}
	return ""
}
