// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

// A reason that stalls a credential without a documented way out would leave its
// user alone.
func TestEachStallHasADocumentedStep(t *testing.T) {
	t.Parallel()
	var rows []faults.Fault
	for _, section := range faults.All() {
		rows = append(rows, section.Faults...)
	}
	for _, reason := range stallingReasons {
		if !slices.ContainsFunc(rows, func(row faults.Fault) bool {
			stalled, _, _ := strings.Cut(row.Name, ",")
			return stalled == reason && row.Promise != ""
		}) {
			t.Errorf("test/faults names no step that ends a stall with %s", reason)
		}
	}
}
