// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package screen

// Verdict is what a check thinks of something.
type Verdict int

// The verdicts.
const (
	// Right: it is as it must be.
	Right Verdict = iota
	// Doubtful: it could not be looked at, or may be meant so.
	Doubtful
	// Wrong: it must be mended.
	Wrong
)

// Mark is a verdict as one character.
func (v Verdict) Mark(colours bool) string {
	mark, style := [...]string{"✓", "?", "✗"}[v], [...]interface{ Render(...string) string }{good, doubt, bad}[v]
	if !colours {
		return mark
	}
	return style.Render(mark)
}
