// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// errEncoding: the body breaks its own compression.
var errEncoding = errors.New("the content encoding cannot be read")

// errNoRoom: a large reply found no room beside others that are being read, in time.
var errNoRoom = errors.New("no room to read a large reply")

// readBody reads a reply's body to its end and undoes its Content-Encoding,
// which it then removes from the header. Beyond the client's limit, as received or
// unpacked, the error is an *http.MaxBytesError. With an error it returns what
// it has read so far. The flaw says what was wrong with the coding: what a header claims
// is checked against the bytes, and a body that is no such thing is taken as it is.
func (c *Client) readBody(ctx context.Context, response *http.Response) (body []byte, flaw string, err error) {
	content := bufio.NewReader(http.MaxBytesReader(nil, response.Body, c.limit))
	if _, err := content.Peek(1); errors.Is(err, io.EOF) {
		return nil, "", nil // nothing there, so nothing is compressed
	}
	codings := codingsOf(response.Header)
	for _, coding := range codings {
		var decoded io.Reader
		if decoded, flaw, err = c.decoded(content, coding, flaw); err != nil {
			return nil, flaw, encodingError(err)
		}
		content = bufio.NewReader(http.MaxBytesReader(nil, io.NopCloser(decoded), c.limit))
	}
	body, err = c.readWithin(ctx, content)
	if err != nil {
		return body, flaw, encodingError(err)
	}
	if len(codings) > 0 {
		response.Header.Del("Content-Encoding")
		response.Header.Del("Content-Length")
	}
	return body, flaw, nil
}

// maxCodings is how many codings of one body are undone.
const maxCodings = 3

// codingsOf a body, the last one that was applied first (RFC 9110 section 8.4). A body
// that names none may be compressed all the same.
func codingsOf(header http.Header) []string {
	var codings []string
	for _, value := range header.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(value, ",") {
			if coding = strings.ToLower(strings.TrimSpace(coding)); coding != "" && coding != "identity" {
				codings = append(codings, coding)
			}
		}
	}
	slices.Reverse(codings)
	if len(codings) == 0 {
		return []string{unnamed}
	}
	return codings[:min(len(codings), maxCodings)]
}

// readWithin reads a body to its end: its beginning at once, and what goes on from
// there within the budget of all replies. It waits for room no longer than ctx allows,
// and takes all that it may come to need in one piece, so that no two wait for each
// other.
func (c *Client) readWithin(ctx context.Context, content io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(content, smallReply))
	if err != nil || len(body) < smallReply {
		return body, err
	}
	if c.reading.Acquire(ctx, c.limit) != nil {
		return body, errNoRoom
	}
	defer c.reading.Release(c.limit)
	rest, err := io.ReadAll(content)
	return append(body, rest...), err
}

// unnamed stands for the coding of a body that names none.
const unnamed = ""

// decoded undoes one content coding (RFC 9110 section 8.4.1), where the bytes bear it out.
func (c *Client) decoded(wire *bufio.Reader, coding, flaw string) (io.Reader, string, error) {
	switch start, _ := wire.Peek(glimpse); {
	case coding == unnamed && isGzip(start):
		content, err := gzip.NewReader(wire)
		return content, "its body is compressed, and its header does not say so", err
	case coding == unnamed:
		return wire, flaw, nil
	case (coding == "gzip" || coding == "x-gzip") && isGzip(start):
		content, err := gzip.NewReader(wire)
		return content, flaw, err
	case coding == "deflate" && isZlib(start): // by the book
		content, err := zlib.NewReader(wire)
		return content, flaw, err
	case coding == "deflate" && isGzip(start):
		content, err := gzip.NewReader(wire)
		return content, "its Content-Encoding names another compression than that of its body", err
	case coding == "deflate" && !isText(start) && inflates(start): // some servers leave zlib's header out
		return flate.NewReader(wire), flaw, nil
	case coding == "gzip", coding == "x-gzip", coding == "deflate":
		return wire, "its Content-Encoding says that its body is compressed, and it is not", nil
	case isGzip(start):
		content, err := gzip.NewReader(wire)
		return content, "its Content-Encoding names another compression than that of its body", err
	case isText(start):
		return wire, "its Content-Encoding is none that is known, and its body is plain text", nil
	default:
		return wire, "its Content-Encoding is none that is known, so its body cannot be read: nobody asked for it", nil
	}
}

// glimpse is how much of a body tells what it is, in bytes.
const glimpse = 256

// isGzip reports whether a body begins as RFC 1952 section 2.3.1 says. No text does.
func isGzip(start []byte) bool { return bytes.HasPrefix(start, []byte{0x1f, 0x8b, 8}) }

// isZlib reports whether a body begins as RFC 1950 section 2.2 says. A text may: a digit 8
// with the right letter behind it.
func isZlib(start []byte) bool {
	return len(start) >= 2 && start[0]&0x0f == 8 && (int(start[0])<<8|int(start[1]))%31 == 0 && !isText(start)
}

// inflates reports whether a body begins as RFC 1951 says. Without a header only trying tells:
// text in another encoding than UTF-8 breaks the rules within a few bytes.
func inflates(start []byte) bool {
	var corrupt flate.CorruptInputError
	_, err := io.Copy(io.Discard, flate.NewReader(bytes.NewReader(start)))
	return !errors.As(err, &corrupt)
}

// isText reports whether a body begins as text in UTF-8 does.
func isText(start []byte) bool {
	for i := 0; i < utf8.UTFMax && len(start) == glimpse && !utf8.Valid(start); i++ {
		start = start[:len(start)-1] // a character may be cut in two
	}
	return utf8.Valid(start) && !bytes.ContainsFunc(start, func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r'
	})
}

// encodingError turns what a decompressor says of a broken stream into
// errEncoding, and leaves other errors as they are.
func encodingError(err error) error {
	var corrupt flate.CorruptInputError
	for _, broken := range []error{gzip.ErrHeader, gzip.ErrChecksum, zlib.ErrHeader, zlib.ErrChecksum, zlib.ErrDictionary} {
		if errors.Is(err, broken) {
			return errEncoding
		}
	}
	if errors.As(err, &corrupt) {
		return errEncoding
	}
	return err
}
