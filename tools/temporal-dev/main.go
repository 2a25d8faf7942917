// Temporal-dev is one Temporal server with its web UI in one process, for development and
// tests of runs on a cluster. Its state is a SQLite file, or two databases of a Postgres
// server. It is no server for production: use Temporal's own images or Temporal Cloud there.
//
// It is a module of its own, because it takes many minutes to compile.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// options are the command's flags.
type options struct {
	ip         string
	port       int
	uiPort     int
	uiOff      bool
	db         string
	shards     int
	namespaces []string
	attributes []attribute
	logLevel   string
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("temporal-dev", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprint(f.Output(), "temporal-dev runs a Temporal server with its web UI, for development and tests.\n\n")
		f.PrintDefaults()
	}
	f.StringVar(&o.ip, "ip", "127.0.0.1", "address to listen on; 0.0.0.0 for all")
	f.IntVar(&o.port, "port", 7233, "port of the server (gRPC); 0 for a free one")
	f.IntVar(&o.uiPort, "ui-port", 8233, "port of the web UI; 0 for a free one")
	f.BoolVar(&o.uiOff, "no-ui", false, "leave the web UI out")
	f.StringVar(&o.db, "db", "", "`file` of a SQLite database, or postgres://USER@HOST/DATABASE, which needs the right to make DATABASE and DATABASE_visibility; both are made if they are not there (default: nothing is kept)")
	f.IntVar(&o.shards, "history-shards", 4, "history shards of a new Postgres database; SQLite has 1")
	namespaces := f.String("namespace", "default", "namespaces to make, separated by commas")
	attributes := f.String("search-attribute", "", "search attributes to make in them, as `NAME=TYPE,…` with TYPE Bool, Datetime, Double, Int, Keyword, KeywordList or Text")
	f.StringVar(&o.logLevel, "log-level", "warn", "what the server tells on standard error: debug, info, warn or error")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.db != "" && !isPostgres(o.db) {
		if info, err := os.Stat(filepath.Dir(o.db)); err != nil || !info.IsDir() {
			return o, fmt.Errorf("--db: %s is not a folder", filepath.Dir(o.db))
		}
	}
	if o.shards < 1 {
		return o, fmt.Errorf("--history-shards: want 1 or more, not %d", o.shards)
	}
	o.namespaces = strings.Split(*namespaces, ",")
	var err error
	o.attributes, err = parseAttributes(*attributes)
	return o, err
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(ctx, o)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "temporal-dev:", err)
		stop()
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, o options) (err error) {
	s, err := newServer(o)
	if err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err := s.register(ctx, o.namespaces, o.attributes); err != nil {
		return err
	}
	var ended <-chan struct{}
	if !o.uiOff {
		u, err := startUI(o.ip, o.uiPort, s.address, o.namespaces[0])
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, u.Close()) }()
		ended = u.ended
		fmt.Printf("ui http://%s\n", u.address)
	}
	fmt.Printf("database %s\nready %s\n", s.database, s.address) // the last line: whoever waits for it finds all the rest
	select {
	case <-ctx.Done():
		return nil
	case <-ended:
		return errors.New("the UI ended by itself")
	}
}
