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
	"os"
	"os/signal"

	"stargate/internal/simserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := simserver.Main(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "simserver:", err)
		os.Exit(1)
	}
}
