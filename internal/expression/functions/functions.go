// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package functions

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/values"
	"github.com/tokenkeeper/tokenkeeper/internal/jsontext"
)

// Function is one overload of a function that this package adds to CEL.
type Function struct {
	Name      string
	Arguments []*cel.Type
	Result    *cel.Type
	Call      func(arguments ...ref.Val) ref.Val
}

// Overload is what CEL calls the overload.
func (f Function) Overload() string {
	id := strings.ReplaceAll(f.Name, ".", "_")
	for _, argument := range f.Arguments {
		id += "_" + argument.TypeName()
	}
	return id
}

// Declared declares functions to CEL.
func Declared(all []Function) []cel.EnvOption {
	var options []cel.EnvOption
	for _, f := range all {
		options = append(options, cel.Function(f.Name,
			cel.Overload(f.Overload(), f.Arguments, f.Result, cel.FunctionBinding(f.Call))))
	}
	return options
}

// The functions that take a private key.
const (
	jwtFunction        = "jwt.sign"
	signFunction       = "sign"
	publicFunction     = "jwk.public"
	thumbprintFunction = "jwk.thumbprint"
)

const (
	// signatureCost stands for a signature by a private key, about a millisecond.
	signatureCost = 4_000

	// publicCost stands for reading and checking a private key: half of a signature.
	publicCost = 2_000
)

// KeyCost is what a function that takes a private key costs beside what it reads, in
// CEL's units; 0: it takes none.
func KeyCost(function string) uint64 {
	switch function {
	case jwtFunction, signFunction:
		return signatureCost
	case publicFunction, thumbprintFunction:
		return publicCost
	}
	return 0
}

// All lists every overload of the functions that this package adds.
func All() []Function {
	return slices.Concat(keyFunctions(), ofEitherText(), timeFunctions(), ofText())
}

// ofEitherText are the functions that take a text, or bytes.
func ofEitherText() []Function {
	var all []Function
	texts := []*cel.Type{cel.StringType, cel.BytesType}
	for _, text := range texts {
		all = append(all,
			Function{"base64url.encode", []*cel.Type{text}, cel.StringType, func(arguments ...ref.Val) ref.Val {
				return types.String(base64.RawURLEncoding.EncodeToString(bytesOf(arguments[0])))
			}},
			Function{"hex.encode", []*cel.Type{text}, cel.StringType, func(arguments ...ref.Val) ref.Val {
				return types.String(hex.EncodeToString(bytesOf(arguments[0])))
			}},
			Function{"json.decode", []*cel.Type{text}, cel.DynType, func(arguments ...ref.Val) ref.Val {
				return decoded(bytesOf(arguments[0]))
			}},
		)
		for name, algorithm := range hashes() {
			all = append(all, Function{"hash." + name, []*cel.Type{text}, cel.BytesType, func(arguments ...ref.Val) ref.Val {
				return digest(algorithm(), bytesOf(arguments[0]))
			}})
			if name == "md5" {
				continue
			}
			for _, key := range texts {
				all = append(all, Function{"hmac." + name, []*cel.Type{key, text}, cel.BytesType, func(arguments ...ref.Val) ref.Val {
					return digest(hmac.New(algorithm, bytesOf(arguments[0])), bytesOf(arguments[1]))
				}})
			}
		}
	}
	return all
}

// ofText are those that take a text alone, or a value of which one is made.
func ofText() []Function {
	return []Function{
		{"base64url.decode", []*cel.Type{cel.StringType}, cel.BytesType, func(arguments ...ref.Val) ref.Val {
			plain, err := decodeBase64(string(arguments[0].(types.String)))
			if err != nil {
				return types.WrapErr(values.Error("a value is not base64"))
			}
			return types.Bytes(plain)
		}},
		{"url.escape", []*cel.Type{cel.StringType}, cel.StringType, func(arguments ...ref.Val) ref.Val {
			// RFC 3986: a space is %20, which every part of a URL takes.
			return types.String(strings.ReplaceAll(url.QueryEscape(string(arguments[0].(types.String))), "+", "%20"))
		}},
		{"url.unescape", []*cel.Type{cel.StringType}, cel.StringType, func(arguments ...ref.Val) ref.Val {
			plain, err := url.PathUnescape(string(arguments[0].(types.String)))
			if err != nil || !utf8.ValidString(plain) {
				return types.WrapErr(values.Error("a value is not escaped as in a URL"))
			}
			return types.String(plain)
		}},
		{"json.encode", []*cel.Type{cel.DynType}, cel.StringType, func(arguments ...ref.Val) ref.Val {
			return encoded(arguments[0])
		}},
		{"x509.thumbprint", []*cel.Type{cel.StringType, cel.StringType}, cel.BytesType, thumbprintOfCertificate},
		{"jwt.claims", []*cel.Type{cel.StringType}, cel.DynType, claimsOfJWT},
	}
}

// WithoutKeys lists them without those that take a private key.
func WithoutKeys() []Function {
	return slices.DeleteFunc(All(), func(f Function) bool { return KeyCost(f.Name) > 0 })
}

// keyFunctions lists the overloads of the functions that take a private key.
func keyFunctions() []Function {
	text, object := cel.StringType, cel.MapType(cel.DynType, cel.DynType)
	return []Function{
		{jwtFunction, []*cel.Type{text, text, object}, text, signJWT},
		{jwtFunction, []*cel.Type{text, text, object, object}, text, signJWT},
		{signFunction, []*cel.Type{text, text, text}, cel.BytesType, signMessage},
		{signFunction, []*cel.Type{text, text, cel.BytesType}, cel.BytesType, signMessage},
		{publicFunction, []*cel.Type{text}, cel.MapType(text, cel.DynType), publicJWK},
		{thumbprintFunction, []*cel.Type{text}, cel.BytesType, thumbprintOfJWK},
	}
}

// hashes by the name they have in hash.<name> and hmac.<name>. MD5 and SHA-1
// are here because providers ask for them, not because they are good.
func hashes() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}
}

func digest(h hash.Hash, message []byte) ref.Val {
	h.Write(message)
	return types.Bytes(h.Sum(nil))
}

// bytesOf gives the bytes of a string or bytes, which the overloads ensure.
func bytesOf(value ref.Val) []byte {
	if text, ok := value.(types.String); ok {
		return []byte(text)
	}
	return []byte(value.(types.Bytes))
}

// decodeBase64 takes both alphabets, with and without padding.
func decodeBase64(text string) ([]byte, error) {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	return base64.RawURLEncoding.DecodeString(text)
}

func decoded(text []byte) ref.Val {
	value, rest, err := jsontext.Decode(text)
	if err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return types.WrapErr(values.Error("a value is not JSON"))
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}

func encoded(value ref.Val) ref.Val {
	text, err := jsonOf(value)
	if err != nil {
		return types.WrapErr(err)
	}
	return types.String(text)
}

func jsonOf(value ref.Val) ([]byte, error) {
	plain, _, err := values.Native(value)
	if err != nil {
		return nil, err
	}
	encoded, err := jsontext.Encode(plain)
	if err != nil {
		return nil, values.Error(err.Error())
	}
	return encoded, nil
}
