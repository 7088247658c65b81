// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"slices"
	"strings"
)

// Names of labels and annotations in a mark. No name holds a "+".
const (
	setSeparator     = "+"
	labelPrefix      = "l:"
	annotationPrefix = "a:"
)

// Set names the labels and annotations that the template sets, for the mark.
// The label of every owned target is never dropped, and not among them.
func (t *Template) Set() string {
	var names []string
	for key := range t.source.Metadata.Labels {
		names = append(names, labelPrefix+key)
	}
	for key := range t.source.Metadata.Annotations {
		names = append(names, annotationPrefix+key)
	}
	slices.Sort(names)
	return strings.Join(names, setSeparator)
}

// ParseSet gives the names of the labels and annotations that a template set, from what
// its Set was.
func ParseSet(set string) (labels, annotations []string) {
	for name := range strings.SplitSeq(set, setSeparator) {
		if key, ok := strings.CutPrefix(name, labelPrefix); ok {
			labels = append(labels, key)
		} else if key, ok := strings.CutPrefix(name, annotationPrefix); ok {
			annotations = append(annotations, key)
		}
	}
	return labels, annotations
}
