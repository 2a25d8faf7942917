//go:build linux

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stargate/trainer"
)

// These tests run against a double of Slurm's commands; slurm_cluster_test.go runs the same
// stories on a real one.

func init() {
	for _, program := range []string{"sbatch", "squeue", "scancel", "sacct"} {
		doubleOf[program] = fakeSlurm
	}
}

// fakeSlurm is sbatch, squeue, scancel or sacct: the test binary under that name. Its memory is
// a directory: a file for each job, with the job's name and process, and files that make it
// misbehave.
func fakeSlurm(program string, args []string) int {
	dir := os.Getenv("FAKE_SLURM")
	if misbehaves(filepath.Join(dir, program+".fails")) {
		fmt.Fprintf(os.Stderr, "%s: error: Unable to contact slurm controller (connect failure)\n", program)
		return 1
	}
	flag := func(name string) string {
		for _, a := range args {
			if v, ok := strings.CutPrefix(a, name+"="); ok {
				return v
			}
		}
		return ""
	}
	switch program {
	case "sbatch":
		script := args[len(args)-1]
		text, err := os.ReadFile(script)
		if err != nil {
			return 1
		}
		option := func(name string) string {
			m := regexp.MustCompile(`(?m)^#SBATCH --` + name + `=(.*)$`).FindSubmatch(text)
			if m == nil {
				return ""
			}
			v, err := strconv.Unquote(string(m[1]))
			if err != nil {
				v = string(m[1])
			}
			return v
		}
		if option("partition") == "no-such" {
			fmt.Fprintln(os.Stderr, "sbatch: error: invalid partition specified: no-such")
			return 1
		}
		jobs, _ := filepath.Glob(filepath.Join(dir, "job-*"))
		id := strconv.Itoa(100 + len(jobs))
		log, err := os.Create(option("output"))
		if err != nil {
			return 1
		}
		c := exec.Command("/bin/sh", script)
		c.Env = append(os.Environ(), "SLURM_JOB_ID="+id)
		c.Stdout, c.Stderr = log, log
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := c.Start(); err != nil {
			return 1
		}
		os.WriteFile(filepath.Join(dir, "job-"+id), fmt.Appendf(nil, "%s %d", option("job-name"), c.Process.Pid), 0o644)
		if misbehaves(filepath.Join(dir, "sbatch.silent")) {
			fmt.Fprintln(os.Stderr, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
			return 1
		}
		fmt.Println(id + ";cluster")
	case "squeue":
		jobs, _ := filepath.Glob(filepath.Join(dir, "job-*"))
		known := false
		for _, path := range jobs {
			data, _ := os.ReadFile(path)
			var name string
			var pid int
			fmt.Sscan(string(data), &name, &pid)
			id := strings.TrimPrefix(filepath.Base(path), "job-")
			if flag("--name") == name {
				fmt.Println(id)
			}
			if flag("--jobs") == id && runs(pid, "/bin/sh") {
				known = true
				fmt.Println("RUNNING|None")
			}
		}
		if flag("--jobs") != "" && !known {
			fmt.Fprintln(os.Stderr, "slurm_load_jobs error: Invalid job id specified")
			return 1
		}
	case "scancel":
		data, err := os.ReadFile(filepath.Join(dir, "job-"+args[len(args)-1]))
		if err != nil {
			fmt.Fprintln(os.Stderr, "scancel: error: Kill job error on job id: Invalid job id specified")
			return 1
		}
		_, pid, _ := strings.Cut(string(data), " ")
		n, _ := strconv.Atoi(pid)
		syscall.Kill(-n, syscall.SIGKILL)
	case "sacct":
		fmt.Fprintln(os.Stderr, "Slurm accounting storage is disabled")
		return 1
	}
	return 0
}

// misbehaves tells whether a file of this name holds a number above 0, and counts it down.
func misbehaves(path string) bool {
	data, err := os.ReadFile(path)
	n, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || n < 1 {
		return false
	}
	os.WriteFile(path, []byte(strconv.Itoa(n-1)), 0o644)
	return true
}

// doubles puts the double's commands in front of all others, and returns its directory.
func doubles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sbatch", "squeue", "scancel", "sacct"} {
		if err := os.Symlink(program, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("FAKE_SLURM", dir)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return dir
}

func onSlurm(c Config) Config {
	c.Slurm = &Slurm{Options: map[string]string{"ntasks": "1"}, Poll: 100 * time.Millisecond}
	return c
}

func TestSlurmDouble(t *testing.T) {
	doubles(t)
	t.Run("a job trains", slurmTrains)
	t.Run("a failed job is followed by one that goes on", slurmRetries)
	t.Run("a detached job goes on", slurmDetach)
	t.Run("kill -9 of the submitter", slurmKilled)
	t.Run("options that Slurm refuses", slurmRefuses)
	t.Run("cancelling ends the job", func(t *testing.T) {
		if a := interrupted(t, onSlurm(fake("silent")), jobIn(t.TempDir())); !a.launch.Over {
			t.Error("the attempt is not over")
		}
	})
}

// A controller that is away, at the beginning and in between, is waited for.
func TestSlurmController(t *testing.T) {
	dir := doubles(t)
	j := jobIn(t.TempDir())
	j.Observe = func(p trainer.Progress) {
		if p.Step == 2 {
			os.WriteFile(filepath.Join(dir, "squeue.fails"), []byte("2"), 0o644)
		}
		if p.Loss > 0 {
			appendFile(filepath.Join(j.WorkDir(), dataDir, "go"), "x")
		}
	}
	if _, err := train(t, t.Context(), onSlurm(fake("slow")), j); err != nil {
		t.Fatal(err)
	}
}

// sbatch says that it failed, but the job is there: it is found, not submitted again.
func TestSlurmSilentSubmission(t *testing.T) {
	dir := doubles(t)
	os.WriteFile(filepath.Join(dir, "sbatch.silent"), []byte("1"), 0o644)
	j := jobIn(t.TempDir())
	if _, err := train(t, t.Context(), onSlurm(fake("train")), j); err != nil {
		t.Fatal(err)
	}
	if n := starts(t, j); n != 1 {
		t.Errorf("%d starts", n)
	}
}

// The id was not written down, and neither did the job begin: only its name finds it.
func TestSlurmLostID(t *testing.T) {
	doubles(t)
	j, c := jobIn(t.TempDir()), onSlurm(fake("slow"))
	c.Slurm.Detach = true
	a := interrupted(t, c, j)
	a.launch.ID = ""
	if err := errors.Join(a.record(), os.Remove(a.path(startedFile))); err != nil {
		t.Fatal(err)
	}
	appendFile(filepath.Join(j.WorkDir(), dataDir, "go"), "xxxxx")
	if _, err := train(t, t.Context(), c, j); err != nil {
		t.Fatal(err)
	}
	if n := starts(t, j); n != 1 {
		t.Errorf("%d starts", n)
	}
}

func slurmTrains(t *testing.T) {
	j := jobIn(t.TempDir())
	r, err := train(t, t.Context(), onSlurm(fake("train")), j)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fiveSteps, r.Log); diff != "" {
		t.Errorf("log, want -, got +:\n%s", diff)
	}
}

