// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package functions

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/values"
	"github.com/tokenkeeper/tokenkeeper/internal/timetext"
)

// timeFunctions read moments.
func timeFunctions() []Function {
	call := func(arguments ...ref.Val) ref.Val { return parseTime(string(arguments[0].(types.String))) }
	return []Function{{"time.parse", []*cel.Type{cel.StringType}, cel.TimestampType, call}}
}

// The numbers of seconds and of milliseconds that lie between 1980 and 2200.
const (
	firstEpoch, lastEpoch = 315_532_800, 7_258_118_400
	inMilliseconds        = 1_000
)

// parseTime implements time.parse(text): a moment in any notation that has one meaning, a
// number since 1970 in seconds or milliseconds among them. Without a zone it is UTC.
func parseTime(text string) ref.Val {
	if number, ok := timetext.Number(text); ok {
		for unit := 1.0; unit <= inMilliseconds; unit *= inMilliseconds {
			if seconds := number / unit; seconds >= firstEpoch && seconds <= lastEpoch {
				return types.Timestamp{Time: time.UnixMicro(int64(seconds * 1e6)).UTC()}
			}
		}
	}
	if moment, _, ok := timetext.Moment(text); ok {
		return types.Timestamp{Time: moment.UTC()}
	}
	return types.WrapErr(values.Error("a value is not a moment in a notation that is known"))
}
