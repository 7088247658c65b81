// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func (p *plugin) report() *cobra.Command {
	var which selection
	isWritten, file := false, "tokenkeeper-report.tar.gz"
	command := &cobra.Command{
		Use:   "report [NAME...]",
		Short: "Gather what a bug report needs, without a secret",
		Long: `Gather what a bug report needs: credentials, providers, the operator's Deployment and log,
events, and of Secrets their names, keys and sizes. No value of a Secret, and no value of
an environment variable, is read into it.

What it would hold is listed; --write writes it.`,
		Example: `  kubectl tokencredential report -n team-a
  kubectl tokencredential report -n team-a --write`,
		ValidArgsFunction: p.completeNames,
		RunE: func(command *cobra.Command, names []string) error {
			c, err := p.connect()
			if err != nil {
				return err
			}
			found, err := which.find(command.Context(), c, names)
			if err != nil {
				return err
			}
			parts := p.gather(command.Context(), c, found)
			for _, part := range parts {
				p.printf("%8d  %s\n", len(part.text), part.name)
			}
			if !isWritten {
				p.printf("nothing is written yet: --write writes these to %s\n", file)
				return nil
			}
			if err := writeBundle(file, parts, p.clock.Now()); err != nil {
				return err
			}
			p.printf("written to %s: look through it before you send it\n", file)
			return nil
		},
	}
	which.addFlags(command)
	command.Flags().BoolVar(&isWritten, "write", false, "write the bundle")
	command.Flags().StringVar(&file, "to", file, "file to write")
	return command
}

// part is a file of a bundle.
type part struct {
	name string
	text []byte
}

// gather makes the files. What cannot be read is said in its file.
func (p *plugin) gather(ctx context.Context, c *cluster, found []v1alpha1.TokenCredential) []part {
	var parts []part
	add := func(name string, object any, err error) {
		if err != nil {
			parts = append(parts, part{name, []byte("not read: " + err.Error() + "\n")})
			return
		}
		text, err := yaml.Marshal(object)
		if err != nil {
			text = []byte(err.Error())
		}
		parts = append(parts, part{name, text})
	}
	installation, err := p.checkInstallation(ctx, c)
	parts = append(parts, part{"installation.txt", []byte(installation.text(false))})
	if err != nil {
		add("installation-error.txt", nil, err)
	}
	providers := &v1alpha1.ClusterTokenProviderList{}
	err = c.List(ctx, providers)
	add("providers.yaml", providers.Items, err)
	for i := range found {
		credential := &found[i]
		credential.ManagedFields = nil
		base := credential.Namespace + "/" + credential.Name
		add(base+"/credential.yaml", credential, nil)
		secrets := map[string]map[string]int{}
		for _, use := range secretsOf(credential) {
			secrets[use.name] = sizesOf(ctx, c, use)
		}
		add(base+"/secrets.yaml", secrets, nil)
		events := &eventsv1.EventList{}
		err := c.List(ctx, events, client.InNamespace(credential.Namespace), client.MatchingFields{"regarding.uid": string(credential.UID)})
		add(base+"/events.yaml", events.Items, err)
	}
	return append(parts, p.gatherOperator(ctx, c)...)
}

// sizesOf are the sizes of a Secret's values, by key; nil where it cannot be read.
func sizesOf(ctx context.Context, c *cluster, use secretUse) map[string]int {
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: use.namespace, Name: use.name}, secret); err != nil {
		return nil
	}
	sizes := map[string]int{}
	for key, value := range secret.Data {
		sizes[key] = len(value)
	}
	return sizes
}

// gatherOperator has the operator's Deployment and the end of its log, which holds no
// secret.
func (p *plugin) gatherOperator(ctx context.Context, c *cluster) []part {
	var parts []part
	deployments := &appsv1.DeploymentList{}
	if err := c.List(ctx, deployments, managerLabels); err != nil {
		return []part{{"operator.yaml", []byte("not read: " + err.Error() + "\n")}}
	}
	for i := range deployments.Items {
		deployment := &deployments.Items[i]
		deployment.ManagedFields = nil
		for j := range deployment.Spec.Template.Spec.Containers {
			for k := range deployment.Spec.Template.Spec.Containers[j].Env {
				if env := &deployment.Spec.Template.Spec.Containers[j].Env[k]; env.Value != "" {
					env.Value = "[left out]"
				}
			}
		}
		delete(deployment.Annotations, corev1.LastAppliedConfigAnnotation) // it holds the environment too
		text, err := yaml.Marshal(deployment)
		if err != nil {
			text = []byte(err.Error())
		}
		parts = append(parts, part{"operator/" + deployment.Name + ".yaml", text})
		parts = append(parts, logsOf(ctx, c, deployment.Namespace)...)
	}
	return parts
}

// logLines is how many lines of each pod's log are taken.
const logLines = 2000

func logsOf(ctx context.Context, c *cluster, namespace string) []part {
	pods := &corev1.PodList{}
	set, err := kubernetes.NewForConfig(c.config)
	if err != nil || c.List(ctx, pods, client.InNamespace(namespace), managerLabels) != nil {
		return nil
	}
	var parts []part
	lines := int64(logLines)
	for _, pod := range pods.Items {
		text, err := set.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: &lines}).DoRaw(ctx)
		if err != nil {
			text = []byte("not read: " + err.Error() + "\n")
		}
		parts = append(parts, part{"operator/" + pod.Name + ".log", text})
	}
	return parts
}

// writeBundle writes a file that did not exist.
func writeBundle(name string, parts []part, now time.Time) error {
	var bundle bytes.Buffer
	zipped := gzip.NewWriter(&bundle)
	archive := tar.NewWriter(zipped)
	for _, part := range parts {
		header := &tar.Header{Name: "tokenkeeper-report/" + part.name, Mode: 0o600, Size: int64(len(part.text)), ModTime: now}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(part.text); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if err := zipped.Close(); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("the report is not written: %w", err)
	}
	if _, err := io.Copy(file, &bundle); err != nil {
		return err
	}
	return file.Close()
}
