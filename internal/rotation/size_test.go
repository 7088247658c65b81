// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

func TestTheSizeOfAStateIsThatOfWhatIsStored(t *testing.T) {
	t.Parallel()
	before := State{RefreshToken: secret.New("one")}.Size()
	after := State{RefreshToken: secret.New("one" + strings.Repeat("x", 1000))}.Size()
	if before <= len("one") || after-before != 1000 {
		t.Errorf("%d bytes become %d, want a thousand more for a thousand more", before, after)
	}
}
