package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// The manifests in deploy call commands with flags that these have.
func TestDeployedCommands(t *testing.T) {
	commands := map[string]*cobra.Command{"worker": workerCommand(), "run": runCommand()}
	invocation := regexp.MustCompile(`(?m)^\s*(command: \[|args: \[|ExecStart=/usr/local/bin/stargate |STARGATE_WORKER_FLAGS=)(.*)$`)
	word := regexp.MustCompile(`--[a-z-]+|[a-z-]+`)
	found := 0
	err := filepath.WalkDir("../../deploy", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range invocation.FindAllStringSubmatch(string(text), -1) {
			words := word.FindAllString(m[2], -1)
			if m[1] == "STARGATE_WORKER_FLAGS=" {
				words = append([]string{"worker"}, words...)
			}
			c, ok := commands[words[0]]
			if !ok {
				continue // another program's
			}
			found++
			for _, w := range words[1:] {
				if name, ok := strings.CutPrefix(w, "--"); ok && c.Flags().Lookup(name) == nil {
					t.Errorf("%s: stargate %s has no flag --%s", path, words[0], name)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found != 8 {
		t.Errorf("%d invocations found, want 8", found)
	}
}
