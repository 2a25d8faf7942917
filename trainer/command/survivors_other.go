//go:build unix && !linux

package command

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// survivors are the living processes of an attempt: those of its process group and all their
// children. A process that left the group and whose parent has ended is not found here.
func survivors(a *attempt) ([]int, error) {
	id := a.launch.ID
	if id == "" {
		var err error
		if id, err = a.started(); err != nil {
			return nil, err
		}
	}
	leader, err := strconv.Atoi(id)
	if err != nil {
		return nil, nil // never started
	}
	out, err := exec.Command("ps", "-axo", "pid=,ppid=,pgid=,stat=").Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	parent := map[int]int{}
	in := map[int]bool{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[3], "Z") {
			continue
		}
		pid, _ := strconv.Atoi(f[0])
		parent[pid], _ = strconv.Atoi(f[1])
		group, _ := strconv.Atoi(f[2])
		if group == leader && group != syscall.Getpgrp() {
			in[pid] = true
		}
	}
	for grown := true; grown; {
		grown = false
		for pid := range parent {
			if !in[pid] && in[parent[pid]] {
				in[pid], grown = true, true
			}
		}
	}
	var pids []int
	for pid := range in {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids, nil
}
