package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// jobs starts attempts as Slurm batch jobs, through sbatch, squeue and scancel; sacct is asked
// where there is accounting. A job does not need this process: its script writes the log, the
// start and the exit status into the attempt's directory, which must be on a file system that
// the nodes share.
type jobs struct {
	settings Slurm
	patience time.Duration // with a controller that does not answer
}

func newJobs(s Slurm) *jobs { return &jobs{settings: s, patience: 5 * time.Minute} }

// settle is how long a file of another host may take to appear here.
const settle = 30 * time.Second

func (j *jobs) scheduler(name, log string) []string {
	lines := []string{"--job-name=" + name, fmt.Sprintf("--output=%q", log), "--open-mode=append", "--no-requeue"}
	for _, name := range slices.Sorted(maps.Keys(j.settings.Options)) {
		if value := j.settings.Options[name]; value != "" {
			lines = append(lines, "--"+name+"="+value)
		} else {
			lines = append(lines, "--"+name)
		}
	}
	return lines
}

func (j *jobs) poll() time.Duration { return j.settings.Poll }

// start submits the script. Whether a job exists is certain only when sbatch has answered: an
// sbatch that fails for want of an answer may have submitted, so the job is looked for by name
// before that is an error.
func (j *jobs) start(ctx context.Context, a *attempt) (string, error) {
	out, err := j.submit(ctx, a)
	if err != nil {
		id, finding := j.named(ctx, a)
		if finding == nil && id != "" {
			return id, nil
		}
		return "", fmt.Errorf("submit: %w", errors.Join(err, finding))
	}
	id, _, _ := strings.Cut(strings.TrimSpace(out), ";") // "id;cluster" with several clusters
	if id == "" {
		return "", errors.New("submit: sbatch --parsable printed no job id")
	}
	return id, nil
}

// submit runs sbatch. A cancelled context does not tear it in the middle; if this process is
// killed, sbatch goes on, and holds the attempt's lock while it does.
func (j *jobs) submit(ctx context.Context, a *attempt) (string, error) {
	lock, err := takeAlive(a)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), j.patience)
	defer cancel()
	return j.ask(ctx, []*os.File{lock}, "sbatch", "--parsable", a.path(scriptFile))
}

