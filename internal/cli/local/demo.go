package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/demo"
)

// demoWatch is how often a demo in the foreground looks whether its hub still
// runs.
const demoWatch = time.Second

// NewDemoCommand is hanse demo.
func NewDemoCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var dir string
	cmd, up := newDemoUpCommand(s, now, &dir), newDemoUpCommand(s, now, &dir)
	up.Use, up.Example, up.Args = "up", "", cobra.NoArgs
	cmd.AddCommand(up, newDemoDownCommand(s, now, &dir))
	cmd.PersistentFlags().StringVar(&dir, "dir", "", "directory of everything that belongs to the demo (default ~/.hanse/demo)")
	_ = cmd.MarkPersistentFlagDirname("dir")
	return cmd
}

func newDemoUpCommand(s genericiooptions.IOStreams, now clock.PassiveClock, dir *string) *cobra.Command {
	var o demo.Options
	var detach bool
	cmd := &cobra.Command{
		Use:   "demo [up]",
		Short: "Start a hub and three local clusters with an application on them",
		Long: `Start a hub and local clusters named after clouds, on loopback only, join them,
and spread the tutorial's application over them. The demo runs until Ctrl-C and then
removes everything; with --detach, hanse demo down does that.`,
		Example: `  hanse demo
  hanse demo --detach
  hanse demo down
  hanse demo --dir /tmp/two --clusters fra,ams --nodes 2`,
		Args: args.RejectUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Dir, err = demoDir(*dir); err != nil {
				return err
			}
			if o.Executable, err = os.Executable(); err != nil {
				return fmt.Errorf("cannot find the program itself: %w", err)
			}
			return runDemo(cmd.Context(), s, now, o, detach)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&detach, "detach", false, "leave it running and return")
	f.StringSliceVar(&o.Clusters, "clusters", []string{"aws", "azure", "google"}, "names of the members")
	f.IntVar(&o.Nodes, "nodes", 3, "number of nodes in each member")
	f.IntVar(&o.Port, "port", 0, "port of the hub on 127.0.0.1 (0: any free one)")
	f.BoolVar(&o.Bare, "bare", false, "leave the application out")
	return cmd
}

func newDemoDownCommand(s genericiooptions.IOStreams, now clock.PassiveClock, dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End a demo and remove everything that it made",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := demoDir(*dir)
			if err != nil {
				return err
			}
			return demoDown(cmd.Context(), s, now, at)
		},
	}
}

func demoDir(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("cannot find your home directory: %w. Try: --dir DIR", err)
	}
	return filepath.Join(home, ".hanse", "demo"), nil
}

func runDemo(ctx context.Context, s genericiooptions.IOStreams, now clock.PassiveClock, o demo.Options, detach bool) error {
	started := now.Now()
	members, err := newDemoMembers(o.Dir)
	if err != nil {
		return err
	}
	d, err := demo.New(o, clock.RealClock{}, members, joinDemo, newProgress(s.ErrOut, now).begin)
	if err != nil {
		return err
	}
	already, err := d.Up(ctx)
	if err != nil {
		return err
	}
	if already {
		fmt.Fprintf(s.ErrOut, "The demo in %s is already running.\n", o.Dir)
	} else {
		fmt.Fprintf(s.ErrOut, "Ready after %.1f s.\n", now.Since(started).Seconds())
	}
	err = reportDemo(ctx, s, d, o)
	switch {
	case already:
		return err
	case ctx.Err() != nil && detach:
		return errors.Join(errors.New("interrupted; the demo is taken down again"), demoDown(context.WithoutCancel(ctx), s, now, o.Dir))
	case ctx.Err() != nil:
		return demoDown(context.WithoutCancel(ctx), s, now, o.Dir)
	case detach:
		return err
	case err != nil:
		return errors.Join(err, demoDown(ctx, s, now, o.Dir))
	}
	fmt.Fprintln(s.ErrOut, "\nThe demo runs until Ctrl-C.")
	return stayUp(ctx, s, now, d, o.Dir)
}

// stayUp waits until ctx ends, or the hub has ended: somebody called demo down,
// or it died.
func stayUp(ctx context.Context, s genericiooptions.IOStreams, now clock.PassiveClock, d *demo.Demo, dir string) error {
	ticker := time.NewTicker(demoWatch)
	defer ticker.Stop()
	for d.HubRunning() {
		select {
		case <-ctx.Done():
			return demoDown(context.WithoutCancel(ctx), s, now, dir)
		case <-ticker.C:
		}
	}
	if _, err := os.Stat(d.Kubeconfig()); errors.Is(err, os.ErrNotExist) {
		return nil // demo down, from elsewhere
	}
	return fmt.Errorf("the hub has ended by itself. Try: hanse demo --dir %s, which goes on from where it was, or hanse demo down --dir %s", dir, dir)
}

func demoDown(ctx context.Context, s genericiooptions.IOStreams, now clock.PassiveClock, dir string) error {
	members, err := newDemoMembers(dir)
	if err != nil {
		return err
	}
	was, err := demo.Down(ctx, dir, members, newProgress(s.ErrOut, now).begin)
	if err != nil {
		return err
	}
	if !was {
		fmt.Fprintf(s.ErrOut, "There is no demo in %s.\n", dir)
	}
	return nil
}
