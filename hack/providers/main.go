// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Providers writes docs/providers: a page for each built-in provider, and README.md, a
// table of them all. Everything comes from the provider's own file: what it takes, how
// long its tokens live, what becomes of a refresh token, and, from its comments, how that
// is known. The values of a sample's parameters are those of its conversation. Run it by
// `make provider-docs`.
package main

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

//go:embed *.md.tmpl
var layouts embed.FS

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run writes the pages of the module in a folder.
func run(root string) error {
	pages, err := render(root)
	if err != nil {
		return err
	}
	folder := filepath.Join(root, "docs", "providers")
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // part of the repository
		return err
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}

// render gives the pages by the names of their files.
func render(root string) (map[string][]byte, error) {
	providers, err := read(root)
	if err != nil {
		return nil, err
	}
	layout, err := template.New("").Funcs(template.FuncMap{"cell": cell, "code": code}).ParseFS(layouts, "*.md.tmpl")
	if err != nil {
		return nil, err
	}
	pages := map[string][]byte{}
	write := func(name, layoutName string, data any) error {
		var text bytes.Buffer
		err := layout.ExecuteTemplate(&text, layoutName, data)
		pages[name] = text.Bytes()
		return err
	}
	if err := write("README.md", "README.md.tmpl", providers); err != nil {
		return nil, err
	}
	for _, each := range providers {
		if err := write(each.Name+".md", "page.md.tmpl", each); err != nil {
			return nil, fmt.Errorf("%s: %w", each.Name, err)
		}
	}
	return pages, nil
}

// cell makes a text fit for a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// code writes names as code, with commas between them; – stands for none.
func code(names []string) string {
	if len(names) == 0 {
		return "–"
	}
	quoted := slices.Clone(names)
	for i, name := range quoted {
		quoted[i] = "`" + name + "`"
	}
	return strings.Join(quoted, ", ")
}
