// Command simserver runs the simulated model server, for trying clients out by hand:
//
//	go run ./internal/simserver/cmd -address 127.0.0.1:8000 -scale 10 -cut 0.05
//	curl -s 127.0.0.1:8000/report
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"

	"stargate/internal/simserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "simserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("simserver", flag.ContinueOnError)
	address := flags.String("address", "127.0.0.1:8000", "where to listen; port 0 takes a free one")
	o := simserver.Options{Hardware: simserver.Usual(), Lengths: simserver.Lengths{Median: 60, Sigma: 0.6}, Network: simserver.Lengths{Median: 2, Sigma: 0.5}}
	o.Flags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := simserver.New(o)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	server := &http.Server{Handler: s}
	stopped := context.AfterFunc(ctx, func() { server.Close() })
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
