// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inputs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/problem"
	"github.com/tokenkeeper/tokenkeeper/internal/secret"
)

// Keys of the user's Secrets where the credential names none, as in the CRD's
// defaults.
const (
	defaultAppKey       = "app_key"
	defaultAppSecret    = "app_secret"
	defaultRefreshToken = "refresh_token"
)

func (in *Inputs) readApp(ref *v1alpha1.AppSecretReference, from *Values) *problem.Problem {
	switch needed := in.Provider.App; {
	case needed == v1alpha1.None, ref == nil && needed == v1alpha1.Optional:
		return nil
	case ref == nil:
		return problem.New(v1alpha1.InvalidParametersReason,
			"the provider %s needs an app: set %s to a Secret with the app's key and secret", in.Provider.Name, appField)
	case from == nil:
		return secretNotFound(appField, string(ref.Name))
	}
	var missing *problem.Problem
	in.AppKey, missing = value(from, string(cmp.Or(ref.KeyField, defaultAppKey)), appField+".keyField")
	// A public client has no secret: an empty value says so.
	secretKey := string(cmp.Or(ref.SecretField, defaultAppSecret))
	appSecret, present := from.Value(secretKey)
	if !present {
		missing = missing.And(keyMissing(from, secretKey, appField+".secretField"))
	}
	if missing == nil {
		in.AppSecret = trimmed(appSecret)
	}
	return missing
}

func (in *Inputs) readSeed(ref *v1alpha1.RefreshTokenSecretReference, from *Values) {
	switch {
	case ref == nil, in.Provider.RefreshToken == v1alpha1.None:
	case from == nil:
		in.SeedMissing = secretNotFound(seedField, string(ref.Name))
	default:
		in.Seed, in.SeedVersion, in.SeedUnwritable = seedIn(from, ref), from.Version, from.Unwritable
		if in.Seed.IsZero() {
			in.SeedMissing = keyMissing(from, SeedKey(ref), seedField+".key")
		}
	}
}

func (in *Inputs) readLogin(ref *v1alpha1.LoginSecretReference, from *Values) {
	keys := in.Provider.LoginKeys
	switch {
	case len(keys) == 0:
		return
	case ref == nil && in.Provider.NeedsLogin:
		in.LoginMissing = problem.New(v1alpha1.InvalidParametersReason,
			"the provider %s needs more secrets: set %s to a Secret with the keys %s", in.Provider.Name, loginField, strings.Join(keys, ", "))
		return
	case ref == nil:
		in.LoginMissing = problem.New(v1alpha1.InvalidParametersReason,
			"the provider %s can log in: set %s to a Secret with the keys %s", in.Provider.Name, loginField, strings.Join(keys, ", "))
		return
	case from == nil:
		in.LoginMissing = secretNotFound(loginField, string(ref.Name))
		return
	}
	in.Login = map[string]secret.Text{}
	for _, key := range keys {
		read, missing := value(from, key, loginField)
		in.Login[key], in.LoginMissing = read, in.LoginMissing.And(missing)
	}
}

// value of a key that must be there and not be blank.
func value(from *Values, key, field string) (secret.Text, *problem.Problem) {
	raw, _ := from.Value(key)
	text := trimmed(raw)
	if strings.TrimSpace(text.Reveal()) == "" {
		return secret.Text{}, keyMissing(from, key, field)
	}
	return text, nil
}

// SeedKey is the key of the seed's Secret that holds the refresh token.
func SeedKey(ref *v1alpha1.RefreshTokenSecretReference) string {
	return string(cmp.Or(ref.Key, defaultRefreshToken))
}

// seedIn is the refresh token that a Secret holds, as a credential refers to it.
func seedIn(from *Values, ref *v1alpha1.RefreshTokenSecretReference) secret.Text {
	raw, _ := from.Value(SeedKey(ref))
	return secret.New(strings.TrimSpace(trimmed(raw).Reveal())) // no token begins or ends with white space
}

// invisible are marks of no width that nobody types: the byte order mark, which some editors
// put before a text in UTF-8, and what comes along when a value is copied from a page.
const invisible = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"

// trimmed drops what an editor, echo or a clipboard leaves around a value: marks of no width,
// and line feeds after it, none of which a key or token has. A text that its mark says to
// be in UTF-16, as PowerShell writes it, is read as that.
func trimmed(value []byte) secret.Text {
	text := strings.TrimLeft(string(fromUTF16(value)), invisible)
	return secret.New(strings.TrimRight(text, "\r\n"+invisible))
}

// fromUTF16 gives the UTF-8 of a text whose byte order mark says that it is in UTF-16. A
// value that is no such text stays as it is.
func fromUTF16(value []byte) []byte {
	var order binary.ByteOrder
	switch {
	case len(value) < 4 || len(value)%2 != 0:
		return value
	case value[0] == 0xff && value[1] == 0xfe:
		order = binary.LittleEndian
	case value[0] == 0xfe && value[1] == 0xff:
		order = binary.BigEndian
	default:
		return value
	}
	units := make([]uint16, 0, len(value)/2)
	for at := 2; at < len(value); at += 2 {
		units = append(units, order.Uint16(value[at:]))
	}
	text := []byte(string(utf16.Decode(units)))
	if bytes.ContainsRune(text, utf8.RuneError) || bytes.IndexByte(text, 0) >= 0 {
		return value // binary
	}
	return text
}

func secretNotFound(field, name string) *problem.Problem {
	return problem.New(v1alpha1.SecretNotFoundReason, "the Secret %q of %s does not exist: create it", name, field)
}

// keyMissing says why there is no value under a key that can be used.
func keyMissing(from *Values, key, field string) *problem.Problem {
	if size := from.TooLarge(key); size > 0 {
		return problem.New(v1alpha1.SecretKeyMissingReason,
			"the Secret %q has %d bytes under the key %q (%s), of at most %d: put a value there that is no larger", from.Name, size, key, field, MaxValue)
	}
	return problem.New(v1alpha1.SecretKeyMissingReason, "the Secret %q has no value under the key %q (%s): add it", from.Name, key, field)
}
