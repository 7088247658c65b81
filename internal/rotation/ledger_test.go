// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLedgerIsBoundedAndKeepsTheNewest(t *testing.T) {
	t.Parallel()
	var ledger Ledger
	for i := range 2 * ledgerSize {
		ledger = ledger.Add(fmt.Sprintf("%032d", i))
	}
	if len(ledger) != ledgerSize {
		t.Fatalf("the ledger holds %d digests, want %d", len(ledger), ledgerSize)
	}
	if !ledger.Contains(fmt.Sprintf("%032d", 2*ledgerSize-1)) || ledger.Contains(fmt.Sprintf("%032d", 0)) {
		t.Error("the oldest goes first")
	}
	if again := ledger.Add(ledger[3]); !cmp.Equal(again, ledger) {
		t.Error("a digest is there once")
	}
}
