// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package api

func namespaceValidations(field string) []validation {
	names, selector := field+".names", field+".selector"
	one := func(name string) edit { return edit{names: []any{name}} }
	asks := func(expression map[string]any) edit {
		return edit{selector: map[string]any{"matchExpressions": []any{expression}}}
	}
	exists := map[string]any{"key": "team", "operator": "Exists"}
	return []validation{
		{field, "rule", one("team-a"), edit{field: map[string]any{}}, "write names, selector or both; leave namespaces out for every namespace"},
		{field, "rule", edit{selector: map[string]any{}}, edit{field: map[string]any{}}, "write names, selector or both; leave namespaces out for every namespace"},
		{names, "minItems", one("a"), edit{names: []any{}}, names + " in body should have at least 1 items"},
		{names, "maxItems", edit{names: items(256, name)}, edit{names: items(257, name)}, names + ": Too many: 257: must have at most 256 items"},
		{names, "list type set", one("a"), edit{names: []any{"a", "a"}}, names + `[1]: Duplicate value: "a"`},
		{names + "[]", "minLength", one("*"), one(""), names + "[0] in body should be at least 1 chars long"},
		{names + "[]", "maxLength", one(letters(63)), one(letters(64)), names + "[0]" + tooLong},
		{names + "[]", "rule", one("team-*-eu1"), one("team-[ab]"), "write a namespace's name such as team-a, or a pattern such as team-*"},
		{selector + ".matchExpressions[]", "required key", asks(exists), asks(map[string]any{"operator": "Exists"}), "key: Required value"},
		{selector + ".matchExpressions[]", "required operator", asks(exists), asks(map[string]any{"key": "team"}), "operator: Required value"},
	}
}
