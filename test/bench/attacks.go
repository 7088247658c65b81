// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/simulator"
)

// attacks are all that are played, in their order.
func attacks() []attack {
	return []attack{
		{name: "refresh tokens too large to be saved", begin: attackHugeSuccessor},
		{name: "gzip bombs", begin: attackGzipBomb},
		{name: "deep and wide JSON", begin: attackJSON},
		{name: "templates that render huge", begin: attackHugeRender},
		{name: "templates of regular expressions", begin: attackRegularExpressions},
		{name: "RSA keys of 98,304 bits", begin: attackRSAKeys},
		{name: "templates of thousands of expressions", begin: attackCompiled},
		{name: "a path of a shared host that fails", begin: attackSharedHost},
		{name: "input Secrets of a megabyte", begin: attackLargeInputs, arrange: arrangeLargeInputs},
		{name: "32 spellings of one host that hangs", begin: attackSpellings},
		{name: "edits that evade the backoff", begin: attackEdits},
		{name: "tokens of two seconds, and new credentials", begin: attackAlwaysDue},
		{name: "replies one byte a second", begin: attackSlowReplies},
	}
}

// attackHugeSuccessor has a provider rotate to refresh tokens that no Secret can hold,
// and then deletes the credentials.
func attackHugeSuccessor(ctx context.Context, a *assault) error {
	const size = 1_048_500 // just fits into a reply of 1 MiB
	body := fmt.Sprintf(`{"access_token":"hostile","expires_in":60,"refresh_token":"%s"}`, strings.Repeat("r", size))
	if err := a.reply(ctx, body); err != nil {
		return err
	}
	if err := a.credentials(ctx, 0, 2*writers, nil); err != nil {
		return err
	}
	if err := pause(ctx, a.window/2); err != nil {
		return err
	}
	return a.withdraw(ctx)
}

// attackGzipBomb sends replies of less than 2 KiB that unpack to 1 MiB, of 150,000 objects.
func attackGzipBomb(ctx context.Context, a *assault) error {
	return a.inWaves(ctx, simulator.Fault{Gzip: true, Reply: &simulator.Reply{Body: wideJSON(mebibyte)}})
}

// attackJSON sends replies that nest a hundred thousand lists, and others of as many
// objects, as large as a reply may be.
func attackJSON(ctx context.Context, a *assault) error {
	const size = 250 * kibibyte
	deep := simulator.Fault{Reply: &simulator.Reply{Body: deepJSON(size)}}
	if err := a.simulator.misbehave(ctx, simulator.Match{Host: hostileHost, Path: "/deep"}, deep); err != nil {
		return err
	}
	return a.inWaves(ctx, simulator.Fault{Reply: &simulator.Reply{Body: wideJSON(size)}})
}

// inWaves has 30 new credentials meet a fault at once, four times.
func (a *assault) inWaves(ctx context.Context, fault simulator.Fault) error {
	const waves, each = 4, 30
	if err := a.misbehave(ctx, fault); err != nil {
		return err
	}
	for wave := range waves {
		err := a.credentials(ctx, wave*each, each, func(i int, credential *v1alpha1.TokenCredential, _ *corev1.Secret) {
			if i%2 == 1 {
				credential.Spec.Parameters["tokenURL"] = "https://" + hostileHost + "/deep"
			}
		})
		if err != nil {
			return err
		}
		if err := pause(ctx, a.window/waves); err != nil {
			return err
		}
	}
	return nil
}

// wideJSON is a list of so many bytes, of objects that each cost far more in memory than
// in the text.
func wideJSON(size int) string {
	const each = `{"":0},`
	return "[" + strings.Repeat(each, size/len(each)-1) + "0]"
}

func deepJSON(size int) string { return strings.Repeat("[", size/2) + strings.Repeat("]", size/2) }

// attackSharedHost calls a path of the host of the tenant that is well at which it
// always fails.
func attackSharedHost(ctx context.Context, a *assault) error {
	const failing = 12
	match := simulator.Match{Host: simulator.Hosts()[0], Path: "/oauth/login/failing/refresh"}
	if err := a.simulator.misbehave(ctx, match, simulator.Fault{Reply: &simulator.Reply{Status: 503, Body: "<html>503</html>"}}); err != nil {
		return err
	}
	return a.credentials(ctx, 0, failing, func(_ int, credential *v1alpha1.TokenCredential, _ *corev1.Secret) {
		credential.Spec.ProviderRef.Name = "mcs"
		credential.Spec.Parameters = map[string]string{"path": "failing"}
	})
}

