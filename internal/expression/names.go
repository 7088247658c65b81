// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"maps"
	"slices"
	"strings"
)

// plain is a name as people confuse it with others: redirect_uri, redirectURI.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// nearest gives the name that was most likely meant, or "". A third of it may be wrong.
func nearest(name string, known []string) string {
	best, least := "", 1+max(1, min(3, len(plain(name))/3))
	for _, each := range slices.Sorted(slices.Values(known)) {
		if strings.HasPrefix(each, "@") {
			continue
		}
		if distance := distance(plain(name), plain(each)); distance < least && distance < len(plain(each)) {
			best, least = each, distance
		}
	}
	return best
}

// distance is how many letters must be changed, added, dropped or swapped with their
// neighbour to make one text of the other (optimal string alignment).
func distance(a, b string) int {
	before, last, row := []int(nil), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}

// unknownName says what may have been meant by a name that no variable has. behind is
// the text before it, ahead what follows.
func (e *Environment) unknownName(name, behind, ahead string) string {
	bare := strings.TrimPrefix(name, ".")
	body, hasBody := e.variables["body"]
	hasBody = hasBody && body.refusal == ""
	switch where, hint := e.elsewhere[bare], foreignNames[strings.ToLower(bare)]; {
	case strings.HasSuffix(behind, "-") && len(behind) > 1 && isNameByte(behind[len(behind)-2]):
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
	if meant := e.meant(bare); meant != "" {
		return ": did you mean " + meant + "?"
	}
	known := " (known here: " + strings.Join(e.names(), ", ") + ")"
	if hasBody {
		return ": a field of the reply is written body." + bare + known
	}
	return known
}

// meant gives the variable or the field of one that was most likely meant, or "".
func (e *Environment) meant(name string) string {
	if near := nearest(name, slices.Collect(maps.Keys(e.variables))); near != "" {
		return near
	}
	if alias := aliases[plain(name)]; alias != "" && len(e.variables["app"].fields) > 0 {
		return alias
	}
	for _, variable := range slices.Sorted(maps.Keys(e.variables)) {
		if near := nearest(name, e.variables[variable].fields); near != "" {
			return variable + "." + near
		}
	}
	return ""
}

// names of the variables that may be used, sorted, as they are written.
func (e *Environment) names() []string {
	var names []string
	for _, variable := range e.variables {
		if variable.refusal == "" {
			names = append(names, variable.Name())
		}
	}
	slices.Sort(names)
	return names
}

// unknownFunction says what may have been meant by a function that there is not.
func (e *Environment) unknownFunction(name string) string {
	if variable, is := e.variables[name]; is && variable.macro == "" {
		return ": " + name + " is a value: write it without ( )"
	}
	if name == "uuid" {
		return ": uuid() takes no arguments"
	}
	if slices.ContainsFunc(ownFunctions(), func(own function) bool { return own.name == name }) {
		return ": known only in a request of a provider"
	}
	last := name[strings.LastIndex(name, ".")+1:]
	for _, each := range []string{name, last} {
		their, is := foreignFunctions[plain(each)]
		if is && (their.ours == "" || their.ours == "uuid" || e.env.Functions()[their.ours] != nil) {
			return ": write " + their.write
		}
	}
	functions := slices.Collect(maps.Keys(e.env.Functions()))
	functions = append(functions, "has", "all", "exists", "exists_one", "map", "filter", "optMap", "optFlatMap", "uuid")
	functions = slices.DeleteFunc(functions, func(each string) bool { return strings.Contains(each, "_") && each != "exists_one" })
	if near := nearest(name, functions); near != "" {
		return ": did you mean " + near + "?"
	}
	return ": there is no such function"
}
