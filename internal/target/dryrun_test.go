// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
)

// docker is a target that a kubelet pulls images with.
func docker(text string) v1alpha1.Target {
	return v1alpha1.Target{Template: &v1alpha1.TargetTemplate{Type: "kubernetes.io/dockerconfigjson", Data: map[string]string{".dockerconfigjson": text}}}
}

func TestADryRunJudgesWhatATemplateRendersTo(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for _, c := range "abcdefghijklmnopqrstuvwxyz012345" {
		many[string(c)] = "Bearer ${accessToken}"
	}
	cases := map[string]struct {
		reason string
		spec   v1alpha1.Target
		want   string
	}{
		"the default":                 {"it fits", v1alpha1.Target{}, ""},
		"a token in 32 keys":          {"a long token would not fit", templated(many), "write the token to fewer keys"},
		"a registry's login":          {"it is JSON", docker(`${json.encode({"auths": {parameters.site: {"auth": base64.encode(bytes(accessToken))}}})}`), ""},
		"a login written as text":     {"it is JSON", docker(`{"auths": {"${parameters.site}": {"auth": "${accessToken}"}}}`), ""},
		"a bare token":                {"the token may be JSON itself", docker("${accessToken}"), ""},
		"an output":                   {"it may be JSON itself", docker("${outputs.scope}"), ""},
		"a list":                      {"no token makes it an object", docker(`["${accessToken}"]`), "does not render to a JSON object"},
		"an unfinished object":        {"no token makes it an object", docker(`{"auths": "${accessToken}"`), "does not render to a JSON object"},
		"a part of a token of a form": {"a made-up token does not have it, so nothing is judged", docker(`${accessToken.split(".")[1]}`), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, c.spec)
			err := s.DryRun(t.Context(), s.credential, s.template, View{})
			if p := problem.Of(err); (c.want == "") != (err == nil) || err != nil && (p.Reason != v1alpha1.InvalidParametersReason || !contains(p.Message, c.want)) {
				t.Errorf("%s: got %v, want it to contain %q", c.reason, err, c.want)
			}
		})
	}
}

func TestADryRunAsksForWhatIsWrittenLater(t *testing.T) {
	t.Parallel()
	for _, policy := range both {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s, view := begin(t, policy, map[string]string{"app": "shop"})
			before := s.live()
			asked := &asked{Client: s.Client}
			s.Client = asked
			if err := s.DryRun(t.Context(), s.credential, s.template, view); err != nil {
				t.Fatal(err)
			}
			if s.live().ResourceVersion != before.ResourceVersion || asked.dry != 1 || asked.wet != 0 {
				t.Errorf("nothing is written: %d dry runs, %d writes", asked.dry, asked.wet)
			}
			if !strings.Contains(asked.text, strings.Repeat("x", 100)) && !strings.Contains(asked.text, "eHh4") || !strings.Contains(asked.text, MarkKey("uid-1")) {
				t.Errorf("it holds a long token and a mark: got %.300s", asked.text)
			}
		})
	}
}

// asked notes what is asked for in a dry run.
type asked struct {
	client.Client
	dry, wet int
	text     string
}

func (a *asked) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	all := (&client.UpdateOptions{}).ApplyOptions(options)
	a.note(all.DryRun)
	a.text = string(object.(*corev1.Secret).Data["access_token"]) + strings.Join(keys(object.GetAnnotations()), " ")
	return a.Client.Update(ctx, object, options...)
}

func (a *asked) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	all := (&client.PatchOptions{}).ApplyOptions(options)
	a.note(all.DryRun)
	body, err := patch.Data(object)
	a.text = string(body)
	return errors.Join(err, a.Client.Patch(ctx, object, patch, options...))
}

func (a *asked) note(dry []string) {
	if slices.Contains(dry, metav1.DryRunAll) {
		a.dry++
	} else {
		a.wet++
	}
}

func keys(annotations map[string]string) []string {
	all := make([]string, 0, len(annotations))
	for key := range annotations {
		all = append(all, key)
	}
	return all
}

func TestADryRunSaysWhatRefusesTheTarget(t *testing.T) {
	t.Parallel()
	secrets := corev1.Resource("secrets")
	cases := map[string]struct {
		reason string
		err    error
		want   string // a reason; "" where nothing is known to stand in the way
		text   string
	}{
		"a quota": {
			"it may be raised any time, so it is tried again", apierrors.NewForbidden(secrets, "shop", errors.New("exceeded quota: q, requested")),
			v1alpha1.PersistBlockedReason, "asked before a token is",
		},
		"an invalid field": {
			"the spec is to be changed", apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "shop", field.ErrorList{field.Required(field.NewPath("data").Key("x"), "")}),
			v1alpha1.InvalidParametersReason, "data[x]",
		},
		"a webhook that says invalid": {
			"what a webhook demands may change", answer(422, metav1.StatusReasonInvalid, `admission webhook "a" denied the request: no`),
			v1alpha1.PersistBlockedReason, `the admission webhook "a"`,
		},
		"a webhook with side effects": {
			"it would let the real write pass", answer(400, metav1.StatusReasonBadRequest, `admission webhook "a.example.com" does not support dry run`), "", "",
		},
		"no API server": {"that is no refusal", errors.New("dial tcp"), v1alpha1.PersistBlockedReason, "could not be reached"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, v1alpha1.Target{})
			s.fail = func(string) error { return c.err }
			err := s.DryRun(t.Context(), s.credential, s.template, View{})
			if (c.want == "") != (err == nil) || err != nil && (!problem.Is(err, c.want) || !contains(err.Error(), c.text)) {
				t.Errorf("%s: got %v", c.reason, err)
			}
		})
	}
}

func TestADryRunLooksAtASecretThatTheCacheDidNotKnow(t *testing.T) {
	t.Parallel()
	s := newScene(t, v1alpha1.Target{}, someones())
	exists := apierrors.NewAlreadyExists(corev1.Resource("secrets"), "shop")
	s.fail = func(verb string) error { // the fake's dry runs find nothing
		if verb == "create" {
			return exists
		}
		return nil
	}
	if err := s.DryRun(t.Context(), s.credential, s.template, View{}); !problem.Is(err, v1alpha1.TargetConflictReason) {
		t.Errorf("it is somebody else's: got %v", err)
	}
}
