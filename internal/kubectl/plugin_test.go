// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestEveryCommandIsExplained holds commands to what their help must have.
func TestEveryCommandIsExplained(t *testing.T) {
	t.Parallel()
	var look func(*cobra.Command)
	look = func(command *cobra.Command) {
		if command.Short == "" || command.Runnable() && !strings.Contains(command.Example, "kubectl tokencredential") {
			t.Errorf("%s has no example, or no line that says what it does", command.CommandPath())
		}
		for _, each := range command.Commands() {
			look(each)
		}
	}
	look(Documented())
}

func TestUnknownCommandsAreRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{"stats"}, {"get", "--nosuchflag"}, {"status"}, {"provider", "test"}} {
		var out, errOut bytes.Buffer
		if code := Main(arguments, Terminal{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}); code != exitFailed || !strings.HasPrefix(errOut.String(), "error: ") {
			t.Errorf("%v ends with %d and says %q", arguments, code, errOut.String())
		}
	}
}

func TestTableMarksWithColoursOnlyWhereTheyAreSeen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	stalled := v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Name: "a", CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}}
	stalled.Status.Conditions = []metav1.Condition{{Type: v1alpha1.StalledCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.AppRejectedReason}}
	plain, coloured := table([]v1alpha1.TokenCredential{stalled}, false, false, now, false), table([]v1alpha1.TokenCredential{stalled}, false, false, now, true)
	want := "NAME   STATE     REASON        PROVIDER   TARGET   EXPIRES IN   NEXT REFRESH   AGE\n" +
		"a      Stalled   AppRejected              a        -            -              60m\n"
	if plain != want {
		t.Errorf("the table is\n%q, want\n%q", plain, want)
	}
	if !strings.Contains(coloured, "\x1b[31m") {
		t.Errorf("a stalled credential is not red: %q", coloured)
	}
}
