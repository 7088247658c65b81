// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the API of TokenKeeper: a TokenCredential asks for an
// access token to be kept fresh in a Secret, and a ClusterTokenProvider says
// how one provider of such tokens speaks.
//
// The package holds types, their validation markers, and the names that users
// and other programs rely on (condition types, reasons, annotations, labels).
// It holds no behaviour beyond reading a default, and imports apimachinery
// alone, so that anyone can depend on it at no cost.
//
// +kubebuilder:object:generate=true
// +groupName=tokenkeeper.io
package v1alpha1
