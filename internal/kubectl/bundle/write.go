// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"time"
)

// Write writes a file that did not exist.
func Write(name string, parts []Part, now time.Time) error {
	var bundle bytes.Buffer
	zipped := gzip.NewWriter(&bundle)
	archive := tar.NewWriter(zipped)
	for _, part := range parts {
		header := &tar.Header{Name: "tokenkeeper-report/" + part.Name, Mode: 0o600, Size: int64(len(part.Text)), ModTime: now}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(part.Text); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if err := zipped.Close(); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("the report is not written: %w", err)
	}
	if _, err := io.Copy(file, &bundle); err != nil {
		return err
	}
	return file.Close()
}
