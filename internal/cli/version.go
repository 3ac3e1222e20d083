package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/discovery"

	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
)

// versionTimeout bounds how long version waits for a hub.
const versionTimeout = 3 * time.Second

// versions is what hanse version -o json prints. Its form is stable.
type versions struct {
	// Hanse is the version of this binary, Kubernetes that of the API server
	// that is built into it.
	Hanse      string `json:"hanse"`
	Commit     string `json:"commit,omitempty"`
	Kubernetes string `json:"kubernetes"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	// Hub is the Kubernetes version of the hub that answers, empty when none
	// does.
	Hub string `json:"hub,omitempty"`
}

func newVersionCommand(s genericiooptions.IOStreams) *cobra.Command {
	var at hub.Flags
	format := output.ForValues()
	var clientOnly bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of hanse, of the Kubernetes in it, and of the hub",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := buildVersions()
			if !clientOnly {
				v.Hub = hubVersion(at)
			}
			return format.Print(s.Out, output.Result{Content: v, Table: v.print})
		},
	}
	at.Bind(cmd)
	format.Bind(cmd)
	cmd.Flags().BoolVar(&clientOnly, "client", false, "do not ask the hub")
	return cmd
}

// buildVersions reads what the Go linker recorded in the binary.
func buildVersions() versions {
	v := versions{Hanse: "unknown", Kubernetes: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Hanse = info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			v.Commit = setting.Value
		}
	}
	for _, dep := range info.Deps {
		if dep.Path == "k8s.io/kubernetes" {
			v.Kubernetes = dep.Version
		}
	}
	return v
}

// hubVersion asks the hub; one that does not answer has none.
func hubVersion(at hub.Flags) string {
	cfg, err := at.RestConfig()
	if err != nil {
		return ""
	}
	cfg.Timeout = versionTimeout
	client, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return ""
	}
	info, err := client.ServerVersion()
	if err != nil {
		return ""
	}
	return info.GitVersion
}

func (v versions) print(w io.Writer, _ bool) error {
	hub := v.Hub
	if hub == "" {
		hub = "(none answers)"
	}
	_, err := fmt.Fprintf(w, "hanse       %s\nkubernetes  %s\ngo          %s %s\nhub         %s\n", v.Hanse, v.Kubernetes, v.Go, v.Platform, hub)
	return err
}
