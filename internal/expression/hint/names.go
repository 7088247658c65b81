// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package hint

import (
	"maps"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/functions"
	"github.com/tokenkeeper/tokenkeeper/internal/expression/lexical"
	"github.com/tokenkeeper/tokenkeeper/internal/spelling"
)

// Nearest gives the name that was most likely meant, or "". CEL's own variables are none.
func Nearest(name string, known []string) string {
	return spelling.Nearest(name, slices.DeleteFunc(slices.Clone(known), func(each string) bool { return strings.HasPrefix(each, "@") }))
}

// unknownName says what may have been meant by a name that no variable has. behind is
// the text before it, ahead what follows.
func (k Known) unknownName(name, behind, ahead string) string {
	bare := strings.TrimPrefix(name, ".")
	body, hasBody := k.Variables["body"]
	hasBody = hasBody && !body.IsRefused
	switch where, hint := k.Elsewhere[bare], foreignNames[strings.ToLower(bare)]; {
	case strings.HasSuffix(behind, "-") && len(behind) > 1 && lexical.IsNameByte(behind[len(behind)-2]):
		return ": a name with '-' is written in brackets, as in headers[\"retry-after\"]"
	case bare != name && hasBody:
		return ": a field of the reply is written body." + bare
	case where != "":
		return ": " + where
	case hint != "":
		return ": " + hint
	case bare == "uuid":
		return ": write uuid()"
	case strings.HasPrefix(strings.TrimLeft(ahead, " "), ":") && strings.HasSuffix(strings.TrimRight(behind, " "), "{"):
		return ": write the key of a map in quotes"
	}
	if meant := k.meant(bare); meant != "" {
		return ": did you mean " + meant + "?"
	}
	known := " (known here: " + strings.Join(k.names(), ", ") + ")"
	if hasBody {
		return ": a field of the reply is written body." + bare + known
	}
	return known
}

// meant gives the variable or the field of one that was most likely meant, or "".
func (k Known) meant(name string) string {
	if near := Nearest(name, slices.Collect(maps.Keys(k.Variables))); near != "" {
		return near
	}
	if alias := aliases[spelling.Plain(name)]; alias != "" && len(k.Variables["app"].Fields) > 0 {
		return alias
	}
	for _, variable := range slices.Sorted(maps.Keys(k.Variables)) {
		if near := Nearest(name, k.Variables[variable].Fields); near != "" {
			return variable + "." + near
		}
	}
	return ""
}

// names of the variables that may be used, sorted, as they are written.
func (k Known) names() []string {
	var names []string
	for _, variable := range k.Variables {
		if !variable.IsRefused {
			names = append(names, variable.Written)
		}
	}
	slices.Sort(names)
	return names
}

// unknownFunction says what may have been meant by a function that there is not.
func (k Known) unknownFunction(name string) string {
	if variable, is := k.Variables[name]; is && !variable.IsCall {
		return ": " + name + " is a value: write it without ( )"
	}
	if name == "uuid" {
		return ": uuid() takes no arguments"
	}
	if slices.ContainsFunc(functions.All(), func(own functions.Function) bool { return own.Name == name }) {
		return ": known only in a request of a provider"
	}
	last := name[strings.LastIndex(name, ".")+1:]
	for _, each := range []string{name, last} {
		their, is := foreignFunctions[spelling.Plain(each)]
		if is && (their.ours == "" || their.ours == "uuid" || k.Functions[their.ours] != nil) {
			return ": write " + their.write
		}
	}
	names := slices.Collect(maps.Keys(k.Functions))
	names = append(names, "has", "all", "exists", "exists_one", "map", "filter", "optMap", "optFlatMap", "uuid")
	names = slices.DeleteFunc(names, func(each string) bool { return strings.Contains(each, "_") && each != "exists_one" })
	if near := Nearest(name, names); near != "" {
		return ": did you mean " + near + "?"
	}
	return ": there is no such function"
}
