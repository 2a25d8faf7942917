//go:build slurm && linux

package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/trainset"
	"stargate/nano"
	"stargate/trainer"
	"stargate/trainer/embedded"
)

// These tests run jobs on a real Slurm of one node, which they start and end. "make slurm-test"
// installs it.

// cluster starts munged, slurmctld and slurmd in a directory of their own and makes them the
// Slurm of this test's commands.
func cluster(t *testing.T) {
	t.Helper()
	for _, program := range []string{"munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s: trainer/command/testdata/install-slurm.sh installs Slurm", program)
		}
	}
	dir, err := os.MkdirTemp("", "slurm") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	for _, d := range []string{"state", "spool", "munge"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	key := make([]byte, 128)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "munge.key"), key, 0o400); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf(`ClusterName=test
SlurmctldHost=%[1]s(127.0.0.1)
SlurmctldPort=%[3]d
SlurmdPort=%[4]d
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=%[2]s/munge/socket
StateSaveLocation=%[2]s/state
SlurmdSpoolDir=%[2]s/spool
SlurmctldPidFile=%[2]s/slurmctld.pid
SlurmdPidFile=%[2]s/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
ReturnToService=2
KillWait=2
MinJobAge=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=%[1]s NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`, host, dir, port(t), port(t))
	path := filepath.Join(dir, "slurm.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLURM_CONF", path)
	m := filepath.Join(dir, "munge")
	daemon(t, dir, "munged", "--foreground", "--force", "--num-threads=2", "--key-file="+filepath.Join(dir, "munge.key"), "--socket="+filepath.Join(m, "socket"), "--pid-file="+filepath.Join(m, "pid"), "--log-file="+filepath.Join(m, "log"), "--seed-file="+filepath.Join(m, "seed"))
	until(t, dir, func() bool { _, err := os.Stat(filepath.Join(m, "socket")); return err == nil })
	controller := []string{"slurmctld", "-D", "-f", path}
	c := daemon(t, dir, controller[0], append(controller[1:], "-i")...)
	restart = func() {
		c.Process.Signal(syscall.SIGTERM) // it saves what it knows
		c.Wait()
		time.Sleep(3 * time.Second) // nobody answers meanwhile
		c = daemon(t, dir, controller[0], controller[1:]...)
	}
	daemon(t, dir, "slurmd", "-D", "-f", path, "-N", host)
	until(t, dir, func() bool {
		out, err := exec.Command("sinfo", "--noheader", "--format=%T").Output()
		return err == nil && strings.TrimSpace(string(out)) == "idle"
	})
}

func port(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// restart ends the controller of the cluster and starts it again from its saved state.
var restart func()

func daemon(t *testing.T, dir, program string, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, program+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, args...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
		log.Close()
	})
	return c
}

// until waits for a condition, and shows the daemons' logs when it does not come.
func until(t *testing.T, dir string, ok func() bool) {
	t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, program := range []string{"munged", "slurmctld", "slurmd"} {
		log, _ := os.ReadFile(filepath.Join(dir, program+".log"))
		t.Logf("%s:\n%s", program, log)
	}
	t.Fatal("Slurm did not get ready in a minute")
}

func squeue(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("squeue", append([]string{"--noheader", "--states=all"}, args...)...).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "Invalid job id") {
		t.Fatalf("squeue: %v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestSlurm(t *testing.T) {
	cluster(t)
	t.Run("a job trains", slurmTrains)
	t.Run("stargate tune in a job has the bits of the embedded engine", slurmTunes)
	t.Run("a failed job is followed by one that goes on", slurmRetries)
	t.Run("cancelling ends the job", slurmCancel)
	t.Run("a detached job goes on", slurmDetach)
	t.Run("somebody else's scancel", slurmCancelledByOthers)
	t.Run("a job that waits", slurmWaits)
	t.Run("kill -9 of the submitter", slurmKilled)
	t.Run("a job whose id was never written down", slurmLostID)
	t.Run("options that Slurm refuses", slurmRefuses)
	t.Run("a controller that goes and comes back", slurmRestarted)
}

// The built-in model is fine-tuned for real, in a job and here.
func slurmTunes(t *testing.T) {
	dir := t.TempDir()
	files, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(dir, "base")
	if err := os.CopyFS(base, files); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "stargate")
	if out, err := exec.Command("go", "build", "-o", program, "stargate/cmd/stargate").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := local.OpenText(base)
	if err != nil {
		t.Fatal(err)
	}
	var examples []lm.Example
	for i := range 40 {
		examples = append(examples, lm.Example{Key: fmt.Sprint("e", i), Loss: []int{1, 3}, Messages: lm.Chat{
			{Role: lm.User, Content: fmt.Sprintf("My name is Ada %d. Plan a party.", i)}, {Role: lm.Assistant, Content: "What do your friends like?"},
			{Role: lm.User, Content: "They like games."}, {Role: lm.Assistant, Content: "Then play some games."}}})
	}
	h := lm.PaperHyper()
	h.BatchSize, h.Epochs, h.LearningRate, h.HeldOut = 8, 2, 1e-3, 0.2
	set, err := trainset.New(text, examples, 256, h.HeldOut, h.Seed)
	if err != nil {
		t.Fatal(err)
	}
	job := func(name string) trainer.Job {
		return trainer.Job{Name: name, Base: base, Set: set, Hyper: h, Dir: filepath.Join(dir, name)}
	}
	here, err := (&embedded.Trainer{}).Train(t.Context(), job("here"))
	if err != nil {
		t.Fatal(err)
	}
	var notes []string
	j := job("there")
	j.Observe = func(p trainer.Progress) {
		if p.Note != "" {
			notes = append(notes, p.Note)
		}
	}
	there, err := train(t, t.Context(), onSlurm(Config{Template: "stargate", Options: map[string]string{"stargate": program}}), j)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(here.Log, there.Log); diff != "" {
		t.Errorf("logs differ, here -, in the job +:\n%s", diff)
	}
	if here.Digest != there.Digest {
		t.Errorf("weights differ: %s here, %s in the job", here.Digest, there.Digest)
	}
	if len(notes) == 0 || !strings.HasPrefix(notes[0], "started as Slurm job ") {
		t.Errorf("notes %q", notes)
	}
	t.Logf("%d steps, loss %.4f to %.4f, held out %.4f to %.4f; %v", len(there.Log.Steps), there.Log.Steps[0].Loss, there.Log.Steps[len(there.Log.Steps)-1].Loss, there.Log.EvalLossBase, there.Log.EvalLoss, notes)
}

