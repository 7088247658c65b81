// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDurationDecodesWhateverAnOlderCRDLetIn(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason     string
		encoded    string
		want       time.Duration
		unreadable bool
	}{
		"a duration":         {"what the CRD lets in", `"1h30m"`, 90 * time.Minute, false},
		"words":              {"it must not stop the list", `"5 minutes"`, time.Second, true},
		"too large":          {"it overflows", `"9999999999999h"`, time.Second, true},
		"negative":           {"a duration is never negative", `"-5m"`, time.Second, true},
		"a number":           {"it is no string", `5`, time.Second, true},
		"an empty string":    {"it says nothing", `""`, time.Second, true},
		"an object, in fact": {"whatever it is", `{"a":1}`, time.Second, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var spec Renewal
			if err := json.Unmarshal([]byte(`{"before":`+c.encoded+`}`), &spec); err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if got := spec.Before.OrDefault(time.Second); got != c.want || spec.Before.IsUnreadable() != c.unreadable {
				t.Errorf("%s: got %s, unreadable %t", c.reason, got, spec.Before.IsUnreadable())
			}
			if again, err := json.Marshal(spec.Before); err != nil || !c.unreadable && string(again) != `"1h30m0s"` || c.unreadable && string(again) != c.encoded {
				t.Errorf("what was written is written again, got %s (%v)", again, err)
			}
		})
	}
}

func TestNoDurationIsItsDefault(t *testing.T) {
	t.Parallel()
	var none *Duration
	if none.OrDefault(time.Hour) != time.Hour || none.IsUnreadable() {
		t.Error("what was not written is the default, and not unreadable")
	}
}
