// Command hanse joins Kubernetes clusters in different clouds into one.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/hanse-dev/hanse/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}
