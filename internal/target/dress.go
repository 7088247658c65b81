// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// changes are what labels or annotations need in order to be as the template sets
// them: a new value by key, or nil where the key goes.
type changes map[string]*string

// dressing is what a target's metadata needs in order to be as the template sets it.
type dressing struct{ labels, annotations changes }

// undressed compares a target's metadata with what the template sets. A label or
// annotation goes where an earlier template set it, by the mark, and this one does
// not. Those of others do not count.
func (t *Template) undressed(metadata *metav1.ObjectMeta, mark Mark) dressing {
	labels, annotations := mark.set()
	return dressing{
		labels:      compare(metadata.Labels, t.labels(), labels),
		annotations: compare(metadata.Annotations, t.annotations(), annotations),
	}
}

func compare(current, wanted map[string]string, earlier []string) changes {
	changed := changes{}
	for key, value := range wanted {
		if is, ok := current[key]; !ok || is != value {
			changed[key] = &value
		}
	}
	for _, key := range earlier {
		_, set := wanted[key]
		if _, present := current[key]; present && !set {
			changed[key] = nil
		}
	}
	return changed
}

// apply gives the map with the changes made. The map itself stays as it is.
func (c changes) apply(current map[string]string) map[string]string {
	next := maps.Clone(current)
	if next == nil {
		next = make(map[string]string, len(c))
	}
	for key, value := range c {
		if value == nil {
			delete(next, key)
		} else {
			next[key] = *value
		}
	}
	return next
}

// fields names what differs, as field paths.
func (d dressing) fields() []string {
	fields := make([]string, 0, len(d.labels)+len(d.annotations))
	for key := range d.labels {
		fields = append(fields, labelField(key))
	}
	for key := range d.annotations {
		fields = append(fields, annotationField(key))
	}
	slices.Sort(fields)
	return fields
}

func labelField(key string) string      { return fmt.Sprintf("metadata.labels[%s]", key) }
func annotationField(key string) string { return fmt.Sprintf("metadata.annotations[%s]", key) }
func dataField(key string) string       { return fmt.Sprintf("data[%s]", key) }

// Names of labels and annotations in a mark. No name holds a "+".
const (
	setSeparator     = "+"
	labelPrefix      = "l:"
	annotationPrefix = "a:"
)

// setNames names the labels and annotations that the template sets, for the mark.
// The label of every owned target is never dropped, and not among them.
func (t *Template) setNames() string {
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

// set gives the names of the labels and annotations that the template of the mark
// has set.
func (m Mark) set() (labels, annotations []string) {
	for name := range strings.SplitSeq(m.Set, setSeparator) {
		if key, ok := strings.CutPrefix(name, labelPrefix); ok {
			labels = append(labels, key)
		} else if key, ok := strings.CutPrefix(name, annotationPrefix); ok {
			annotations = append(annotations, key)
		}
	}
	return labels, annotations
}
