// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const unstated = "NOASSERTION" // SPDX's word

// About is what a bill of materials says of a program that the program does not know.
type About struct {
	Name     string // such as manager
	Version  string
	Platform string // such as linux/amd64
	Created  time.Time
	Tool     string          // that makes the bill
	Beside   []*debug.Module // what files that go with the program were taken from
}

// Bill lists what a program is made of, and what goes with it, as SPDX 2.3
// (https://spdx.github.io/spdx-spec/v2.3/): the modules that the linker recorded in it,
// and Go's own library.
func (p *Program) Bill(about About) ([]byte, error) {
	digest := sha256.Sum256(p.Bytes)
	checksum := hex.EncodeToString(digest[:])
	top := pack(about.Name, about.Version, p.Info.Main.Path)
	top.PrimaryPackagePurpose = "APPLICATION"
	top.PackageLicenseDeclared = "Apache-2.0"
	top.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: checksum}}
	document := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName:      "tokenkeeper " + about.Version + " " + about.Name + " " + about.Platform,
		DocumentNamespace: "https://github.com/tokenkeeper/tokenkeeper/spdx/" + about.Tool + "/" + checksum,
		CreationInfo: &spdx.CreationInfo{
			Created:  about.Created.Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Organization", Creator: "The TokenKeeper Authors"}, {CreatorType: "Tool", Creator: about.Tool}},
		},
		Packages:      []*spdx.Package{top},
		Relationships: []*spdx.Relationship{relation("DOCUMENT", common.TypeRelationshipDescribe, top.PackageSPDXIdentifier)},
	}
	for _, each := range p.parts(about.Beside) {
		document.Packages = append(document.Packages, each)
		document.Relationships = append(document.Relationships, relation(top.PackageSPDXIdentifier, common.TypeRelationshipContains, each.PackageSPDXIdentifier))
	}
	var text bytes.Buffer
	err := json.Write(document, &text, json.Indent("  "))
	return text.Bytes(), err
}

// parts are the packages of everything that the program is made of, in the order in
// which the linker has them.
func (p *Program) parts(beside []*debug.Module) []*spdx.Package {
	all := []*spdx.Package{pack("stdlib", strings.TrimPrefix(p.Info.GoVersion, "go"), "stdlib")}
	for _, module := range slices.Concat(p.Info.Deps, beside) {
		if module.Replace != nil {
			module = module.Replace
		}
		all = append(all, packModule(module))
	}
	return all
}

// packModule describes a module; its sum is go.sum's (https://go.dev/ref/mod#go-sum-files).
func packModule(module *debug.Module) *spdx.Package {
	made := pack(module.Path, module.Version, module.Path)
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(module.Sum, "h1:")); err == nil && len(sum) == sha256.Size {
		made.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: hex.EncodeToString(sum)}}
	}
	return made
}

// unfit are the characters that an SPDX identifier may not have.
var unfit = regexp.MustCompile(`[^A-Za-z0-9.-]`)

func pack(name, version, path string) *spdx.Package {
	return &spdx.Package{
		PackageName: name, PackageVersion: version,
		PackageSPDXIdentifier:   common.ElementID(unfit.ReplaceAllString(fmt.Sprintf("Package-%s-%s", name, version), "-")),
		PackageDownloadLocation: unstated, PackageLicenseConcluded: unstated, PackageLicenseDeclared: unstated, PackageCopyrightText: unstated,
		PackageExternalReferences: []*spdx.PackageExternalReference{{
			Category: "PACKAGE-MANAGER", RefType: "purl",
			// https://github.com/package-url/purl-spec: a plus sign is encoded.
			Locator: "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B"),
		}},
	}
}

func relation(from common.ElementID, kind string, to common.ElementID) *spdx.Relationship {
	return &spdx.Relationship{RefA: common.MakeDocElementID("", string(from)), Relationship: kind, RefB: common.MakeDocElementID("", string(to))}
}