func slurmCancel(t *testing.T) {
	j := jobIn(t.TempDir())
	a := interrupted(t, onSlurm(fake("silent")), j)
	if s := squeue(t, "--format=%T", "--jobs="+a.launch.ID); s != "" && s != "CANCELLED" {
		t.Errorf("the job is %s", s)
	}
	if !a.launch.Over {
		t.Error("the attempt is not over")
	}
}

func slurmCancelledByOthers(t *testing.T) {
	j := jobIn(t.TempDir())
	j.Observe = func(p trainer.Progress) {
		if p.Loss > 0 {
			a, err := lastOf(j)
			if err != nil {
				t.Error(err)
				return
			}
			if out, err := exec.Command("scancel", a.launch.ID).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
	}
	_, err := train(t, t.Context(), onSlurm(fake("silent")), j)
	var failed *AttemptError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "CANCELLED") && !strings.Contains(err.Error(), "gone from the queue") {
		t.Errorf("%v, want a cancelled attempt", err)
	}
}

func slurmWaits(t *testing.T) {
	j, c := jobIn(t.TempDir()), onSlurm(fake("train"))
	c.Slurm.Options["hold"] = ""
	c.Stall = 300 * time.Millisecond // a job that waits is silent, and not stalled
	started := ""
	j.Observe = func(p trainer.Progress) {
		if id, ok := strings.CutPrefix(p.Note, "started as Slurm job "); ok {
			started = id
			go func() {
				time.Sleep(time.Second)
				exec.Command("scontrol", "release", id).Run()
			}()
		}
	}
	if _, err := train(t, t.Context(), c, j); err != nil || started == "" {
		t.Errorf("job %q: %v", started, err)
	}
}

// The submitter was killed between sbatch's answer and writing the id down, and the job has not
// begun: only its name can find it.
func slurmLostID(t *testing.T) {
	dir := t.TempDir()
	j, c := jobIn(dir), onSlurm(fake("train"))
	c.Slurm.Options["hold"], c.Slurm.Detach = "", true
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	waiting := j
	waiting.Observe = func(trainer.Progress) { cancel() }
	if _, err := train(t, ctx, c, waiting); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	a, err := lastOf(j)
	if err != nil {
		t.Fatal(err)
	}
	id := a.launch.ID
	a.launch.ID = ""
	if err := a.record(); err != nil {
		t.Fatal(err)
	}
	before := squeue(t, "--format=%i")
	var note string
	j.Observe = func(p trainer.Progress) {
		if note == "" {
			note = p.Note
			if out, err := exec.Command("scontrol", "release", id).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}
	}
	if _, err := train(t, t.Context(), c, j); err != nil {
		t.Fatal(err)
	}
	if want := "going on with attempt 1, Slurm job " + id; note != want {
		t.Errorf("%q, want %q; the queue held %s", note, want, before)
	}
	if n := starts(t, j); n != 1 {
		t.Errorf("%d starts", n)
	}
}

func slurmRestarted(t *testing.T) {
	j := jobIn(t.TempDir())
	j.Observe = func(p trainer.Progress) {
		if p.Step == 2 {
			restart()
		}
		if p.Loss > 0 {
			appendFile(filepath.Join(j.WorkDir(), dataDir, "go"), "x")
		}
	}
	r, err := train(t, t.Context(), onSlurm(fake("slow")), j)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fiveSteps, r.Log); diff != "" || starts(t, j) != 1 {
		t.Errorf("%d starts; log, want -, got +:\n%s", starts(t, j), diff)
	}
}
