// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package spool keeps what a provider sent in sealed files until it is saved in the state
// Secret, so that it outlives the process that received it. It knows attempts by their ID
// alone, and neither states nor the API server.
package spool

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/secret"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

// Spool keeps what a reply brought in a file until it is committed, so that it
// outlives the process: in a pod a container is restarted while its volumes stay.
// The directory should be in memory (an emptyDir of that medium).
//
// A file is sealed with a key that is made from the token that was sent, which is
// in the state Secret: the file is of no use without it. Its name is the attempt's
// ID.
type Spool struct {
	directory string
	pod       string
	shares    shares
}

// identityFile holds the pod's identity: it is there as long as the directory is.
const identityFile = "pod"

// sealedSuffix ends the name of a reply's file.
const sealedSuffix = ".sealed"

// temporarySuffix ends the name of one that is being written.
const temporarySuffix = ".tmp"

// longestKept is how long a file is kept that an earlier process has left: longer than an
// API server is away. One whose state is found is dropped then; of a state that was deleted
// meanwhile nobody would ever ask for it.
const longestKept = 7 * 24 * time.Hour

// Open opens a directory as a spool. No directory is no spool: nil, which
// keeps nothing.
func Open(directory string) (*Spool, error) {
	if directory == "" {
		return nil, nil
	}
	file := filepath.Join(directory, identityFile)
	known, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		known = []byte(rand.Text())
		err = os.WriteFile(file, known, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("open the spool directory: %w", err)
	}
	s := &Spool{directory: directory, pod: string(known)}
	return s, s.count()
}

// Directory that outlives the process; empty where there is no spool.
func (s *Spool) Directory() string {
	if s == nil {
		return ""
	}
	return s.directory
}

// count takes in what an earlier process has left, and removes what it was writing.
func (s *Spool) count() error {
	entries, err := os.ReadDir(s.directory)
	if err != nil {
		return fmt.Errorf("list the spool directory: %w", err)
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), temporarySuffix) {
			_ = os.Remove(filepath.Join(s.directory, entry.Name())) // it holds a part at most
			continue
		}
		attempt, isReply := strings.CutSuffix(entry.Name(), sealedSuffix)
		if info, err := entry.Info(); isReply && err == nil {
			s.shares.add(attempt, "", int(info.Size()))
		}
	}
	return nil
}

// Sweep removes what an earlier process has left and nobody has asked for in a long time.
func (s *Spool) Sweep(now time.Time) {
	if s == nil {
		return
	}
	for _, attempt := range s.shares.left() {
		if info, err := os.Stat(s.file(attempt)); err == nil && now.Sub(info.ModTime()) > longestKept {
			s.Drop(attempt)
		}
	}
}

// HasRoom reports whether whatever comes for a namespace will find room. A namespace
// may fill half of what the others leave.
func (s *Spool) HasRoom(namespace string) bool { return s == nil || s.shares.room(namespace, largest) }

// Holder names a process for its claims: by the pod, where there is a spool, and
// by an ID that no other process has.
func (s *Spool) Holder(process string) string {
	if s == nil {
		return process
	}
	return s.pod + "/" + process
}

// Predecessor reports whether a holder was an earlier process of this pod, and so is
// gone.
func (s *Spool) Predecessor(holder, own string) bool {
	return s != nil && holder != own && strings.HasPrefix(holder, s.pod+"/")
}

// sealed is a grant as it is written into a file.
type sealed struct {
	AccessToken           []byte         `json:"accessToken,omitempty"`
	TokenType             string         `json:"tokenType,omitempty"`
	IssuedAt              time.Time      `json:"issuedAt,omitzero"`
	ExpiresAt             time.Time      `json:"expiresAt,omitzero"`
	RefreshToken          []byte         `json:"refreshToken,omitempty"`
	RefreshTokenExpiresAt time.Time      `json:"refreshTokenExpiresAt,omitzero"`
	Outputs               map[string]any `json:"outputs,omitempty"`
	Unfinished            bool           `json:"unfinished,omitempty"`
}

