// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// longestToken is the longest access token that a target must have room for.
const longestToken = 32 << 10

// DryRun asks the API server whether it would take the target, with a made-up
// token: quotas, admission and policies are known to it alone. What the template
// itself renders to is checked first, without it. The caller decides when: before
// the first token, after a changed spec, after a refusal. An error is a
// *problem.Problem.
func (p *Publisher) DryRun(ctx context.Context, credential *v1alpha1.TokenCredential, template *render.Template, view View) error {
	if refusal := checkRendering(template); refusal != nil {
		return refusal
	}
	content := p.marked(credential, template, sample(template), sampleMark())
	dry := &Publisher{Client: client.NewDryRunClient(p.Client)}
	_, err := dry.write(ctx, credential, template, view, content)
	if outdated(err) {
		if view, err = p.read(ctx, credential, template, ""); err != nil {
			return err
		}
		_, err = dry.write(ctx, credential, template, view, content)
	}
	var status apierrors.APIStatus
	answered := errors.As(err, &status)
	switch {
	case err == nil, answered && noDryRun.MatchString(status.Status().Message): // nothing is known of the real write
		return nil
	case apierrors.IsInvalid(err) && !isDenied(status.Status()):
		return problem.New(v1alpha1.InvalidParametersReason,
			"the API server would refuse %s of the target Secret %q: change spec.target.template", fieldsOf(status.Status()), credential.TargetName())
	}
	return refused(err, credential, "write (it was asked before a token is)")
}

// checkRendering checks what made-up tokens render to by the rules for a Secret's
// size and type. A template may need a token of a certain form, which is not made
// up: what cannot be rendered is not judged.
func checkRendering(template *render.Template) *problem.Problem {
	size := 0
	for _, value := range try(template, strings.Repeat("x", longestToken), "x") {
		size += len(value)
	}
	if size > corev1.MaxSecretSize {
		return problem.New(v1alpha1.InvalidParametersReason,
			"spec.target.template.data: with an access token of %d bytes the Secret would hold %d bytes, and the API server takes %d: write the token to fewer keys", longestToken, size, corev1.MaxSecretSize)
	}
	if template.Type() != corev1.SecretTypeDockerConfigJson || template.Merges() {
		return nil
	}
	// A token may itself be JSON, so what fails must fail with one that is, too.
	plain, hasPlain := try(template, "x", "x")[corev1.DockerConfigJsonKey]
	object, hasObject := try(template, "{}", "{}")[corev1.DockerConfigJsonKey]
	if hasPlain && hasObject && !isObject(plain) && !isObject(object) {
		return problem.New(v1alpha1.InvalidParametersReason,
			"spec.target.template.data[%s]: it does not render to a JSON object, which the type %s needs: write it as ${json.encode({\"auths\": ...})}", corev1.DockerConfigJsonKey, template.Type())
	}
	return nil
}

// isObject applies the API server's rule for a docker configuration.
func isObject(text []byte) bool { return json.Unmarshal(text, &map[string]any{}) == nil }

// sample is a content for a dry run. Every key has a value that the type allows.
func sample(template *render.Template) render.Content {
	data := try(template, strings.Repeat("x", longestToken), "x")
	for _, key := range template.Keys() {
		_, rendered := data[key]
		if !rendered {
			data[key] = []byte("x")
		}
		if key == corev1.DockerConfigJsonKey && !isObject(data[key]) {
			data[key] = []byte("{}")
		}
	}
	return render.Content{Labels: template.Labels(), Annotations: template.Annotations(), Data: data}
}

func try(template *render.Template, accessToken, output string) map[string][]byte {
	return template.Try(accessToken, output, sampleMark().Validity)
}

// sampleMark is the mark of a made-up token.
func sampleMark() Mark {
	issued := time.Unix(0, 0).UTC()
	return Mark{Validity: token.Validity{IssuedAt: issued, ExpiresAt: issued.Add(time.Hour)}}
}
