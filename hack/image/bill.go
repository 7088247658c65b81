// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const unstated = "NOASSERTION" // SPDX's word

// billOfMaterials lists what is in the image as SPDX 2.3
// (https://spdx.github.io/spdx-spec/v2.3/): the program, the modules that the linker
// recorded in it, Go's own library, and the module that the certificates come from.
func billOfMaterials(o options, from origin, platform string, built *program) ([]byte, error) {
	digest := sha256.Sum256(built.bytes)
	checksum := hex.EncodeToString(digest[:])
	manager := pack(o.name, cmp.Or(o.version, "devel"), built.info.Main.Path)
	manager.PrimaryPackagePurpose = "APPLICATION"
	manager.PackageLicenseDeclared = "Apache-2.0"
	manager.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: checksum}}
	document := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName:      "tokenkeeper " + cmp.Or(o.version, "devel") + " " + platform,
		DocumentNamespace: "https://github.com/tokenkeeper/tokenkeeper/spdx/" + checksum,
		CreationInfo: &spdx.CreationInfo{
			Created:  from.created.Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Organization", Creator: "The TokenKeeper Authors"}, {CreatorType: "Tool", Creator: "tokenkeeper-image"}},
		},
		Packages:      []*spdx.Package{manager},
		Relationships: []*spdx.Relationship{relation("DOCUMENT", common.TypeRelationshipDescribe, manager.PackageSPDXIdentifier)},
	}
	for _, each := range parts(built.info) {
		document.Packages = append(document.Packages, each)
		document.Relationships = append(document.Relationships, relation(manager.PackageSPDXIdentifier, common.TypeRelationshipContains, each.PackageSPDXIdentifier))
	}
	var text bytes.Buffer
	err := json.Write(document, &text, json.Indent("  "))
	return text.Bytes(), err
}

// parts are the packages of everything that the program is made of, in the order in
// which the linker has them.
func parts(info *buildinfo.BuildInfo) []*spdx.Package {
	library := pack("stdlib", strings.TrimPrefix(info.GoVersion, "go"), "stdlib")
	all := []*spdx.Package{library}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		all = append(all, packModule(module))
	}
	if own, ok := debug.ReadBuildInfo(); ok { // of this program, which carries the certificates
		for _, module := range own.Deps {
			if module.Path == "golang.org/x/crypto/x509roots/fallback" {
				all = append(all, packModule(module))
			}
		}
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