// largeInputs is how many Secrets are named that are as large as a Secret may be.
const largeInputs = 250

func arrangeLargeInputs(ctx context.Context, a *assault) error {
	const size = 1_000_000
	ballast := []byte(strings.Repeat("b", size))
	return inParallel(ctx, writers, a.number(largeInputs), func(ctx context.Context, i int) error {
		return a.try(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: fmt.Sprintf("large-%06d", i)},
			Data:       map[string][]byte{"refresh_token": fmt.Append(nil, "hostile-", i), "ballast": ballast},
		})
	})
}

// attackLargeInputs names them all.
func attackLargeInputs(ctx context.Context, a *assault) error {
	if err := a.reply(ctx, `{"access_token":"hostile","expires_in":3600}`); err != nil {
		return err
	}
	return a.credentials(ctx, 0, a.number(largeInputs), func(i int, credential *v1alpha1.TokenCredential, _ *corev1.Secret) {
		credential.Spec.RefreshTokenSecretRef.Name = v1alpha1.SecretName(fmt.Sprintf("large-%06d", i))
	})
}

// attackSpellings asks for a share of the workers under each of 32 names of one host, and
// holds what it gets.
func attackSpellings(ctx context.Context, a *assault) error {
	const spellings, each = 32, 4
	if err := a.misbehave(ctx, simulator.Fault{Delay: simulator.Minute}); err != nil {
		return err
	}
	return a.credentials(ctx, 0, spellings*each, func(i int, credential *v1alpha1.TokenCredential, _ *corev1.Secret) {
		credential.Spec.Parameters["tokenURL"] = "https://" + spelling(hostileHost, i%spellings) + hostilePath
	})
}

// spelling writes a host's name in one of many ways: each bit of the number makes a
// letter a capital.
func spelling(host string, number int) string {
	letters := []byte(host)
	for i := range letters {
		if number>>i&1 == 1 && 'a' <= letters[i] && letters[i] <= 'z' {
			letters[i] -= 'a' - 'A'
		}
	}
	return string(letters)
}

// attackAlwaysDue has hundreds of credentials ask for a new token all the time, and then
// makes three times as many.
func attackAlwaysDue(ctx context.Context, a *assault) error {
	if err := a.reply(ctx, shortReply); err != nil {
		return err
	}
	old := a.number(starvers)
	if err := a.credentials(ctx, 0, old, nil); err != nil {
		return err
	}
	if err := pause(ctx, a.window/4); err != nil {
		return err
	}
	return a.credentials(ctx, old, a.number(starving), nil)
}

// attackSlowReplies has a provider hold its calls for as long as they are let.
func attackSlowReplies(ctx context.Context, a *assault) error {
	if err := a.misbehave(ctx, simulator.Fault{Drip: simulator.Second, Reply: &simulator.Reply{Body: strings.Repeat(" ", 100) + shortReply}}); err != nil {
		return err
	}
	return a.credentials(ctx, 0, 2*writers, nil)
}

// attackEdits edits credentials that are refused, and asks for refreshes of them, as
// fast as the API server takes it.
func attackEdits(ctx context.Context, a *assault) error {
	const edited, editors = 12, 4
	if err := a.misbehave(ctx, simulator.Fault{Reply: &simulator.Reply{Status: 400, Body: `{"error":"invalid_request"}`}}); err != nil {
		return err
	}
	// The bucket of a credential's edits holds 3, and another comes every 10 s; its own
	// backoff doubles from 1 s.
	const burst, every, own = 3, 10 * time.Second, 7
	a.calls = atMost(edited*(burst+own+a.window.Seconds()/every.Seconds())).
		because("%d credentials; each %d edits at once, one every %s, and %d by its backoff", edited, burst, every, own)
	if err := a.credentials(ctx, 0, edited, nil); err != nil {
		return err
	}
	return inParallel(ctx, editors, edited<<20, func(ctx context.Context, n int) error {
		return a.edit(ctx, fmt.Sprintf("hostile-%06d", n%edited), n)
	})
}

// edit changes a credential's spec, or asks for a refresh, whichever it is the turn of.
func (a *assault) edit(ctx context.Context, name string, n int) error {
	patch := fmt.Sprintf(`{"spec":{"parameters":{"scope":"edit-%d"}}}`, n)
	if n/12%2 == 1 {
		patch = fmt.Sprintf(`{"metadata":{"annotations":{%q:"edit-%d"}}}`, v1alpha1.RefreshAtAnnotation, n)
	}
	credential := &v1alpha1.TokenCredential{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: name}}
	return a.Patch(ctx, credential, mergePatch(patch))
}
