// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenkeeper/tokenkeeper/test/faults"
)

func TestBodies(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a body of 10 GiB")
	faults.Shows(t, "a compressed bomb")
	const plain = `{"access_token":"canary"}`
	compressed := func(to func(io.Writer) io.WriteCloser, text []byte) []byte {
		var buffer bytes.Buffer
		writer := to(&buffer)
		_, _ = writer.Write(text)
		_ = writer.Close()
		return buffer.Bytes()
	}
	toGzip := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	toZlib := func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
	toFlate := func(w io.Writer) io.WriteCloser { writer, _ := flate.NewWriter(w, 9); return writer }
	gzipped := compressed(toGzip, []byte(plain))

	tests := map[string]struct {
		reason   string
		encoding string
		body     []byte
		want     string // part of the error; "": the plain body
	}{
		"plain":                            {"most are", "", []byte(plain), ""},
		"identity":                         {"says that nothing was done", "identity", []byte(plain), ""},
		"gzip":                             {"sent although nobody asked for it", "gzip", gzipped, ""},
		"gzip under its old name":          {"RFC 9110 section 8.4.1.3", "X-GZIP", gzipped, ""},
		"deflate by the book":              {"RFC 9110 section 8.4.1.2: zlib", "deflate", compressed(toZlib, []byte(plain)), ""},
		"deflate without zlib":             {"what some servers send", "deflate", compressed(toFlate, []byte(plain)), ""},
		"a body of just the size allowed":  {"the bound is inclusive", "", bytes.Repeat([]byte("x"), int(DefaultMaxReply)), ""},
		"a body of one byte too many":      {"the bound holds", "", bytes.Repeat([]byte("x"), int(DefaultMaxReply)+1), "is larger than 262144 bytes, which --max-reply-size sets"},
		"a compressed bomb":                {"the bound holds after decompression too", "gzip", compressed(toGzip, make([]byte, 64<<20)), "is larger than 262144 bytes, which --max-reply-size sets"},
		"a bomb of just the size allowed":  {"the bound is inclusive after decompression too", "gzip", compressed(toGzip, bytes.Repeat([]byte("x"), int(DefaultMaxReply))), ""},
		"a bomb of one byte too many":      {"the bound holds", "gzip", compressed(toGzip, bytes.Repeat([]byte("x"), int(DefaultMaxReply)+1)), "is larger than 262144 bytes"},
		"gzip members without end":         {"decompressed to nothing, they count on the wire", "gzip", bytes.Repeat(compressed(toGzip, nil), int(DefaultMaxReply)/16), "is larger than 262144 bytes, which --max-reply-size sets"},
		"gzip that is cut short":           {"a part of a reply is no reply", "gzip", gzipped[:len(gzipped)-9], "is cut short"},
		"gzip that is none":                {"the header lies", "gzip", []byte(plain), ""},
		"deflate that is none":             {"the header lies", "deflate", []byte(plain), ""},
		"deflate that is gzip":             {"the header lies", "deflate", gzipped, ""},
		"a character set":                  {"it is no coding", "utf-8", []byte(plain), ""},
		"a character set over gzip":        {"it is no coding, and the bytes are one", "utf-8", gzipped, ""},
		"nothing over gzip":                {"the header keeps it back", "", gzipped, ""},
		"two codings":                      {"RFC 9110 section 8.4: the last is undone first", "deflate, gzip", compressed(toGzip, compressed(toZlib, []byte(plain))), ""},
		"gzip twice":                       {"RFC 9110 section 8.4", "gzip, gzip", compressed(toGzip, gzipped), ""},
		"gzip that was done once of twice": {"the header lies", "gzip, gzip", gzipped, ""},
		"identity and gzip":                {"says that one thing was done", "identity, gzip", gzipped, ""},
		"nothing but a comma":              {"it is no coding", ",", []byte(plain), ""},
		"a coding that nobody here speaks, over plain text": {"the header lies", "br", []byte(plain), ""},
		"a bomb in a bomb":           {"each layer is bounded", "gzip, gzip", compressed(toGzip, compressed(toGzip, make([]byte, 64<<20))), "is larger than 262144 bytes"},
		"gzip with a wrong checksum": {"the body was damaged", "gzip", append(bytes.Clone(gzipped[:len(gzipped)-8]), 0, 0, 0, 0, 0, 0, 0, 0), "compressed in a way that cannot be read"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startTLS(t, func(w http.ResponseWriter, _ *http.Request) {
				if test.encoding != "" {
					w.Header().Set("Content-Encoding", test.encoding)
				}
				_, _ = w.Write(test.body)
			})
			reply, err := clientFor(t, server).Do(canaryRequest(t, t.Context(), http.MethodPost, server.URL), true)
			if test.want != "" {
				checkKind(t, err, errUnanswered)
				if strings.Contains(name, "checksum") && (reply == nil || string(reply.Body) != plain || !reply.CutShort) {
					t.Errorf("what was read is not dropped: %+v", reply)
				}
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("Do = %v, want it to hold %q\nreason: %s", err, test.want, test.reason)
				}
				return
			}
			want := plain
			if test.encoding == "" && name != "nothing over gzip" {
				want = string(test.body)
			} else if strings.HasPrefix(name, "a bomb") {
				want = strings.Repeat("x", int(DefaultMaxReply))
			}
			if err != nil || string(reply.Body) != want {
				t.Fatalf("Do = %v, and not the body that was sent\nreason: %s", err, test.reason)
			}
			if test.encoding != "" && reply.Header.Get("Content-Encoding") != "" {
				t.Error("the reply still says that it is compressed")
			}
		})
	}
}

