package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be the program: scripts call it as "stargate".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stargate": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: scriptCommands,
		Setup: func(e *testscript.Env) error {
			tiny, err := os.ReadFile("testdata/tiny.yaml")
			if err != nil {
				return err
			}
			return os.WriteFile(e.WorkDir+"/tiny.yaml", tiny, 0o644)
		},
	})
}
