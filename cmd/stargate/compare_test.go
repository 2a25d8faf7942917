package main

import (
	"encoding/csv"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCommands are what scripts can do besides running the program.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"cut":       cutScript,
	"gate":      gateScript,
	"fill":      fillScript,
	"freeport":  freePortScript,
	"firstline": firstLineScript,
}

// firstLineScript is "firstline VARIABLE": that of the last command's output.
func firstLineScript(ts *testscript.TestScript, _ bool, args []string) {
	line, _, _ := strings.Cut(ts.ReadFile("stdout"), "\n")
	ts.Setenv(args[0], line)
}

// freePortScript is "freeport VARIABLE": a port that nobody listens on.
func freePortScript(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	ts.Check(l.Close())
}

// gateScript is "gate CODE ARGS…": runs stargate gate and wants an exit code.
func gateScript(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("stargate", append([]string{"gate"}, args[1:]...)...)
	got := 0
	if exit, ok := err.(*exec.ExitError); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("stargate gate %s ends with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// fillScript is "fill SHEET ANSWERS VERDICT": a rater with one answer for everything.
func fillScript(ts *testscript.TestScript, _ bool, args []string) {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(ts.ReadFile(args[0]), "\ufeff"))).ReadAll()
	ts.Check(err)
	for _, row := range rows[1:] {
		row[7] = args[2]
	}
	f, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	ts.Check(csv.NewWriter(f).WriteAll(rows))
	ts.Check(f.Close())
}
