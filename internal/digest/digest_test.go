// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package digest_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokenkeeper/tokenkeeper/internal/digest"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func key(t *testing.T, fill byte) digest.Key {
	t.Helper()
	key, err := digest.New(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestADigestTellsNothing(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "the same secret in two credentials, seen by equal digests")
	plain := secret.New("1234").Digest()
	ours, theirs := key(t, 1), key(t, 2)
	keyed := ours.Of("here", plain)
	if !regexp.MustCompile(`^[0-9a-f]{8}\.[0-9a-f]{32}$`).MatchString(keyed) {
		t.Errorf("the form of a digest is %q", keyed)
	}
	if faults := validation.IsValidLabelValue(keyed); len(faults) > 0 {
		t.Errorf("a digest may stand in a label: %v", faults)
	}
	for reason, other := range map[string]string{
		"another key gives another digest":               theirs.Of("here", plain),
		"another scope gives another digest":             ours.Of("there", plain),
		"another secret gives another digest":            ours.Of("here", secret.New("1235").Digest()),
		"a scope and a digest do not run into another":   ours.Of("her", "e"+plain),
		"the digest in plain is not part of what stands": plain,
	} {
		if strings.Contains(other, strings.SplitAfter(keyed, ".")[1]) || strings.Contains(keyed, other) {
			t.Errorf("%s: %q and %q", reason, keyed, other)
		}
	}
	if again := ours.Of("here", plain); again != keyed {
		t.Errorf("the digest is the same each time: %q and %q", keyed, again)
	}
	if empty := ours.Of("here", ""); empty != "" {
		t.Errorf("where there is no secret there is no digest: %q", empty)
	}
}

func TestWhatADigestIsComparedWith(t *testing.T) {
	t.Parallel()
	ours, theirs := key(t, 1), key(t, 2)
	cases := map[string]struct {
		reason            string
		digest            string
		is, made, isPlain bool
		keyed             string
	}{
		"of our key":                  {"it is compared", ours.Of("here", "plain"), true, true, false, ours.Of("here", "plain")},
		"of another scope":            {"it stood elsewhere", ours.Of("there", "plain"), false, true, false, ours.Of("there", "plain")},
		"of another key":              {"it cannot be compared, and tells nobody anything", theirs.Of("here", "plain"), false, false, false, theirs.Of("here", "plain")},
		"in plain":                    {"an earlier version wrote it", "plain", true, false, true, ours.Of("here", "plain")},
		"in plain, of something else": {"it is another secret's", "other", false, false, true, ours.Of("here", "other")},
		"empty":                       {"there is none", "", false, false, false, ""},
	}
	for name, c := range cases {
		if got := ours.Is(c.digest, "here", "plain"); got != c.is {
			t.Errorf("%s: Is = %t, since %s", name, got, c.reason)
		}
		if got := ours.Made(c.digest); got != c.made {
			t.Errorf("%s: Made = %t, since %s", name, got, c.reason)
		}
		if got := digest.IsPlain(c.digest); got != c.isPlain {
			t.Errorf("%s: IsPlain = %t, since %s", name, got, c.reason)
		}
		if got := ours.Keyed("here", c.digest); got != c.keyed {
			t.Errorf("%s: Keyed = %q, since %s", name, got, c.reason)
		}
	}
}

func TestAKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	k := key(t, 'k')
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		printed := fmt.Sprintf(format, struct{ K digest.Key }{k})
		if strings.Contains(printed, "kkkk") || strings.Contains(printed, hex.EncodeToString([]byte("kkkk"))) || strings.Contains(printed, "107, 107") {
			t.Errorf("%s prints %s", format, printed)
		}
	}
}

func TestAKeyHasItsSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 16, 31, 33} {
		if _, err := digest.New(make([]byte, size)); err == nil {
			t.Errorf("%d bytes are taken for a key", size)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a digest was made without a key")
		}
	}()
	digest.Key{}.Of("here", "plain")
}
