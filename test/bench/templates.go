// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/provider/builtin"
)

// mergePatch is one in JSON (RFC 7396).
func mergePatch(text string) client.Patch {
	return client.RawPatch(types.MergePatchType, []byte(text))
}

// templated makes credentials whose tokens are always due, so that their template is
// rendered all the time: every other one as costly as the bounds allow, and the others
// beyond them, as the attack was at first. The access token is as large as given.
func (a *assault) templated(ctx context.Context, count, tokenSize int, allowed func(n int) map[string]string, beyond map[string]string) error {
	a.calls = atLeast(1).because("what the bounds allow is rendered, and what they refuse is not")
	body := strings.Replace(shortReply, `"hostile"`, `"`+strings.Repeat("a", tokenSize)+`"`, 1)
	if err := a.reply(ctx, body); err != nil {
		return err
	}
	return a.credentials(ctx, 0, 2*count, func(i int, credential *v1alpha1.TokenCredential, _ *corev1.Secret) {
		data := beyond
		if i%2 == 0 {
			data = allowed(i / 2)
		}
		credential.Spec.Target.Template = &v1alpha1.TargetTemplate{Data: data}
	})
}

// values are so many of one text.
func values(count int, value string) map[string]string {
	data := map[string]string{}
	for n := range count {
		data[fmt.Sprint("value-", n)] = value
	}
	return data
}

// attackHugeRender makes 16 tokens of 32 KB into as much as a target may have, and a
// template of 28 KB into 60 MB.
func attackHugeRender(ctx context.Context, a *assault) error {
	const credentials, size = 8, 3_900
	return a.templated(ctx, credentials, hugeToken, hugeRender,
		values(4, fmt.Sprintf(`${"%s".replace("a", "%s")}`, strings.Repeat("a", size), strings.Repeat("b", size))))
}

const hugeToken = 32_000

func hugeRender(int) map[string]string { return values(16, "${accessToken}") }

// attackRegularExpressions matches an access token with as many states at a time as may
// be, and with tens of thousands, in a template of 25 KB.
func attackRegularExpressions(ctx context.Context, a *assault) error {
	const credentials, repeats = 20, 450
	return a.templated(ctx, credentials, matchedToken, matching, values(3, regularExpressions(repeats)))
}

const matchedToken = 1_000

func matching(int) map[string]string { return values(3, regularExpressions(10)) }

// regularExpressions is a template of 17 bytes for each hundred states.
func regularExpressions(repeats int) string {
	return `${string(accessToken.matches("^` + strings.Repeat(`[ab]{0,99}[abcd]`, repeats) + `c$"))}`
}

// attackCompiled has templates compiled that take as much memory as may be, more of them
// than are remembered, and 20 of 55 KB, each of thousands of expressions.
func attackCompiled(ctx context.Context, a *assault) error {
	const credentials, count, size = 20, 7, 7_900
	const each = "${accessToken+tokenType}"
	return a.templated(ctx, credentials, 8, compiledLarge, values(count, strings.Repeat(each, size/len(each))))
}

// compiledLarge is a template that no other credential has.
func compiledLarge(n int) map[string]string {
	return values(4, fmt.Sprintf("${string(size([%d%s]))}", n, strings.Repeat(",1", 400)))
}

// attackRSAKeys signs with keys that take minutes each: the client's key of a provider
// that asks for a signed assertion, and one that stands in a template.
func attackRSAKeys(ctx context.Context, a *assault) error {
	key, err := slowKey(98_304)
	if err != nil {
		return err
	}
	smaller, err := slowKey(32_768) // small enough to pass as an input
	if err != nil {
		return err
	}
	if err := a.reply(ctx, shortReply); err != nil {
		return err
	}
	signing, err := a.signingProvider(ctx)
	if err != nil {
		return err
	}
	for i, text := range []string{key, smaller} {
		if err := a.try(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: fmt.Sprintf("key-%d", i)},
			StringData: map[string]string{"app_key": "hostile", "app_secret": text},
		}); err != nil {
			return err
		}
	}
	const credentials = 32
	return a.credentials(ctx, 0, credentials, func(i int, credential *v1alpha1.TokenCredential, _ *corev1.Secret) {
		if i%4 == 0 {
			credential.Spec.Target.Template = &v1alpha1.TargetTemplate{Data: map[string]string{
				"value": fmt.Sprintf(`${jwt.sign("RS256", %q, {"iss": "hostile"})}`, smaller)}}
			return
		}
		credential.Spec.ProviderRef = signing
		credential.Spec.AppSecretRef.Name = v1alpha1.SecretName(fmt.Sprintf("key-%d", i%2))
	})
}

// signingProvider is an OAuth 2.0 server that its clients prove themselves to by a
// signature (RFC 7523).
func (a *assault) signingProvider(ctx context.Context) (v1alpha1.ProviderReference, error) {
	specs, err := builtin.Specs()
	if err != nil {
		return v1alpha1.ProviderReference{}, err
	}
	described := &v1alpha1.ClusterTokenProvider{ObjectMeta: metav1.ObjectMeta{Name: "signing"}, Spec: specs["oauth2"]}
	request := &described.Spec.Refresh.Request
	request.BasicAuth = nil
	delete(request.Form, "client_secret")
	request.Form["client_assertion"] = `${jwt.sign("RS256", app.secret, {"iss": app.key})}`
	return v1alpha1.ProviderReference{Kind: v1alpha1.ClusterProvider, Name: described.Name}, a.try(ctx, described)
}

// rsaPrivateKey is RSAPrivateKey of RFC 8017 appendix A.1.2.
type rsaPrivateKey struct {
	Version          int
	N                *big.Int
	E                int
	D, P, Q          *big.Int
	DP, DQ, QInverse *big.Int
}

// slowKey is a private key in PEM that signs as slowly as its bits say. Its primes are
// none, and need not be: what is slow is to work with it.
func slowKey(bits int) (string, error) {
	const e = 65537
	one := big.NewInt(1)
	for {
		p, q, err := oddNumbers(bits / 2)
		if err != nil {
			return "", err
		}
		lessP, lessQ := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
		d := new(big.Int).ModInverse(big.NewInt(e), new(big.Int).Mul(lessP, lessQ))
		inverse := new(big.Int).ModInverse(q, p)
		if d == nil || inverse == nil {
			continue
		}
		der, err := asn1.Marshal(rsaPrivateKey{N: new(big.Int).Mul(p, q), E: e, D: d, P: p, Q: q,
			DP: new(big.Int).Mod(d, lessP), DQ: new(big.Int).Mod(d, lessQ), QInverse: inverse})
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})), err
	}
}

// oddNumbers are two of so many bits.
func oddNumbers(bits int) (p, q *big.Int, err error) {
	numbers := make([]*big.Int, 2)
	for i := range numbers {
		random, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits)))
		if err != nil {
			return nil, nil, err
		}
		random.SetBit(random, 0, 1)
		random.SetBit(random, bits-1, 1)
		random.SetBit(random, bits-2, 1)
		numbers[i] = random
	}
	return numbers[0], numbers[1], nil
}
