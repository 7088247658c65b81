// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

import (
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Life is that of a token.
type Life struct {
	From, To time.Time
	// Next is when its renewal is planned; zero: it is not.
	Next time.Time
}

// LifeOf is the life of the token that a status knows of; zero: there is none.
func LifeOf(status v1alpha1.TokenCredentialStatus) Life {
	if status.LastRefreshTime == nil || status.ExpirationTime == nil {
		return Life{}
	}
	life := Life{From: status.LastRefreshTime.Time, To: status.ExpirationTime.Time}
	if status.NextRefreshTime != nil {
		life.Next = status.NextRefreshTime.Time
	}
	return life
}

// Bar draws what has passed of a life, and where the renewal is planned. It is red once the
// life is over, and yellow while the renewal is late.
func (l Life) Bar(now time.Time, cells int, colours bool) string {
	passed := l.cell(now, cells)
	drawn := slices.Concat(slices.Repeat([]rune{'█'}, passed), slices.Repeat([]rune{'░'}, cells-passed))
	if l.Next.After(l.From) && l.Next.Before(l.To) {
		drawn[min(l.cell(l.Next, cells), cells-1)] = '│'
	}
	if !colours {
		return string(drawn)
	}
	style := good
	switch {
	case !now.Before(l.To):
		style = bad
	case !l.Next.IsZero() && now.After(l.Next):
		style = doubt
	}
	return style.Render(string(drawn))
}

// cell is where on a bar a moment is.
func (l Life) cell(moment time.Time, cells int) int {
	if !l.To.After(l.From) {
		return cells
	}
	return max(0, min(cells, int(float64(cells)*float64(moment.Sub(l.From))/float64(l.To.Sub(l.From)))))
}
