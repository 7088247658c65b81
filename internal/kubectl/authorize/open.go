// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package authorize

import (
	"os/exec"
	"runtime"
)

// OpenBrowser shows a page to the person at this machine.
func OpenBrowser(page string) error {
	opener := []string{"xdg-open"}
	switch runtime.GOOS {
	case "darwin":
		opener = []string{"open"}
	case "windows":
		opener = []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	command := exec.Command(opener[0], append(opener[1:], page)...) //nolint:gosec,noctx // no shell reads the page, an https URL; and it outlives us
	if err := command.Start(); err != nil {
		return err
	}
	go func() { _ = command.Wait() }() // how it ends, nobody can say
	return nil
}
