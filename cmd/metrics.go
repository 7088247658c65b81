// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// reviewTimeout bounds how long the API server may take to say who scrapes.
const reviewTimeout = 10 * time.Second

func (o *options) metrics() metricsserver.Options {
	metrics := metricsserver.Options{
		BindAddress:   o.metricsAddress,
		SecureServing: o.metricsSecure,
		CertDir:       o.metricsCertPath,
		CertName:      o.metricsCertName,
		KeyName:       o.metricsCertKey,
	}
	if !o.enableHTTP2 { // Rapid reset (CVE-2023-44487): nothing here needs HTTP/2.
		metrics.TLSOpts = append(metrics.TLSOpts, func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })
	}
	if o.metricsSecure {
		metrics.FilterProvider = reviewedByCluster
	}
	return metrics
}

// reviewedByCluster lets metrics be read by who may read them by the cluster's RBAC.
// controller-runtime has a filter that does the same with a part of the API server's
// own code, a third of the whole program (ADR 17).
func reviewedByCluster(config *rest.Config, client *http.Client) (metricsserver.Filter, error) {
	authentication, err := authenticationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	authorization, err := authorizationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	reviews := &reviewer{tokens: authentication.TokenReviews(), accesses: authorization.SubjectAccessReviews()}
	return func(log logr.Logger, metrics http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(reply http.ResponseWriter, request *http.Request) {
			status, err := reviews.review(request)
			if err != nil { // what the API server says of a review may quote it
				log.Info("cannot tell whether metrics may be read", "error", apierrors.ReasonForError(err))
			}
			if status != http.StatusOK {
				http.Error(reply, http.StatusText(status), status)
				return
			}
			metrics.ServeHTTP(reply, request)
		}), nil
	}, nil
}

// reviewer asks the API server who sends a request, and what that one may do.
type reviewer struct {
	tokens   authenticationclient.TokenReviewInterface
	accesses authorizationclient.SubjectAccessReviewInterface
}

// review returns the status that a request deserves: 200, 401 without a token that
// the cluster knows, 403 for who may not, and 500 where the API server cannot tell.
func (r *reviewer) review(request *http.Request) (int, error) {
	scheme, token, _ := strings.Cut(request.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return http.StatusUnauthorized, nil
	}
	ctx, cancel := context.WithTimeout(request.Context(), reviewTimeout)
	defer cancel()
	known, err := r.tokens.Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return http.StatusInternalServerError, err
	case !known.Status.Authenticated:
		return http.StatusUnauthorized, nil
	}
	wanted := &authorizationv1.SubjectAccessReview{Spec: subject(known.Status.User)}
	wanted.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: request.URL.Path, Verb: strings.ToLower(request.Method)}
	access, err := r.accesses.Create(ctx, wanted, metav1.CreateOptions{})
	switch {
	case err != nil:
		return http.StatusInternalServerError, err
	case !access.Status.Allowed:
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}

// subject is a user in the words of a review of access.
func subject(user authenticationv1.UserInfo) authorizationv1.SubjectAccessReviewSpec {
	extra := map[string]authorizationv1.ExtraValue{}
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	return authorizationv1.SubjectAccessReviewSpec{User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra}
}
