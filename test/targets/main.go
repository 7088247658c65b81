// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Command targets prints, as a list in JSON, the Secret that each of config/samples/targets
// makes of a token. The programs that read such Secrets are tested in a module of its own
// (test/consumers), whose libraries do not go together with the operator's.
//
//	go run ./test/targets TOKEN
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "targets:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("usage: targets TOKEN, in the folder of the repository")
	}
	files, err := filepath.Glob("config/samples/targets/*.yaml")
	if err != nil {
		return err
	}
	list := corev1.SecretList{}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		made, err := rendered(ctx, file, arguments[0])
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		made.Annotations = map[string]string{"sample": strings.TrimSuffix(filepath.Base(file), ".yaml")}
		list.Items = append(list.Items, *made)
	}
	return json.NewEncoder(os.Stdout).Encode(list)
}

// rendered is the target of the sample in a file.
func rendered(ctx context.Context, file, accessToken string) (*corev1.Secret, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	credential := v1alpha1.TokenCredential{}
	if err := yaml.UnmarshalStrict(text, &credential); err != nil {
		return nil, err
	}
	compiled, err := render.NewCompiler().Compile(ctx, "default", credential.Spec.Target, nil, credential.Spec.Parameters)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	content, err := compiled.Render(token.Token{
		AccessToken: secret.New(accessToken), Type: "Bearer", Validity: token.Validity{IssuedAt: now, ExpiresAt: now.Add(time.Hour)},
	}, credential.Spec.Parameters)
	if err != nil {
		return nil, err
	}
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: string(credential.Spec.Target.Name), Labels: compiled.Labels()},
		Type:       compiled.Type(), Data: content.Data,
	}, nil
}
