// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package encoding

import (
	"reflect"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/rotation"
	"github.com/tokenkeeper/tokenkeeper/internal/token"
)

func TestAnUnfinishedTokenIsReadAsItWasKept(t *testing.T) {
	t.Parallel()
	state := rotation.State{}.Commit(firstHop(), rotation.Exchange{Origin: rotation.Origin{Refresh: "r", Login: "l", Revoke: "v", Discovered: "d"}})
	data := map[string][]byte{}
	if err := Encode(state, data); err != nil {
		t.Fatal(err)
	}
	read, err := Decode(data)
	if err != nil || !reflect.DeepEqual(read.Unfinished, state.Unfinished) {
		t.Errorf("read %+v (%v), want %+v", read.Unfinished, err, state.Unfinished)
	}
	if err := Encode(state.Finish(token.Token{}), data); err != nil || data[keyUnfinished] != nil {
		t.Errorf("%v: the key stays after the finish", err)
	}
	for name, broken := range map[string]string{"no JSON": "{", "a list": "[]", "no token": "{}"} {
		if read, err := Decode(map[string][]byte{keyUnfinished: []byte(broken)}); err == nil || read.Unfinished != nil {
			t.Errorf("%s is taken for a token", name)
		}
	}
}
