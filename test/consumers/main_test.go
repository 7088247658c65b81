// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package consumers gives what config/samples/targets make of a token to the programs and
// libraries that read it, as docs/consuming.md says: a reader's own code decides whether a
// sample is what it takes. A program that is not installed is skipped.
//
// It is a module of its own, without the operator's code: what External Secrets depends on
// does not go together with what the operator does. The samples come from test/targets.
package consumers

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

const (
	repository = "../.."
	aToken     = "eyJhbGciOi.token-of-a-sample_0"
)

// basic is what a password that is the token looks like in a header.
func basic(user string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+aToken))
}

var samples = sync.OnceValues(func() (map[string]corev1.Secret, error) {
	printed, err := exec.Command("go", "run", "-C", repository, "./test/targets", aToken).Output()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		return nil, fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	if err != nil {
		return nil, err
	}
	list, found := corev1.SecretList{}, map[string]corev1.Secret{}
	if err := json.Unmarshal(printed, &list); err != nil {
		return nil, err
	}
	for _, each := range list.Items {
		found[each.Annotations["sample"]] = each
	}
	return found, nil
})

// sample is the Secret that a sample makes of the token.
func sample(t *testing.T, name string) corev1.Secret {
	t.Helper()
	all, err := samples()
	must(t, err)
	found, ok := all[name]
	if !ok {
		t.Fatalf("there is no sample %s", name)
	}
	return found
}

// TestEverySampleIsRead fails for a sample that no test gives to its reader.
func TestEverySampleIsRead(t *testing.T) {
	t.Parallel()
	all, err := samples()
	must(t, err)
	read := []string{"env", "header", "netrc", "npmrc", "maven", "dockerconfig", "basic-auth", "external-secrets", "mcp"}
	for name := range all {
		if !slices.Contains(read, name) {
			t.Errorf("nothing reads the sample %s", name)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tool is a program that reads such a file, where it is installed.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed here, so it is not tried", name)
	}
	return path
}

// mounted is a folder with the Secret's files, as a pod has it.
func mounted(t *testing.T, data map[string][]byte) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range data {
		must(t, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	return folder
}

// guarded is a server that lets nobody in without the header, which it asks for as
// RFC 7235 says. It fails the test if nobody came in.
func guarded(t *testing.T, authorization, challenge string, inside http.Handler) string {
	t.Helper()
	var mu sync.Mutex
	entered, refused := 0, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := r.Header.Get("Authorization")
		mu.Lock()
		if got == authorization {
			entered++
		} else if got != "" {
			refused = got
		}
		mu.Unlock()
		if got != authorization {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inside.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		if entered == 0 || refused != "" {
			t.Errorf("%d requests came with the token, want some; another brought %q", entered, refused)
		}
	})
	return server.URL
}

// nothing is an empty page.
var nothing = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
