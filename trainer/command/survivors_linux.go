package command

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// survivors are the living processes of an attempt: those that carry its mark in their
// environment, wherever they have moved, those of their process groups, and all children of
// these.
func survivors(a *attempt) ([]int, error) {
	all, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	mark := []byte(marker + "=" + a.Dir + "\x00")
	parent, group := map[int]int{}, map[int]int{}
	in := map[int]bool{}
	groups := map[int]bool{}
	id := a.launch.ID
	if id == "" {
		if id, err = a.started(); err != nil {
			return nil, err
		}
	}
	leader, _ := strconv.Atoi(id)
	for _, e := range all {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// "pid (name) state ppid pgrp …", where the name may hold anything.
		rest := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(rest) < 3 || rest[0] == "Z" || rest[0] == "X" {
			continue
		}
		parent[pid], _ = strconv.Atoi(rest[1])
		group[pid], _ = strconv.Atoi(rest[2])
		environ, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil && !gone(err) && !errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		// The script itself marks what it starts; it is known by its argument until then.
		if bytes.Contains(append(environ, 0), mark) || pid == leader && runs(pid, a.path(scriptFile)) {
			in[pid], groups[group[pid]] = true, true
		}
	}
	for grown := true; grown; {
		grown = false
		for pid := range parent {
			if !in[pid] && (in[parent[pid]] || groups[group[pid]]) && group[pid] != syscall.Getpgrp() {
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

// runs tells whether a process was started with an argument.
func runs(pid int, argument string) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && slices.Contains(strings.Split(string(line), "\x00"), argument)
}

// gone: the process ended while it was looked at.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}
