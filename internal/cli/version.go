package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/discovery"
)

// versionTimeout bounds how long version waits for a hub.
const versionTimeout = 3 * time.Second

// versions is what hanse version prints.
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

func newVersionCommand(s Streams) *cobra.Command {
	var hub hubFlags
	var output string
	var clientOnly bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "The versions of hanse, of the Kubernetes in it, and of the hub",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := buildVersions()
			if !clientOnly {
				v.Hub = hubVersion(hub)
			}
			return printVersions(s.Out, v, output)
		},
	}
	hub.bind(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	cmd.Flags().BoolVar(&clientOnly, "client", false, "do not ask the hub")
	completeWith(cmd, "output", func() []string { return []string{"json", "yaml"} })
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
func hubVersion(hub hubFlags) string {
	cfg, err := hub.restConfig()
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

func printVersions(w io.Writer, v versions, output string) error {
	if output != "" {
		return printStructured(w, v, output)
	}
	hub := v.Hub
	if hub == "" {
		hub = "(none answers)"
	}
	_, err := fmt.Fprintf(w, "hanse       %s\nkubernetes  %s\ngo          %s %s\nhub         %s\n", v.Hanse, v.Kubernetes, v.Go, v.Platform, hub)
	return err
}
