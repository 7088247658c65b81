// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"strings"
)

// reserved are the domains whose labels and annotations, those of their subdomains
// included, mean something to the operator or to Kubernetes itself: which Secret is a
// state, which token a target holds, what an add-on manager or garbage collector may
// delete. The CRD has the same rule.
var reserved = []string{"tokenkeeper.io", "kubernetes.io", "k8s.io"}

const (
	// recommended is the domain of the labels that Kubernetes recommends to everyone.
	// They describe, and give nobody a right. (On a target that it owns, the operator
	// sets managed-by itself.)
	recommended = "app.kubernetes.io"
	// description is an annotation for people, of any text.
	description = "kubernetes.io/description"
)

// MetadataKey says what is wrong with a label or annotation that a template sets; empty
// where it may.
//
// The labels of other projects may be set, also those by which a controller takes a
// Secret for its own configuration (argocd.argoproj.io/secret-type): such a controller
// reads the Secrets of its own namespace, and a target never leaves the credential's.
func MetadataKey(key string) string {
	domain, _, qualified := strings.Cut(strings.ToLower(key), "/")
	if !qualified || domain == recommended || key == description {
		return ""
	}
	for _, each := range reserved {
		if domain == each || strings.HasSuffix(domain, "."+each) {
			return fmt.Sprintf("a template sets nothing of %s, but for %s/... and %s: remove it", each, recommended, description)
		}
	}
	return ""
}
