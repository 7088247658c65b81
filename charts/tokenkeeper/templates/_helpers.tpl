{{/* name is part of the names of all objects: the release's, with the chart's where that is missing in it. */}}
{{- define "tokenkeeper.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* selector are the labels by which the manager's pods are found; they never change. */}}
{{- define "tokenkeeper.selector" -}}
app.kubernetes.io/name: tokenkeeper
app.kubernetes.io/instance: {{ .Release.Name }}
control-plane: controller-manager
{{- end }}

{{/* labels of every object. */}}
{{- define "tokenkeeper.labels" -}}
app.kubernetes.io/name: tokenkeeper
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tokenkeeper.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (printf "%s-controller-manager" (include "tokenkeeper.name" .)) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{- define "tokenkeeper.priorityClass" -}}
{{- if .Values.priorityClass.create -}}
{{- .Values.priorityClass.name | default (printf "%s-controller-manager" (include "tokenkeeper.name" .)) -}}
{{- else -}}
{{- .Values.priorityClass.name -}}
{{- end -}}
{{- end }}

{{/* object prints a file of files/ under the release's names and labels: (list $ "crds/x.yaml"). */}}
{{- define "tokenkeeper.object" -}}
{{- $root := index . 0 -}}
{{- $object := $root.Files.Get (printf "files/%s" (index . 1)) | fromYaml -}}
{{- $labels := merge (dict) (include "tokenkeeper.labels" $root | fromYaml) (omit ($object.metadata.labels | default dict) "app.kubernetes.io/managed-by") -}}
{{- $_ := set $object.metadata "labels" $labels -}}
{{- toYaml $object -}}
{{- end }}

{{/* named is object with the release's name before its own, in the release's namespace where it has one. */}}
{{- define "tokenkeeper.named" -}}
{{- $root := index . 0 -}}
{{- $object := include "tokenkeeper.object" . | fromYaml -}}
{{- $_ := set $object.metadata "name" (printf "%s-%s" (include "tokenkeeper.name" $root) $object.metadata.name) -}}
{{- if $object.metadata.namespace -}}
{{- $_ := set $object.metadata "namespace" $root.Release.Namespace -}}
{{- end -}}
{{- toYaml $object -}}
{{- end }}

{{/* binding binds the manager's ServiceAccount: (list $ "ClusterRole" "the role's name without prefix" "the binding's"). */}}
{{- define "tokenkeeper.binding" -}}
{{- $root := index . 0 -}}
{{- $kind := index . 1 -}}
{{- $name := include "tokenkeeper.name" $root -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $name }}-{{ index . 3 }}
  {{- if eq $kind "Role" }}
  namespace: {{ index . 4 }}
  {{- end }}
  labels: {{- include "tokenkeeper.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $name }}-{{ index . 2 }}
subjects:
- kind: ServiceAccount
  name: {{ include "tokenkeeper.serviceAccount" $root }}
  namespace: {{ $root.Release.Namespace }}
{{- end }}

{{/* rules are those of the manager's role for what belongs to the cluster ("cluster"), or to a namespace ("namespace"). */}}
{{- define "tokenkeeper.rules" -}}
{{- $root := index . 0 -}}
{{- $of := index . 1 -}}
{{- range ($root.Files.Get "files/manager/role.yaml" | fromYaml).rules }}
{{- $rule := . }}
{{- $resources := list }}
{{- range .resources }}
{{- $isCluster := or (eq . "namespaces") (hasPrefix "clustertokenproviders" .) }}
{{- if eq $isCluster (eq $of "cluster") }}
{{- $resources = append $resources . }}
{{- end }}
{{- end }}
{{- if $resources }}
- apiGroups: {{ toJson .apiGroups }}
  resources: {{ toJson $resources }}
  {{- if has "namespaces" $resources }}
  # kube-system alone, whose UID names the cluster: the labels of namespaces are not read.
  resourceNames: [kube-system]
  verbs: [get]
  {{- else }}
  verbs: {{ toJson .verbs }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* wayOut are the flags that say what may be called, of whoever makes the calls: (list $ "the ConfigMap of authorities"). */}}
{{- define "tokenkeeper.wayOut" -}}
{{- $root := index . 0 -}}
{{- $ca := index . 1 -}}
{{- if ne $root.Values.maxReplySize "256Ki" }}
- --max-reply-size={{ $root.Values.maxReplySize }}
{{- end }}
{{- with $root.Values.egress.allowHosts }}
- {{ printf "--egress-allow-hosts=%s" (join "," .) | quote }}
{{- end }}
{{- with $root.Values.egress.allowCIDRs }}
- {{ printf "--egress-allow-cidrs=%s" (join "," .) | quote }}
{{- end }}
{{- with $root.Values.egress.denyCIDRs }}
- {{ printf "--egress-deny-cidrs=%s" (join "," .) | quote }}
{{- end }}
{{- with $root.Values.egress.allowPlainHTTP }}
- {{ printf "--egress-allow-plain-http=%s" (join "," .) | quote }}
{{- end }}
{{- if $ca }}
- --egress-ca-file=/provider-ca/{{ ternary "ca.crt" $root.Values.egress.extraCAConfigMap.key (ne $root.Values.egress.extraCA "") }}
{{- end }}
{{- end }}

{{/* courier is its container: (list $ "the ConfigMap of authorities" whether it is a native sidecar). */}}
{{- define "tokenkeeper.courier" -}}
{{- $root := index . 0 -}}
{{- $ca := index . 1 -}}
# Sends what goes to providers, and outlives the manager: an exchange goes on while its
# container is restarted.
- name: courier
  image: {{ include "tokenkeeper.image" $root }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  {{- if index . 2 }}
  restartPolicy: Always
  {{- end }}
  args:
  - courier
  - --listen=unix:/courier/socket
  - --spool-dir=/courier
  {{- include "tokenkeeper.wayOut" (list $root $ca) | nindent 2 }}
  {{- range $root.Values.extraArgs }}
  {{- if include "tokenkeeper.isOfWayOut" . }}
  - {{ . | quote }}
  {{- end }}
  {{- end }}
  {{- range $root.Values.courier.extraArgs }}
  - {{ . | quote }}
  {{- end }}
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
  resources: {{- toYaml $root.Values.courier.resources | nindent 4 }}
  env:
  - {name: GOMEMLIMIT, value: 96MiB}
  volumeMounts:
  - {name: courier, mountPath: /courier}
  {{- if $ca }}
  - {name: provider-ca, mountPath: /provider-ca, readOnly: true}
  {{- end }}
{{- end }}

{{/* image of both containers. */}}
{{- define "tokenkeeper.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* isOfWayOut is true of a flag that says what may be called, and so is for whoever makes the calls; else empty. */}}
{{- define "tokenkeeper.isOfWayOut" -}}
{{- if or (hasPrefix "--egress-" .) (hasPrefix "--max-reply-size" .) }}true{{ end -}}
{{- end }}
