// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package spool keeps what a provider sent in sealed files until it is saved in the state
// Secret, so that it outlives the process that received it. It knows attempts by their ID
// alone, and neither states nor the API server.
package spool

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/sealed"
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
	files     *sealed.Directory
	pod       string
}

// identityFile holds the pod's identity: it is there as long as the directory is.
const identityFile = "pod"

// purpose tells the keys of the spool from those of others.
const purpose = "tokenkeeper spool"

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
	files, err := sealed.OpenDirectory(directory)
	return &Spool{directory: directory, files: files, pod: string(known)}, err
}

// Directory that outlives the process; empty where there is no spool.
func (s *Spool) Directory() string {
	if s == nil {
		return ""
	}
	return s.directory
}

// Sweep removes what an earlier process has left and nobody has asked for in a long time.
func (s *Spool) Sweep(now time.Time) {
	if s != nil {
		s.files.Sweep(now)
	}
}

// HasLeft reports whether an earlier process has left anything that nobody has dropped yet.
func (s *Spool) HasLeft() bool { return s != nil && len(s.files.Names()) > 0 }

// HasRoom reports whether whatever comes for a namespace will find room. A namespace
// may fill half of what the others leave.
func (s *Spool) HasRoom(namespace string) bool { return s == nil || s.files.HasRoom(namespace) }

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

// written is a grant as it is written into a file.
type written struct {
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
	plain, err := json.Marshal(written{
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
	key, err := sealed.Key(sent, attempt, purpose)
	if err != nil {
		return err
	}
	content, err := sealed.Seal(key, plain)
	if err != nil {
		return err
	}
	return s.files.Put(namespace, attempt, content)
}

// Find returns what an earlier process left of an attempt.
func (s *Spool) Find(attempt string, sent secret.Text) (token.Grant, bool) {
	if s == nil || attempt == "" {
		return token.Grant{}, false
	}
	content, found := s.files.Find(attempt)
	key, err := sealed.Key(sent, attempt, purpose)
	if !found || err != nil {
		return token.Grant{}, false
	}
	plain, opened := sealed.Open(key, content)
	var left written
	if !opened || json.Unmarshal(plain, &left) != nil {
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
		s.files.Drop(attempt)
	}
}
