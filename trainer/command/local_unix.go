//go:build unix

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// processes starts attempts on this machine, each in a session of its own.
//
// The attempt and everything it starts inherit a descriptor of a locked file. So the lock says
// whether anything of it is alive, to this process and to the next one, without a moment in
// which a program runs that nobody knows of.
type processes struct {
	mu   sync.Mutex
	died map[string]string // how an attempt of this process ended, by directory
	wait sync.WaitGroup    // for the goroutines that reap
}

func newProcesses() (launcher, error) { return &processes{died: map[string]string{}}, nil }

func (p *processes) start(_ context.Context, a *attempt) (id string, err error) {
	lock, err := takeAlive(a)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	log, err := os.OpenFile(a.path(logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return "", err
	}
	defer log.Close()
	c := exec.Command("/bin/sh", a.path(scriptFile)) // not of ctx: it is ended by stop, gently
	c.Stdout, c.Stderr = log, log
	c.ExtraFiles = []*os.File{lock}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return "", err
	}
	p.wait.Go(func() {
		err := c.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.died[a.Dir] = "exit status 0"
		if err != nil {
			p.died[a.Dir] = err.Error()
		}
	})
	return strconv.Itoa(c.Process.Pid), nil
}

func (p *processes) find(ctx context.Context, a *attempt) (string, error) {
	if a.launch.ID != "" {
		return a.launch.ID, nil
	}
	// Killed between the start and writing down the id: the script writes its own.
	for range 50 {
		id, err := a.started()
		if id != "" || err != nil {
			return id, err
		}
		if living, err := alive(a); !living || err != nil {
			return "", err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("something holds %s, but the attempt never wrote down its process: end it by hand", a.path(aliveFile))
}

func (p *processes) state(_ context.Context, a *attempt) (state, error) {
	// A status that is written down ends an attempt, even if the program left something behind.
	if _, ok, err := a.exit(); ok || err != nil {
		return state{ended, p.detail(a)}, err
	}
	living, err := alive(a)
	if err != nil {
		return state{}, err
	}
	if living {
		return state{running, ""}, nil
	}
	return state{ended, p.detail(a)}, nil
}

func (p *processes) detail(a *attempt) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.died[a.Dir]
}

func (p *processes) stop(ctx context.Context, a *attempt, grace time.Duration) error {
	for _, s := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, grace}, {syscall.SIGKILL, max(grace, 10*time.Second)}} {
		deadline := time.Now().Add(s.wait)
		var told []int
		for {
			pids, err := survivors(a)
			if err != nil {
				return err
			}
			if len(pids) == 0 {
				p.wait.Wait()
				return nil
			}
			for _, pid := range pids {
				// SIGTERM once each, SIGKILL as often as something new appears.
				if s.signal == syscall.SIGTERM && slices.Contains(told, pid) {
					continue
				}
				told = append(told, pid)
				if err := syscall.Kill(pid, s.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
					return fmt.Errorf("end process %d of the attempt: %w", pid, err)
				}
			}
			if time.Now().After(deadline) {
				break
			}
			if err := sleep(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("processes of the attempt in %s are left after SIGKILL", a.Dir)
}

func (p *processes) scheduler(name, log string) []string { return nil }

func (p *processes) poll() time.Duration { return 100 * time.Millisecond }
