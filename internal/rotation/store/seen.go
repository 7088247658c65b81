// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
)

// Seen is how far a state Secret had come when a process last read or wrote it. The
// caller keeps it, so that it notices when the Secret goes back in time: etcd was
// restored under a living operator.
type Seen struct {
	UID             types.UID
	Sequence        int64
	ResourceVersion string
	// Digest of what decides about the next send: the tokens, the ledger and the
	// attempt.
	Digest string
}

// Seen of what the record holds.
func (r *Record) Seen() Seen {
	return Seen{
		UID:             r.secret.UID,
		Sequence:        r.State.Sequence,
		ResourceVersion: r.secret.ResourceVersion,
		Digest:          sendDigest(r.State),
	}
}

// IsBefore reports whether a record is older than what was seen, so that its tokens
// may have been sent since: the same Secret with a lower sequence, or with the same
// one and a lower resourceVersion, while what decides about the next send differs.
// Another UID is another Secret of that name: it came before, where its resourceVersion is
// lower. Nothing is before the zero Seen.
func (r *Record) IsBefore(seen Seen) bool {
	now := r.Seen()
	if seen.UID == "" || now.Digest == seen.Digest {
		return false
	}
	if now.UID == seen.UID && now.Sequence != seen.Sequence {
		return now.Sequence < seen.Sequence
	}
	order, err := resourceversion.CompareResourceVersion(now.ResourceVersion, seen.ResourceVersion)
	return err == nil && order < 0
}

// sendDigest is a digest of what decides about the next send.
func sendDigest(s rotation.State) string {
	attempt := ""
	if s.Attempt != nil {
		attempt = s.Attempt.ID
	}
	encoded, err := json.Marshal([]any{
		s.RefreshToken.Digest(), s.PreviousRefreshToken.Digest(), s.Seed, s.PreviousSeed, strings.Join(s.Spent, " "), attempt, s.Sequence,
	})
	if err != nil { // strings and a number always encode
		return ""
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:16])
}