// Put keeps what the exchange of an attempt of a namespace brought.
func (s *Spool) Put(namespace, attempt string, sent secret.Text, grant token.Grant) error {
	if s == nil || attempt == "" {
		return nil
	}
	plain, err := json.Marshal(sealed{
		AccessToken:           []byte(grant.AccessToken.Reveal()),
		TokenType:             grant.Type,
		IssuedAt:              grant.IssuedAt,
		ExpiresAt:             grant.ExpiresAt,
		RefreshToken:          []byte(grant.RefreshToken.Reveal()),
		RefreshTokenExpiresAt: grant.RefreshTokenExpiresAt,
		Outputs:               grant.Outputs,
		Unfinished:            grant.Unfinished,
	})
	if err != nil {
		return errors.New("the outputs of the reply cannot be written to the spool")
	}
	gcm, err := sealWith(sent, attempt)
	if err != nil {
		return err
	}
	nonce := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(nonce) // never errs, by its documentation
	return s.write(namespace, attempt, gcm.Seal(nonce, nonce, plain, nil))
}

func (s *Spool) write(namespace, attempt string, content []byte) error {
	if !s.shares.add(attempt, namespace, len(content)) {
		return fmt.Errorf("the spool has no room for %d bytes more of this namespace: it holds as much as it may that is not saved yet", len(content))
	}
	temporary := s.file(attempt) + temporarySuffix
	err := os.WriteFile(temporary, content, 0o600)
	if err == nil {
		err = os.Rename(temporary, s.file(attempt))
	}
	if err != nil {
		_ = os.Remove(temporary) // it may hold a part
		s.shares.drop(attempt)
		return fmt.Errorf("write to the spool: %w", err)
	}
	return nil
}

// Find returns what an earlier process left of an attempt.
func (s *Spool) Find(attempt string, sent secret.Text) (token.Grant, bool) {
	if s == nil || attempt == "" {
		return token.Grant{}, false
	}
	content, err := os.ReadFile(s.file(attempt))
	if err != nil {
		return token.Grant{}, false
	}
	gcm, err := sealWith(sent, attempt)
	if err != nil || len(content) < gcm.NonceSize() {
		return token.Grant{}, false
	}
	plain, err := gcm.Open(nil, content[:gcm.NonceSize()], content[gcm.NonceSize():], nil)
	var left sealed
	if err != nil || json.Unmarshal(plain, &left) != nil {
		return token.Grant{}, false
	}
	return token.Grant{
		Token: token.Token{
			AccessToken: secret.New(string(left.AccessToken)),
			Type:        left.TokenType,
			Validity:    token.Validity{IssuedAt: left.IssuedAt, ExpiresAt: left.ExpiresAt},
			Outputs:     left.Outputs,
		},
		RefreshToken:          secret.New(string(left.RefreshToken)),
		RefreshTokenExpiresAt: left.RefreshTokenExpiresAt,
		Unfinished:            left.Unfinished,
	}, true
}

// Drop forgets the reply to an attempt: it was committed, or no state holds the
// attempt any more.
func (s *Spool) Drop(attempt string) {
	if s != nil && attempt != "" {
		_ = os.Remove(s.file(attempt)) // a file that stays is found and dropped with the pod
		s.shares.drop(attempt)
	}
}

// file of an attempt. Its ID comes from a Secret, so it is taken for a name alone.
func (s *Spool) file(attempt string) string {
	return filepath.Join(s.directory, filepath.Base(filepath.Clean("/"+attempt))+sealedSuffix)
}

func sealWith(sent secret.Text, attempt string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(sent.Reveal()), []byte(attempt), "tokenkeeper spool", 32)
	if err != nil {
		return nil, errors.New("no key for the spool can be made")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errors.New("no cipher for the spool can be made")
	}
	return cipher.NewGCM(block)
}
