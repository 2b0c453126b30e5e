// The official Go SDK's client as a program: client URL HEADERS [REVISION]. It reads and prints what python_client.py does.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type words map[string]any

func say(w words) { _ = json.NewEncoder(os.Stdout).Encode(w) }

type withHeaders map[string]string

func (h withHeaders) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range h {
		r.Header.Set(name, value)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func answer(s *mcp.ClientSession, line string) words {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if line == "tools" {
		listed, err := s.ListTools(ctx, nil)
		if err != nil {
			return words{"failed": err.Error()}
		}
		names := []string{}
		for _, tool := range listed.Tools {
			names = append(names, tool.Name)
		}
		return words{"tools": names}
	}
	arguments := map[string]any{"text": strings.TrimPrefix(line, "call ")}
	result, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "echo", Arguments: arguments})
	if err != nil {
		return words{"failed": err.Error()}
	}
	text := ""
	for _, block := range result.Content {
		if t, ok := block.(*mcp.TextContent); ok {
			text += t.Text
		}
	}
	return words{"text": text, "error": result.IsError}
}

func main() {
	headers := withHeaders{}
	if err := json.Unmarshal([]byte(os.Args[2]), &headers); err != nil {
		panic(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) {}, // else it opens no stream
	})
	var options *mcp.ClientSessionOptions
	if len(os.Args) > 3 {
		options = &mcp.ClientSessionOptions{ProtocolVersion: os.Args[3]}
	}
	transport := &mcp.StreamableClientTransport{Endpoint: os.Args[1], HTTPClient: &http.Client{Transport: headers}}
	session, err := client.Connect(context.Background(), transport, options)
	if err != nil {
		say(words{"failed": err.Error()})
		os.Exit(1)
	}
	say(words{"connected": true})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() && lines.Text() != "" && lines.Text() != "quit" {
		say(answer(session, lines.Text()))
	}
	_ = session.Close()
}
