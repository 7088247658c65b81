// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package consumers

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// mcpServer is one of the protocol's Go library, which takes the token alone; it has the
// tool "greet".
func mcpServer(t *testing.T) string {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "tools", Version: "v1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "greet", Description: "Says hello."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "hello"}}}, nil, nil
		})
	takes := auth.RequireBearerToken(func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		if token != aToken {
			return nil, auth.ErrInvalidToken
		}
		return &auth.TokenInfo{UserID: "someone", Expiration: time.Now().Add(time.Hour)}, nil
	}, nil)
	return guarded(t, "Bearer "+aToken, "Bearer", takes(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil)))
}

// withHeaders sends what the file says.
type withHeaders map[string]string

func (h withHeaders) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range h {
		r.Header.Set(name, value)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestAClientOfMCPConnects(t *testing.T) {
	t.Parallel()
	var file struct {
		Servers map[string]struct {
			Type, URL string
			Headers   withHeaders
		} `json:"mcpServers"`
	}
	must(t, json.Unmarshal(at(sample(t, "mcp").Data, "https://mcp.example.com", mcpServer(t))["mcp.json"], &file))
	tools := file.Servers["tools"]
	if tools.Type != "http" {
		t.Fatalf("the type is %q", tools.Type)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "v1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: tools.URL, HTTPClient: &http.Client{Transport: tools.Headers}}, nil)
	must(t, err)
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "greet"})
	must(t, err)
	if said, ok := result.Content[0].(*mcp.TextContent); !ok || said.Text != "hello" {
		t.Errorf("the tool says %v", result.Content)
	}
	must(t, session.Close())
}

// TestTheInspectorReadsTheFile has MCP's own inspector read the file and list the tools.
func TestTheInspectorReadsTheFile(t *testing.T) {
	t.Parallel()
	tool(t, "node")
	program, err := filepath.Abs("inspector/node_modules/@modelcontextprotocol/inspector/clients/cli/build/index.js")
	must(t, err)
	if _, err := os.Stat(program); err != nil {
		t.Skip("MCP's inspector is not fetched, so it is not tried: run `make npm-programs`")
	}
	folder := mounted(t, at(sample(t, "mcp").Data, "https://mcp.example.com", mcpServer(t)))
	if printed := runs(t, nil, "node", program, "--config", filepath.Join(folder, "mcp.json"), "--server", "tools", "--method", "tools/list"); !strings.Contains(printed, "Says hello.") {
		t.Errorf("it prints %s", printed)
	}
}