func TestAnEmptyBodyIsNeverCompressed(t *testing.T) {
	t.Parallel()
	server := startTLS(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "gzip") })
	reply, err := clientFor(t, server).Do(canaryRequest(t, t.Context(), http.MethodPost, server.URL), true)
	if err != nil || len(reply.Body) != 0 {
		t.Errorf("Do = %+v, %v; want an empty body", reply, err)
	}
}

// TestLargeRepliesWaitTheirTurn reads replies while others take the whole budget.
func TestLargeRepliesWaitTheirTurn(t *testing.T) {
	t.Parallel()
	small, large := strings.Repeat("s", smallReply-1), strings.Repeat("l", smallReply+1)
	for name, each := range map[string]struct {
		reason string
		body   string
		frees  bool // room, after a while
		ends   bool // the context, after a while
		want   string
		err    error
	}{
		"a small one":                        {"an honest reply never waits", small, false, false, small, nil},
		"a large one that gets room":         {"it is read to its end", large, true, false, large, nil},
		"a large one whose time comes first": {"its beginning may hold a token", large, false, true, large[:smallReply], errNoRoom},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, err := New(Policy{})
				if err != nil {
					t.Fatal(err)
				}
				if !client.reading.TryAcquire(readingBudget) {
					t.Fatal("nothing is read yet")
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(time.Second, func() {
					if each.frees {
						client.reading.Release(readingBudget)
					}
					if each.ends {
						cancel()
					}
				})
				body, err := client.readWithin(ctx, strings.NewReader(each.body))
				if string(body) != each.want || !errors.Is(err, each.err) {
					t.Errorf("%d bytes and %v, want %d and %v\nreason: %s", len(body), err, len(each.want), each.err, each.reason)
				}
				if each.frees && !client.reading.TryAcquire(readingBudget) {
					t.Error("what was read gave its room back")
				}
			})
		})
	}
}

func TestAReplyMayBeLargerWhereTheFlagSaysSo(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 1<<20)
	server := startTLS(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	client := clientFor(t, server, "--max-reply-size=1Mi")
	reply, err := client.Do(canaryRequest(t, t.Context(), http.MethodPost, server.URL), true)
	if err != nil || string(reply.Body) != body {
		t.Errorf("a reply of 1 MiB: %v", err)
	}
}

func TestAFlawOfACodingIsTold(t *testing.T) {
	t.Parallel()
	faults.Shows(t, "a Content-Encoding that is not true")
	for name, test := range map[string]struct{ encoding, body, want string }{
		"none":                     {"", "{}", ""},
		"identity":                 {"identity", "{}", ""},
		"gzip over plain JSON":     {"gzip", "{}", "its Content-Encoding says that its body is compressed, and it is not"},
		"a character set":          {"utf-8", "{}", "its Content-Encoding is none that is known, and its body is plain text"},
		"a coding of other bytes":  {"br", "\x0b\x00\x80{}\x03", "its Content-Encoding is none that is known, so its body cannot be read: nobody asked for it"},
		"deflate over Latin-1":     {"deflate", "{\"name\":\"Jos\xe9\",\"access_token\":\"canary\"}", "its Content-Encoding says that its body is compressed, and it is not"},
		"deflate over UTF-16":      {"deflate", "{\x00\"\x00a\x00\"\x00:\x001\x00}\x00", "its Content-Encoding says that its body is compressed, and it is not"},
		"text that begins as zlib": {"deflate", "8O", "its Content-Encoding says that its body is compressed, and it is not"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startTLS(t, func(w http.ResponseWriter, _ *http.Request) {
				if test.encoding != "" {
					w.Header().Set("Content-Encoding", test.encoding)
				}
				_, _ = io.WriteString(w, test.body)
			})
			reply, err := clientFor(t, server).Do(canaryRequest(t, t.Context(), http.MethodPost, server.URL), true)
			if err != nil || reply.Flaw != test.want || string(reply.Body) != test.body {
				t.Errorf("Do = %+v, %v; want the flaw %q", reply, err, test.want)
			}
		})
	}
}
