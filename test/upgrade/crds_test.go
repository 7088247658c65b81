// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// tightened are the rules that came since, and why what breaks them may be refused at its
// next change.
var tightened = map[string]string{
	"tokencredentials.spec.appSecretRef.name":                        "a state Secret is nobody's input",
	"tokencredentials.spec.loginSecretRef.name":                      "a state Secret is nobody's input",
	"tokencredentials.spec.refreshTokenSecretRef.name":               "a state Secret is nobody's input",
	"tokencredentials.spec.target.name":                              "a state Secret is nobody's target",
	"tokencredentials.spec.parameters":                               "names of parameters had no bound",
	"tokencredentials.spec.target.template.data":                     "templates had no bound",
	"tokencredentials.spec.target.template.metadata.labels":          "keys of Kubernetes and of the operator are not for templates",
	"tokencredentials.spec.target.template.metadata.annotations":     "keys of Kubernetes and of the operator are not for templates",
	"tokencredentials":                                               "a target is not named like a state, nor like the certificate that is read",
	"clustertokenproviders.spec.login":                               "a login without an access token could not compile",
	"clustertokenproviders.spec.refresh":                             "a refresh without an access token could not compile",
	"clustertokenproviders.spec.login.response.outputs":              "what is no key of a Secret could not be published",
	"clustertokenproviders.spec.refresh.response.outputs":            "what is no key of a Secret could not be published",
	"clustertokenproviders.spec.login.response.failures[]":           "outputs of a failure came with the rule",
	"clustertokenproviders.spec.refresh.response.failures[]":         "outputs of a failure came with the rule",
	"tokencredentials.status.target.digest: it is gone":              "anybody could check guesses by it; the target has a keyed one",
	"clustertokenproviders.spec.rotation.mode: the default Reusable": "it is the unsafe one; what is stored keeps it (docs/upgrading.md)",
}

// TestWhatWasValidStaysValid compares the schemas: no field is gone or of another type, no
// bound is closer, and each rule that is new is among those above.
func TestWhatWasValidStaysValid(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, kind := range []string{"tokencredentials", "clustertokenproviders"} {
		file := "tokenkeeper.io_" + kind + ".yaml"
		was, is := schema(t, filepath.Join("testdata", "crds", file)), schema(t, filepath.Join("..", "..", "config", "crd", "bases", file))
		for _, wrong := range compare(kind, was, is) {
			if _, ok := tightened[wrong]; !ok {
				t.Errorf("%s: what was valid before may be refused, or mean something else", wrong)
			}
			used[wrong] = true
		}
	}
	for each := range tightened {
		if !used[each] {
			t.Errorf("%s is not tightened any more: take it off the list", each)
		}
	}
}

func schema(t *testing.T, file string) apiextensionsv1.JSONSchemaProps {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	crd := apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, &crd); err != nil {
		t.Fatal(err)
	}
	return *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// compare names where a schema takes less than another did.
func compare(path string, was, is apiextensionsv1.JSONSchemaProps) []string {
	var wrong []string
	note := func(is bool, what string) {
		if is {
			wrong = append(wrong, path+what)
		}
	}
	note(was.Type != is.Type || was.Format != is.Format, ": another type")
	note(is.Pattern != "" && is.Pattern != was.Pattern, ": the pattern")
	note(closer(was.MaxLength, is.MaxLength, 1) || closer(was.MaxItems, is.MaxItems, 1) || closer(was.MaxProperties, is.MaxProperties, 1), ": a bound above")
	note(closer(was.MinLength, is.MinLength, -1) || closer(was.MinItems, is.MinItems, -1) || closer(was.MinProperties, is.MinProperties, -1), ": a bound below")
	note(is.Maximum != nil && (was.Maximum == nil || *is.Maximum < *was.Maximum), ": the maximum")
	note(is.Minimum != nil && (was.Minimum == nil || *is.Minimum > *was.Minimum), ": the minimum")
	note(len(is.Enum) > 0 && (len(was.Enum) == 0 || lacks(texts(was.Enum), texts(is.Enum))), ": the values")
	note(lacks(is.Required, was.Required), ": what is required")
	note(was.Default != nil && (is.Default == nil || string(was.Default.Raw) != string(is.Default.Raw)), ": the default "+unquoted(was.Default))
	for _, rule := range is.XValidations {
		if !slices.ContainsFunc(was.XValidations, func(old apiextensionsv1.ValidationRule) bool { return old.Rule == rule.Rule }) {
			note(true, "")
			break
		}
	}
	for name, property := range was.Properties {
		now, ok := is.Properties[name]
		if !ok {
			wrong = append(wrong, path+"."+name+": it is gone")
			continue
		}
		wrong = append(wrong, compare(path+"."+name, property, now)...)
	}
	if was.Items != nil && was.Items.Schema != nil && is.Items != nil && is.Items.Schema != nil {
		wrong = append(wrong, compare(path+"[]", *was.Items.Schema, *is.Items.Schema)...)
	}
	if was.AdditionalProperties != nil && was.AdditionalProperties.Schema != nil && is.AdditionalProperties != nil && is.AdditionalProperties.Schema != nil {
		wrong = append(wrong, compare(path+"[]", *was.AdditionalProperties.Schema, *is.AdditionalProperties.Schema)...)
	}
	return wrong
}

// closer reports whether a bound is closer than it was: one above (sign 1) or below (-1).
func closer(was, is *int64, sign int64) bool {
	return is != nil && (was == nil || sign**is < sign**was)
}

// lacks reports whether one of some texts is not among others.
func lacks(some, others []string) bool {
	return slices.ContainsFunc(some, func(each string) bool { return !slices.Contains(others, each) })
}

func texts(values []apiextensionsv1.JSON) []string {
	var all []string
	for _, each := range values {
		all = append(all, unquoted(&each))
	}
	return all
}

// unquoted is a JSON string's text, or another value as it is.
func unquoted(value *apiextensionsv1.JSON) string {
	if value == nil {
		return ""
	}
	var text string
	if err := yaml.Unmarshal(value.Raw, &text); err != nil {
		return string(value.Raw)
	}
	return text
}
