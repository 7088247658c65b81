// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// file is one in an archive.
type file struct {
	name    string
	mode    int64
	content []byte
}

// pack writes files as a zip, where the name asks for that, or a compressed tar: in the
// order given, with one time for all, and nobody's name.
func pack(path string, files []file, at time.Time) error {
	var packed bytes.Buffer
	write := writeTarball
	if filepath.Ext(path) == ".zip" {
		write = writeZip
	}
	if err := write(&packed, files, at); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, packed.Bytes(), 0o644) //nolint:gosec // for everybody to read
}

func writeTarball(to io.Writer, files []file, at time.Time) error {
	compressed := gzip.NewWriter(to) // without a time of its own
	if err := writeTar(compressed, files, at); err != nil {
		return err
	}
	return compressed.Close()
}

func writeTar(to io.Writer, files []file, at time.Time) error {
	writer := tar.NewWriter(to)
	for _, each := range files {
		header := &tar.Header{Name: each.name, Mode: each.mode, Size: int64(len(each.content)), ModTime: at, Format: tar.FormatPAX, Typeflag: tar.TypeReg}
		if err := writer.WriteHeader(header); err != nil {
			return err
		}
		if _, err := writer.Write(each.content); err != nil {
			return err
		}
	}
	return writer.Close()
}

func writeZip(to io.Writer, files []file, at time.Time) error {
	writer := zip.NewWriter(to)
	for _, each := range files {
		header := &zip.FileHeader{Name: each.name, Method: zip.Deflate, Modified: at}
		header.SetMode(os.FileMode(each.mode)) //nolint:gosec // a mode fits
		entry, err := writer.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(each.content); err != nil {
			return err
		}
	}
	return writer.Close()
}

// unpack reads the files of an archive that pack wrote.
func unpack(path string) ([]file, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(path) == ".zip" {
		return readZip(content)
	}
	compressed, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return readTar(compressed)
}

func readTar(from io.Reader) ([]file, error) {
	files := []file{}
	reader := tar.NewReader(from)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: header.Name, mode: header.Mode, content: content})
	}
}

func readZip(content []byte) ([]file, error) {
	reader, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	files := []file{}
	for _, each := range reader.File {
		opened, err := each.Open()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(opened)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: each.Name, mode: int64(each.Mode().Perm()), content: text})
	}
	return files, nil
}
