// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

const (
	// estimateLimit bounds what an expression may cost by estimate, in CEL's
	// units, to compile at all. It lets one loop over a reply do some work, and
	// no loop in a loop.
	estimateLimit = 1_000_000

	// costLimit bounds one evaluation. It is lower, since CEL's own count of what
	// a loop costs takes time that grows with the square of its rounds: half a
	// second or so at this limit, which no honest reply comes near.
	costLimit = 50_000

	// assumedSize is the length that the estimate assumes of a text or a list
	// whose length nobody knows. Actual lengths count when it runs.
	assumedSize = 2048

	// signatureCost stands for a signature by a private key, about a
	// millisecond.
	signatureCost = 10_000
)

// checkCost refuses an expression that may cost too much.
func (e *Environment) checkCost(source source, checked *cel.Ast) error {
	estimate, err := e.env.EstimateCost(checked, estimator{})
	if err != nil {
		return source.at(1, 0, "its cost cannot be estimated")
	}
	if estimate.Max > estimateLimit {
		return source.at(1, 0, fmt.Sprintf("may cost too much (an estimated %d of at most %d): nest fewer loops", estimate.Max, estimateLimit))
	}
	return nil
}

type estimator struct{}

// EstimateSize implements checker.CostEstimator.
func (estimator) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: assumedSize}
}

// EstimateCallCost implements checker.CostEstimator for this package's own
// functions: what they read, at CEL's rate for text, and what they compute.
func (estimator) EstimateCallCost(name, _ string, _ *checker.AstNode, arguments []checker.AstNode) *checker.CallEstimate {
	if !slices.ContainsFunc(ownFunctions(), func(own function) bool { return own.name == name }) {
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
	base := uint64(1)
	if name == "jwt.sign" {
		base = signatureCost
	}
	return cost.SafeAdd(base, cost.SafeMultiplyByFactor(size, 0.1))
}

// costTrackers count what this package's own functions really cost.
func costTrackers() []interpreter.CostTrackerOption {
	var trackers []interpreter.CostTrackerOption
	for _, own := range ownFunctions() {
		trackers = append(trackers, interpreter.OverloadCostTracker(own.overload(), func(arguments []ref.Val, _ ref.Val) *uint64 {
			total := uint64(0)
			for _, argument := range arguments {
				total = cost.SafeAdd(total, size(argument))
			}
			spent := callCost(own.name, total)
			return &spent
		}))
	}
	return trackers
}

func size(value ref.Val) uint64 {
	if sizer, ok := value.(traits.Sizer); ok {
		if length, ok := sizer.Size().(types.Int); ok && length > 0 {
			return uint64(length)
		}
	}
	return 1
}