func (j *jobs) find(ctx context.Context, a *attempt) (string, error) {
	if a.launch.ID != "" {
		return a.launch.ID, nil
	}
	// An sbatch of the process before may still be at work: it waits for a controller that does
	// not answer, and submits when it does.
	for {
		if submitting, err := alive(a); err != nil {
			return "", err
		} else if !submitting {
			break
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
	if id, err := a.started(); id != "" || err != nil {
		return id, err
	}
	return j.named(ctx, a)
}

// named is the id of the job with the attempt's name, "" if there is none.
func (j *jobs) named(ctx context.Context, a *attempt) (string, error) {
	out, err := j.patiently(ctx, "squeue", "--noheader", "--states=all", "--format=%i", "--name="+a.launch.Name)
	if err != nil {
		return "", err
	}
	if id := first(out); id != "" {
		return id, nil
	}
	// A job that ended some minutes ago has left the queue; accounting remembers it.
	out, err = j.ask(ctx, nil, "sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID", "--name="+a.launch.Name, "--starttime=now-30days")
	if err == nil {
		return first(out), nil
	}
	return "", ctx.Err() // without accounting, the files of the attempt have said all there is
}

func first(out string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return strings.TrimSpace(line)
}

// over are the states of a job that will not run again. Slurm prints some with a reason behind.
var over = []string{"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"}

// before are those of a job that has not begun.
var before = []string{"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}

func (j *jobs) state(ctx context.Context, a *attempt) (state, error) {
	if code, ok, err := a.exit(); ok || err != nil {
		return state{ended, fmt.Sprintf("exit status %d", code)}, err
	}
	word, reason, err := j.queued(ctx, a.launch.ID)
	if err != nil {
		return state{}, err
	}
	detail := strings.TrimSpace(word + " " + reason)
	switch {
	case word == "":
		detail = j.remembered(ctx, a.launch.ID)
	case slices.Contains(before, word):
		return state{waiting, detail}, nil
	case !slices.Contains(over, word):
		return state{running, word}, nil
	}
	// The job is over. Its last files may be on their way.
	if word == "COMPLETED" || word == "" {
		for deadline := time.Now().Add(settle); time.Now().Before(deadline); {
			if code, ok, err := a.exit(); ok || err != nil {
				return state{ended, fmt.Sprintf("exit status %d", code)}, err
			}
			if err := sleep(ctx, min(j.settings.Poll, time.Second)); err != nil {
				return state{}, err
			}
		}
	}
	return state{ended, detail}, nil
}

// queued is a job's state and the reason for it; "" if the queue knows it no more.
func (j *jobs) queued(ctx context.Context, id string) (word, reason string, err error) {
	out, err := j.patiently(ctx, "squeue", "--noheader", "--states=all", "--format=%T|%r", "--jobs="+id)
	if err != nil {
		return "", "", err
	}
	word, reason, _ = strings.Cut(first(out), "|")
	if reason == "None" {
		reason = ""
	} else if reason != "" {
		reason = "(" + reason + ")"
	}
	return word, reason, nil
}

// remembered is how accounting says a job ended.
func (j *jobs) remembered(ctx context.Context, id string) string {
	out, err := j.ask(ctx, nil, "sacct", "--noheader", "--parsable2", "--allocations", "--format=State,ExitCode", "--jobs="+id)
	if err != nil || first(out) == "" {
		return "gone from the queue"
	}
	return strings.ReplaceAll(first(out), "|", ", exit code ")
}

func (j *jobs) stop(ctx context.Context, a *attempt, grace time.Duration) error {
	for _, arguments := range [][]string{{a.launch.ID}, {"--signal=KILL", "--full", a.launch.ID}} {
		word, _, err := j.queued(ctx, a.launch.ID)
		if err != nil {
			return err
		}
		if word == "" || slices.Contains(over, word) {
			return nil
		}
		if _, err := j.patiently(ctx, "scancel", arguments...); err != nil && !unknown(err) {
			return err
		}
		// Slurm itself sends SIGKILL its KillWait after SIGTERM.
		for deadline := time.Now().Add(max(grace, time.Minute)); time.Now().Before(deadline); {
			word, _, err := j.queued(ctx, a.launch.ID)
			if err != nil {
				return err
			}
			if word == "" || slices.Contains(over, word) {
				return nil
			}
			if err := sleep(ctx, min(j.settings.Poll, time.Second)); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("slurm job %s is still in the queue after scancel", a.launch.ID)
}

// patiently asks again while the controller does not answer. A job that the queue does not know
// is an empty answer.
func (j *jobs) patiently(ctx context.Context, program string, args ...string) (string, error) {
	return backoff.Retry(ctx, func() (string, error) {
		out, err := j.ask(ctx, nil, program, args...)
		switch {
		case unknown(err):
			return "", nil
		case errors.Is(err, exec.ErrNotFound):
			return "", backoff.Permanent(err)
		}
		return out, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(j.patience))
}

// unknown: the queue holds no such job (any more).
func unknown(err error) bool {
	return err != nil && strings.Contains(err.Error(), "Invalid job id")
}

// ask runs one of Slurm's commands, which inherits the files it keeps.
func (j *jobs) ask(ctx context.Context, keeps []*os.File, program string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, program, args...)
	c.ExtraFiles = keeps
	c.WaitDelay = time.Second
	out, err := c.Output()
	if err != nil {
		text := ""
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			text = ": " + strings.TrimSpace(string(exit.Stderr))
		}
		return "", fmt.Errorf("%s: %w%s", program, err, text)
	}
	return string(out), nil
}
