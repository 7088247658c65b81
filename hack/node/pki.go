// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// validity of certificates: longer than any node lives.
const validity = 365 * 24 * time.Hour

// identity is who a certificate is for: a common name and a group, which Kubernetes takes
// for user and group (https://kubernetes.io/docs/setup/best-practices/certificates/).
type identity struct{ file, name, group string }

var clients = []identity{
	{admin, "kubernetes-admin", "system:masters"},
	{"controller-manager", "system:kube-controller-manager", ""},
	{"scheduler", "system:kube-scheduler", ""},
	{"kubelet", "system:node:" + nodeName, "system:nodes"},
	{"apiserver-to-kubelet", "kube-apiserver-kubelet-client", "system:masters"},
}

// writePKI writes an authority, what it has signed, the key of service accounts, and a
// kubeconfig for each client.
func writePKI() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	authority := template("tokenkeeper-node", "")
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	if err := write("ca", authority, authority, key, key); err != nil {
		return err
	}
	server := template("kube-apiserver", "")
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	server.IPAddresses = []net.IP{net.ParseIP("127.0.0.1"), net.ParseIP(nodeAddress), net.ParseIP(serviceAddress)}
	err = errors.Join(sign("apiserver", server, authority, key), sign("service-accounts", template("service-accounts", ""), authority, key))
	for _, each := range clients {
		client := template(each.name, each.group)
		client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		err = errors.Join(err, sign(each.file, client, authority, key), writeKubeconfig(each.file))
	}
	return err
}

func template(name, group string) *x509.Certificate {
	made := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if group != "" {
		made.Subject.Organization = []string{group}
	}
	return made
}

// sign makes a key and has the authority sign for it.
func sign(file string, wanted, authority *x509.Certificate, authorityKey *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return write(file, wanted, authority, key, authorityKey)
}

func write(file string, wanted, authority *x509.Certificate, key, authorityKey *ecdsa.PrivateKey) error {
	certificate, err := x509.CreateCertificate(rand.Reader, wanted, authority, &key.PublicKey, authorityKey)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certificateOf(file), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o600),
		os.WriteFile(keyOf(file), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600),
	)
}

// writeKubeconfig writes one that holds its certificates, so that it can be copied.
func writeKubeconfig(who string) error {
	parts := [3][]byte{}
	for i, file := range []string{certificateOf("ca"), certificateOf(who), keyOf(who)} {
		var err error
		if parts[i], err = os.ReadFile(file); err != nil {
			return err
		}
	}
	return clientcmd.WriteToFile(api.Config{
		CurrentContext: nodeName,
		Contexts:       map[string]*api.Context{nodeName: {Cluster: nodeName, AuthInfo: who}},
		Clusters:       map[string]*api.Cluster{nodeName: {Server: "https://" + nodeAddress + ":443", CertificateAuthorityData: parts[0]}},
		AuthInfos:      map[string]*api.AuthInfo{who: {ClientCertificateData: parts[1], ClientKeyData: parts[2]}},
	}, kubeconfigOf(who))
}
