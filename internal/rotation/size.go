// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package rotation

// Size of the state as it is stored, in bytes; 0 for one that cannot be stored.
func (s State) Size() int {
	data := map[string][]byte{}
	if encode(s, data) != nil {
		return 0
	}
	size := 0
	for key, value := range data {
		size += len(key) + len(value)
	}
	return size
}
