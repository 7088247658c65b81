// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"errors"
	"fmt"
)

// problems are what is wrong with one description, each with its field.
type problems struct{ all []error }

func (p *problems) add(field, format string, arguments ...any) {
	p.all = append(p.all, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, arguments...)))
}

// failed notes the problems of an error, one by one.
func (p *problems) failed(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, each := range joined.Unwrap() {
			p.failed(each)
		}
		return
	}
	if err != nil {
		p.all = append(p.all, err)
	}
}

// count tells how many there are so far.
func (p *problems) count() int { return len(p.all) }

// joined are all of them; nil: none.
func (p *problems) joined() error { return errors.Join(p.all...) }