func slurmRetries(t *testing.T) {
	j, c := jobIn(t.TempDir()), onSlurm(fake("fail"))
	c.Retries = 1
	r, err := train(t, t.Context(), c, j)
	if err != nil {
		t.Fatal(err)
	}
	if n := starts(t, j); n != 2 {
		t.Errorf("%d starts", n)
	}
	if diff := cmp.Diff(fiveSteps, r.Log); diff != "" {
		t.Errorf("log, want -, got +:\n%s", diff)
	}
}

// interrupted trains until the first loss comes, and then cancels.
func interrupted(t *testing.T, c Config, j trainer.Job) *attempt {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	j.Observe = func(p trainer.Progress) {
		if p.Loss > 0 {
			cancel()
		}
	}
	if _, err := train(t, ctx, c, j); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v, want the context's error", err)
	}
	a, err := lastOf(j)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func slurmDetach(t *testing.T) {
	j, c := jobIn(t.TempDir()), onSlurm(fake("slow"))
	c.Slurm.Detach = true
	a := interrupted(t, c, j)
	if out, err := exec.Command("squeue", "--noheader", "--states=all", "--format=%T|%r", "--jobs="+a.launch.ID).Output(); err != nil || !strings.HasPrefix(string(out), "RUNNING") {
		t.Errorf("the job is %s, %v", out, err)
	}
	appendFile(filepath.Join(j.WorkDir(), dataDir, "go"), "xxxxx")
	r, err := train(t, t.Context(), c, j)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fiveSteps, r.Log); diff != "" || starts(t, j) != 1 {
		t.Errorf("%d starts; log, want -, got +:\n%s", starts(t, j), diff)
	}
}

func slurmKilled(t *testing.T) {
	dir := t.TempDir()
	j, c := jobIn(dir), onSlurm(fake("slow"))
	killed(t, dir, c)
	j.Observe = func(p trainer.Progress) {
		if p.Loss > 0 {
			appendFile(filepath.Join(j.WorkDir(), dataDir, "go"), "x")
		}
	}
	r, err := train(t, t.Context(), c, j)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fiveSteps, r.Log); diff != "" || starts(t, j) != 1 {
		t.Errorf("%d starts; log, want -, got +:\n%s", starts(t, j), diff)
	}
}

func slurmRefuses(t *testing.T) {
	j, c := jobIn(t.TempDir()), onSlurm(fake("train"))
	c.Slurm.Options["partition"] = "no-such"
	if _, err := train(t, t.Context(), c, j); err == nil || !strings.Contains(err.Error(), "invalid partition") {
		t.Errorf("%v, want sbatch's reason", err)
	}
}
