package simserver

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Main is the command line: it listens, writes the address to out, and serves until ctx ends.
// The command beside this package and tests that want a server in another process call it.
func Main(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("simserver", flag.ContinueOnError)
	address := flags.String("address", "127.0.0.1:8000", "where to listen; port 0 takes a free one")
	o := Options{Hardware: Usual(), Lengths: Lengths{Median: 60, Sigma: 0.6}, Network: Lengths{Median: 3, Sigma: 0.7}}
	o.Flags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := New(o)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if _, err := fmt.Fprintf(out, "listening on http://%s\n", listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
