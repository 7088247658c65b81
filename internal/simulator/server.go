// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// hosts are the names that the providers are called by in the demo and the
// tests. Any other name leads to the same simulator.
var hosts = []string{"mcs.mediatek.com", XiaomiHost, DemoShopHost, DemoAuthHost}

// Hosts are the names to send to the simulator: those of MCS and Xiaomi, and
// those of the demo's Oracle Commerce shop and OAuth server.
func Hosts() []string { return slices.Clone(hosts) }

// Server is a simulator that listens, with TLS, for HTTP/1.1 and HTTP/2.
type Server struct {
	listener  net.Listener
	server    *http.Server
	authority *authority
	end       context.CancelFunc

	mu      sync.Mutex // guards closed, and with it the start of calls
	closed  bool
	running sync.WaitGroup
}

// Start listens on a TCP address; "" is a free port of 127.0.0.1. The server
// runs until Close. Further servers of one simulator have the same CA, so one
// that was closed can come back at its address.
func (s *Simulator) Start(address string) (*Server, error) {
	authority, err := s.authority()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cmp.Or(address, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("the simulator cannot listen: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	server := &Server{listener: listener, authority: authority, end: end}
	server.server = &http.Server{
		Handler:           server.counted(s),
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{GetCertificate: authority.certificateFor, MinVersion: tls.VersionTLS12},
		ErrorLog:          log.New(io.Discard, "", 0), // clients that reset, mostly
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withConnection,
	}
	server.running.Go(func() {
		if err := server.server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			_ = listener.Close()
		}
	})
	return server, nil
}

// counted lets Close wait for the calls in flight, and starts none after it.
func (s *Server) counted(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		s.running.Add(1)
		s.mu.Unlock()
		defer s.running.Done()
		handler.ServeHTTP(w, r)
	})
}

// withConnection lets a fault reset the connection of a request.
func withConnection(ctx context.Context, connection net.Conn) context.Context {
	if secure, ok := connection.(*tls.Conn); ok {
		connection = secure.NetConn()
	}
	return context.WithValue(ctx, connectionKey{}, connection)
}

// Addr is the address that the server listens on, such as 127.0.0.1:8443.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL is the address as https://127.0.0.1:8443. Its certificate is good for the
// address too.
func (s *Server) URL() string { return "https://" + s.Addr() }

// CAPEM is the certificate, in PEM, of the authority that signs for every name.
func (s *Server) CAPEM() []byte { return slices.Clone(s.authority.pem) }

// Resolve lists HOST:443=ADDRESS for each host, or for Hosts() if none is given,
// as --egress-resolve takes it.
func (s *Server) Resolve(names ...string) []string {
	if len(names) == 0 {
		names = hosts
	}
	resolve := make([]string, 0, len(names))
	for _, name := range names {
		resolve = append(resolve, name+":443="+s.Addr())
	}
	return resolve
}

// Close ends every call, delayed ones too, every connection and the listener,
// and returns once nothing of it runs any more.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	err := s.server.Close()
	s.running.Wait()
	return err
}
