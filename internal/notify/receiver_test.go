// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// TestTheReceiverOfTheDocs has the function of docs/notifications.md check what was sent.
func TestTheReceiverOfTheDocs(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed here")
	}
	page, err := os.ReadFile("../../docs/notifications.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?s)```python\n(.*?)```").FindSubmatch(page)
	if code == nil {
		t.Fatal("docs/notifications.md has no Python")
	}
	r := newReceiver(t, accept)
	n := start(t, policyFor(t, r), r.URL, oneKey+"\n"+anotherKey)
	n.wrote("shop", "", "AppRejected")
	n.await(t, 1)
	sent := r.received()[0]
	check := func(key string, body []byte, stamp string) string {
		headers := map[string]string{"Webhook-Id": sent.header.Get("Webhook-Id"), "Webhook-Timestamp": stamp, "Webhook-Signature": sent.header.Get("Webhook-Signature")}
		input, err := json.Marshal(map[string]any{"key": key, "headers": headers, "body": string(body)})
		if err != nil {
			t.Fatal(err)
		}
		program := string(code[1]) + "\nimport json, sys\ntime.time = lambda: " + sent.header.Get("Webhook-Timestamp") + " + 60\ngiven = json.loads(sys.argv[1])\nprint(verify(given['key'], given['headers'], given['body'].encode()))\n"
		output, err := exec.CommandContext(t.Context(), python, "-c", program, string(input)).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		return string(output)
	}
	stamp := sent.header.Get("Webhook-Timestamp")
	for _, each := range []struct {
		name, key string
		body      []byte
		stamp     string
		want      string
	}{
		{"what was sent", oneKey, sent.body, stamp, "True\n"},
		{"the other key", anotherKey, sent.body, stamp, "True\n"},
		{"a key that is not ours", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", sent.body, stamp, "False\n"},
		{"another body", oneKey, append([]byte(" "), sent.body...), stamp, "False\n"},
		{"an old time", oneKey, sent.body, "1000000000", "False\n"},
	} {
		if got := check(each.key, each.body, each.stamp); got != each.want {
			t.Errorf("%s: %s, want %s", each.name, got, each.want)
		}
	}
}
