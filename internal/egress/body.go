// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// errEncoding: the body's Content-Encoding is unknown, or the body breaks it.
var errEncoding = errors.New("the content encoding cannot be read")

// errNoRoom: a large reply found no room beside others that are being read, in time.
var errNoRoom = errors.New("no room to read a large reply")

// readBody reads a reply's body to its end and undoes its Content-Encoding,
// which it then removes from the header. Beyond the client's limit, as received or
// unpacked, the error is an *http.MaxBytesError. With an error it returns what
// it has read so far.
func (c *Client) readBody(ctx context.Context, response *http.Response) ([]byte, error) {
	wire := bufio.NewReader(http.MaxBytesReader(nil, response.Body, c.limit))
	if _, err := wire.Peek(1); errors.Is(err, io.EOF) {
		return nil, nil // nothing there, so nothing is compressed
	}
	encoding := strings.ToLower(strings.TrimSpace(response.Header.Get("Content-Encoding")))
	content, err := decoded(wire, encoding)
	if err != nil {
		return nil, err
	}
	body, err := c.readWithin(ctx, http.MaxBytesReader(nil, io.NopCloser(content), c.limit))
	if err != nil {
		return body, encodingError(err)
	}
	if encoding != "" {
		response.Header.Del("Content-Encoding")
		response.Header.Del("Content-Length")
	}
	return body, nil
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

// decoded undoes one content coding (RFC 9110 section 8.4.1).
func decoded(wire *bufio.Reader, encoding string) (io.Reader, error) {
	switch encoding {
	case "", "identity":
		return wire, nil
	case "gzip", "x-gzip":
		content, err := gzip.NewReader(wire)
		return content, encodingError(err)
	case "deflate":
		// zlib by the book; some servers leave its header out.
		if start, err := wire.Peek(2); err == nil && start[0]&0x0f == 8 && (int(start[0])<<8|int(start[1]))%31 == 0 {
			content, err := zlib.NewReader(wire)
			return content, encodingError(err)
		}
		return flate.NewReader(wire), nil
	default:
		return nil, errEncoding
	}
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
