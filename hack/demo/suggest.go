// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// suggestion is a command to type in another terminal, and what becomes of it.
type suggestion struct{ command, comes string }

// looks are commands that show something.
func looks() []suggestion {
	return []suggestion{
		{"kubectl get tokencred", "what an admin sees"},
		{"kubectl describe tokencred xiaomi", "what the operator says"},
		{"kubectl get secret xiaomi-mac-token -o yaml", "what a pod would mount"},
	}
}

// breaks are commands that break something.
func breaks(operator int) []suggestion {
	return []suggestion{
		{"kubectl delete secret xiaomi-mac-token", "it comes back, nobody is called"},
		{"kubectl delete secret xiaomi-app", "Ready until the token expires"},
		{`kubectl patch tokencred mcs --type merge -p '{"spec":{"suspend":true}}'`, ""},
		{fmt.Sprintf("kill -9 %d", operator), "the operator: it comes back, and what was kept is said"},
	}
}

// environment are the commands after which a terminal reaches the demo's cluster.
func (s scene) environment() []string {
	return []string{"export KUBECONFIG=" + s.kubeconfig, "export PATH=" + s.tools + ":$PATH"}
}

// aligned are suggestions as lines, with what becomes of each in a column of its own, or
// below where there is no room.
func aligned(suggestions []suggestion, width int) []string {
	var lines []string
	for _, s := range suggestions {
		line := strings.TrimRight(fmt.Sprintf("%-44s  %s", s.command, s.comes), " ")
		if len(line) > width && s.comes != "" {
			lines = append(lines, s.command)
			line = strings.Repeat(" ", 16) + s.comes
		}
		lines = append(lines, line)
	}
	return lines
}

// continued breaks a command that is too wide as a shell takes it: copied, it is still one
// word.
func continued(command string, width int) []string {
	var lines []string
	for len(command) > width && width > 1 {
		lines = append(lines, command[:width-1]+`\`)
		command = command[width-1:]
	}
	return append(lines, command)
}
