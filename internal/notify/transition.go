// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// The types of messages.
const (
	// TypeStalled: a person must act, or must act on something else than before.
	TypeStalled = "io.tokenkeeper.tokencredential.stalled"
	// TypeResolved: nobody must any more.
	TypeResolved = "io.tokenkeeper.tokencredential.resolved"
)

// cloudEvent is a message, in the form of CloudEvents 1.0's JSON format
// (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md).
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            data      `json:"data"`
}

// data is what a message says of a credential.
type data struct {
	Cluster        string `json:"cluster"`
	Namespace      string `json:"namespace"`
	Name           string `json:"name"`
	UID            string `json:"uid"`
	Provider       string `json:"provider"`
	Reason         string `json:"reason"`
	PreviousReason string `json:"previousReason,omitempty"`
	Message        string `json:"message"`
	Ready          bool   `json:"ready"`
}

// transition is the message that a written status calls for; ok is false where it calls
// for none. Its ID names the write, so a receiver that gets it twice can tell.
func transition(before *v1alpha1.TokenCredentialStatus, written *v1alpha1.TokenCredential, cluster string, now time.Time) (event cloudEvent, ok bool) {
	stalled := meta.FindStatusCondition(written.Status.Conditions, v1alpha1.StalledCondition)
	was := reasonOf(meta.FindStatusCondition(before.Conditions, v1alpha1.StalledCondition))
	ready := meta.FindStatusCondition(written.Status.Conditions, v1alpha1.ReadyCondition)
	kind, said := TypeStalled, stalled
	switch {
	case reasonOf(stalled) == was:
		return cloudEvent{}, false
	case reasonOf(stalled) == "":
		kind, said = TypeResolved, ready
	}
	event = cloudEvent{
		SpecVersion:     "1.0",
		ID:              fmt.Sprintf("%s.%s", written.UID, written.ResourceVersion),
		Source:          "/clusters/" + url.PathEscape(cluster) + "/namespaces/" + written.Namespace + "/tokencredentials/" + written.Name,
		Type:            kind,
		Subject:         written.Namespace + "/" + written.Name,
		Time:            now.UTC().Truncate(time.Second),
		DataContentType: "application/json",
		Data: data{
			Cluster: cluster, Namespace: written.Namespace, Name: written.Name, UID: string(written.UID),
			Provider: written.Spec.ProviderRef.Name, Reason: reasonOf(said), PreviousReason: was,
			Ready: ready != nil && ready.Status == metav1.ConditionTrue,
		},
	}
	if said != nil {
		event.Data.Message = said.Message
	}
	return event, true
}

func reasonOf(condition *metav1.Condition) string {
	if condition == nil {
		return ""
	}
	return condition.Reason
}

// body is the message as it is sent.
func (e cloudEvent) body() []byte {
	body, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("a message of texts alone cannot be encoded: %v", err))
	}
	return body
}
