package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// process tells this process from all others of the machine, also from a later one with its
// number. On systems without /proc machine is "", and nobody can tell whether it lives.
type process struct {
	host    string
	machine string // host, boot and namespace of process numbers
	pid     int
	born    int64 // clock ticks after boot
}

func thisProcess() process {
	p := process{pid: os.Getpid()}
	p.host, _ = os.Hostname() // for people; without it they have the number
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return p
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return p
	}
	born, ok := bornAt(p.pid)
	if !ok {
		return p
	}
	p.machine, p.born = p.host+" "+string(bytes.TrimSpace(boot))+" "+space, born
	return p
}

// bornAt is when the process with this number started, if there is one.
func bornAt(pid int) (int64, bool) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false
	}
	// The second field is the program's name in parentheses and may hold anything; the time
	// is field 22 (proc_pid_stat(5)).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || string(fields[0]) == "Z" || string(fields[0]) == "X" {
		return 0, false
	}
	born, err := strconv.ParseInt(string(fields[19]), 10, 64)
	return born, err == nil
}
