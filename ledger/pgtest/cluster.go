package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotInstalled: no Postgres server is on this machine.
var ErrNotInstalled = errors.New("Postgres is not installed (on Debian: apt-get install postgresql)")

const owner = "stargate" // the database user, a superuser without a password

// Cluster is one server and its data.
type Cluster struct {
	dir    string // data, socket and log
	bin    string
	server *os.Process
	exited chan error
	names  atomic.Int64
}

// binaries finds the newest server of Debian's packages, else the one on PATH.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	slices.Sort(found) // versions have two digits
	if n := len(found); n > 0 {
		return filepath.Dir(found[n-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", ErrNotInstalled
}

// New makes a cluster and starts its server; Close it when done. Settings are given to the
// server as they are, for example "fsync=on". Without them a machine that crashes may lose
// data (fsync is off), a server that crashes does not.
func New(settings ...string) (_ *Cluster, err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgtest") // a short path: a socket's has at most 107 bytes
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, bin: bin}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := giveAway(dir); err != nil {
		return nil, err
	}
	if out, err := c.command("initdb", "-D", c.data(), "-U", owner, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	conf, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	for _, s := range append([]string{"listen_addresses=''", "unix_socket_directories='" + dir + "'", "fsync=off", "log_min_messages=warning"}, settings...) {
		fmt.Fprintln(conf, s)
	}
	if err := conf.Close(); err != nil {
		return nil, err
	}
	return c, c.Start()
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = servant()
	return cmd
}

// Start starts the server and waits until it takes connections.
func (c *Cluster) Start() error {
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own handle
	server := c.command("postgres", "-D", c.data())
	server.Stdout, server.Stderr = log, log
	started := make(chan error)
	c.exited = make(chan error, 1)
	go func(exited chan<- error) {
		// The server ends with the thread that started it, so that has to stay.
		runtime.LockOSThread()
		err := server.Start()
		started <- err
		if err == nil {
			exited <- server.Wait()
		}
	}(c.exited)
	if err := <-started; err != nil {
		return err
	}
	c.server = server.Process
	for tries := 0; ; tries++ {
		err := c.ping()
		switch {
		case err == nil:
			return nil
		case tries == 3000:
			return fmt.Errorf("the server takes no connections: %w\n%s", err, c.log())
		}
		select {
		case ended := <-c.exited:
			c.server = nil
			return fmt.Errorf("the server ended at its start: %w\n%s", ended, c.log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *Cluster) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL("public"))
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func (c *Cluster) log() []byte {
	b, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil {
		return []byte(err.Error())
	}
	return b[max(0, len(b)-4000):]
}

// Stop ends the server as an administrator would who does not wait for clients.
func (c *Cluster) Stop() error { return c.end(syscall.SIGINT) }

// Kill ends the server's processes at once, as a crash would; Start then recovers.
func (c *Cluster) Kill() error { return c.end(syscall.SIGQUIT) }

func (c *Cluster) end(s syscall.Signal) error {
	if c.server == nil {
		return nil
	}
	if err := c.server.Signal(s); err != nil {
		return err
	}
	<-c.exited
	c.server = nil
	return nil
}

// Close ends the server and removes its data.
func (c *Cluster) Close() error {
	return errors.Join(c.end(syscall.SIGQUIT), os.RemoveAll(c.dir))
}

// URL is the address of a schema, which need not exist.
func (c *Cluster) URL(schema string) string {
	q := url.Values{"host": {c.dir}, "search_path": {schema}}
	return (&url.URL{Scheme: "postgres", User: url.User(owner), Path: "/postgres", RawQuery: q.Encode()}).String()
}

// Fresh is the address of a schema that no other call of Fresh has named.
func (c *Cluster) Fresh() string { return c.URL(fmt.Sprintf("s%d", c.names.Add(1))) }

// Exec runs statements in the schema of address, one after the other, up to the first that
// fails.
func Exec(address string, statements ...string) (err error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// Int is the number that a query gives, of one row with one column.
func Int(address, query string) (n int64, err error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	return n, conn.QueryRow(ctx, query).Scan(&n)
}
