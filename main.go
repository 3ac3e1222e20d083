// Command hanse joins Kubernetes clusters in different clouds into one.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli"
	"github.com/hanse-dev/hanse/internal/cli/serve"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	program := cli.Program{
		IOStreams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Clock:     clock.RealClock{},
		Server:    serve.NewServerCommand,
		RunLocal:  serve.NewLocalRunCommand,
		Kubectl:   serve.Kubectl,
	}
	code := program.Main(ctx, os.Args)
	stop()
	os.Exit(code)
}
