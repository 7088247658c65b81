// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package target

import (
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/target/render"
)

// changes are what labels or annotations need in order to be as the template sets
// them: a new value by key, or nil where the key goes.
type changes map[string]*string

// dressing is what a target's metadata needs in order to be as the template sets it.
type dressing struct{ labels, annotations changes }

// undressed compares a target's metadata with what the template sets. A label or
// annotation goes where an earlier template set it, by the mark, and this one does
// not. Those of others do not count.
func undressed(template *render.Template, metadata *metav1.ObjectMeta, mark Mark) dressing {
	labels, annotations := render.ParseSet(mark.Set)
	return dressing{
		labels:      compare(metadata.Labels, template.Labels(), labels),
		annotations: compare(metadata.Annotations, template.Annotations(), annotations),
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
	next := cloned(current)
	for key, value := range c {
		if value == nil {
			delete(next, key)
		} else {
			next[key] = *value
		}
	}
	return next
}

// cloned is a copy that can be written to.
func cloned(current map[string]string) map[string]string {
	if current == nil {
		return map[string]string{}
	}
	return maps.Clone(current)
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
