// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// What Standard Webhooks says of keys: a prefix that tells what it is, and 24 to 64 bytes.
const (
	keyPrefix   = "whsec_"
	shortestKey = 24
	longestKey  = 64
)

// keys reads the keys that messages are signed with: one a line, so that a receiver can
// change over from one to the next. An error quotes nothing of the file.
func keys(file string) ([]secret.Text, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the key that notifications are signed with: %w", err)
	}
	var all []secret.Text
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, keyPrefix))
		if err != nil || len(key) < shortestKey || len(key) > longestKey {
			return nil, fmt.Errorf("line %d of %s is no key: write %s and 24 to 64 random bytes in base64, as of `openssl rand -base64 32`", len(all)+1, file, keyPrefix)
		}
		all = append(all, secret.New(string(key)))
	}
	if len(all) == 0 {
		return nil, errors.New(file + " holds no key: write " + keyPrefix + " and 24 to 64 random bytes in base64, as of `openssl rand -base64 32`")
	}
	return all, nil
}

// signature of a message that is sent at a time, by each key: the header webhook-signature.
// The time is part of what is signed, so that a receiver can refuse what is old.
func signature(keys []secret.Text, id string, at time.Time, body []byte) string {
	signatures := make([]string, 0, len(keys))
	for _, key := range keys {
		mac := hmac.New(sha256.New, []byte(key.Reveal()))
		_, _ = fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body) // a hash never fails
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " ")
}
