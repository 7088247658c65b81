// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"github.com/tokenkeeper/tokenkeeper/internal/expression/functions"
)

const (
	// estimateLimit bounds what an expression may cost by estimate, in CEL's
	// units, to compile at all. It lets one loop over a reply do some work, and
	// no loop in a loop.
	estimateLimit = 1_000_000

	// costLimit bounds one evaluation. It is lower, since CEL's own count of what
	// a loop costs takes time that grows with the square of its rounds: some
	// hundredths of a second at this limit, a loop over a thousand elements or so.
	costLimit = 10_000

	// assumedSize is the length that the estimate assumes of a text or a list
	// whose length nobody knows. Actual lengths count when it runs.
	assumedSize = 2048

	// matchCost is how many steps of a regular expression (a byte of the text for an
	// instruction of the pattern) make one unit: the largest match is a budget's third.
	matchCost = maxMatch / costLimit
)

// checkCost refuses an expression that may cost too much.
func (e *Environment) checkCost(source source, checked *cel.Ast) error {
	estimate, err := e.env.EstimateCost(checked, estimator{own: e.own})
	if err != nil {
		return source.at(1, 0, "its cost cannot be estimated")
	}
	if estimate.Max > estimateLimit {
		return source.at(1, 0, fmt.Sprintf("may cost too much (an estimated %d of at most %d): nest fewer loops", estimate.Max, estimateLimit))
	}
	return nil
}

type estimator struct {
	own map[string]bool // the names of the functions that are added to CEL's
}

// EstimateSize implements checker.CostEstimator.
func (estimator) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: assumedSize}
}

// EstimateCallCost implements checker.CostEstimator for the functions that
// are added to CEL's: what they read, at CEL's rate for text, and what they compute.
func (e estimator) EstimateCallCost(name, _ string, _ *checker.AstNode, arguments []checker.AstNode) *checker.CallEstimate {
	if !e.own[name] {
		return nil
	}
	total := uint64(0)
	for _, argument := range arguments {
		size := uint64(assumedSize)
		if computed := argument.ComputedSize(); computed != nil {
			size = computed.Max
		}
		total = cost.SafeAdd(total, size)
	}
	return &checker.CallEstimate{
		CostEstimate: checker.CostEstimate{Min: 1, Max: callCost(name, total)},
		ResultSize:   &checker.SizeEstimate{Min: 0, Max: max(128, cost.SafeMultiply(total, 3))},
	}
}

func callCost(name string, size uint64) uint64 {
	return cost.SafeAdd(max(1, functions.KeyCost(name)), cost.SafeMultiplyByFactor(size, 0.1))
}

// costTrackers count what the functions that are added to CEL's really cost.
func costTrackers(own []functions.Function) []interpreter.CostTrackerOption {
	trackers := []interpreter.CostTrackerOption{
		interpreter.OverloadCostTracker(overloads.ExtFormatString, func(arguments []ref.Val, result ref.Val) *uint64 {
			spent := callCost("format", cost.SafeAdd(size(arguments[0]), size(result)))
			return &spent
		}),
	}
	for _, each := range own {
		trackers = append(trackers, interpreter.OverloadCostTracker(each.Overload(), func(arguments []ref.Val, _ ref.Val) *uint64 {
			total := uint64(0)
			for _, argument := range arguments {
				total = cost.SafeAdd(total, size(argument))
			}
			spent := callCost(each.Name, total)
			return &spent
		}))
	}
	return trackers
}

// matchTrackers count what regular expressions of these sizes cost; CEL goes by the
// length of the pattern alone.
func matchTrackers(patterns map[string]int) []interpreter.CostTrackerOption {
	match := func(arguments []ref.Val, _ ref.Val) *uint64 {
		pattern, _ := arguments[1].(types.String)
		spent := cost.SafeAdd(1, cost.SafeMultiply(size(arguments[0]), uint64(patterns[string(pattern)]))/matchCost) //nolint:gosec // a size is not negative
		return &spent
	}
	return []interpreter.CostTrackerOption{
		interpreter.OverloadCostTracker(overloads.Matches, match),
		interpreter.OverloadCostTracker(overloads.MatchesString, match),
	}
}

// dispatched counts what a call costs whose types are known only when it runs: CEL takes
// such a sum of two texts for one unit, however long they are.
type dispatched struct{}

// CallCost implements interpreter.ActualCostEstimator; nil leaves the count to CEL.
func (dispatched) CallCost(function, overload string, arguments []ref.Val, result ref.Val) *uint64 {
	if overload != "" {
		return nil
	}
	total := size(result)
	for _, argument := range arguments {
		total = cost.SafeAdd(total, size(argument))
	}
	spent := callCost(function, total)
	return &spent
}

func size(value ref.Val) uint64 {
	if sizer, ok := value.(traits.Sizer); ok {
		if length, ok := sizer.Size().(types.Int); ok && length > 0 {
			return uint64(length)
		}
	}
	return 1
}

// BudgetKey is the key under which a Budget is bound among the variables. What it
// bounds is everything that is evaluated over them.
const BudgetKey = "@budget"

// maxTogether bounds what the expressions of one request, one reply or one target cost
// together, in CEL's units. One alone may cost costLimit.
const maxTogether = 3 * costLimit

// Budget bounds what several evaluations cost together. It is for one use by one
// goroutine.
type Budget struct{ spent uint64 }

// NewBudget has room for the expressions of one request, one reply or one target.
func NewBudget() *Budget { return &Budget{} }

// budgetOf gives the budget among the variables; nil: there is none.
func budgetOf(variables map[string]any) *Budget {
	budget, _ := variables[BudgetKey].(*Budget)
	return budget
}

// isSpent reports whether nothing may be evaluated any more.
func (b *Budget) isSpent() bool { return b != nil && b.spent >= maxTogether }

// spend counts what an evaluation cost; nil: it was not counted.
func (b *Budget) spend(cost *uint64) {
	switch {
	case b == nil:
	case cost == nil:
		b.spent += costLimit
	default:
		b.spent += *cost
	}
}
