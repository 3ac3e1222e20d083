package serve

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/component-base/logs"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/plugin"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"

	"github.com/hanse-dev/hanse/internal/controlplane"

	// The ways to log in that kubectl has built in (OIDC).
	_ "k8s.io/client-go/plugin/pkg/client/auth"
)

// Kubectl runs the real kubectl with args (with the program's name first) and returns
// its exit code. On its own errors kubectl prints and ends the process itself,
// as it does everywhere.
func Kubectl(args []string, s genericiooptions.IOStreams) int {
	if err := controlplane.SetKubernetesVersion(); err != nil {
		fmt.Fprintln(s.ErrOut, "Error: "+err.Error())
		return 1
	}
	// kubectl handles Ctrl-C itself, or leaves it to end the process.
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	logs.GlogSetter(kubectl.GetLogVerbosity(args)) //nolint:errcheck // a bad -v is reported when the flags are parsed
	flags := genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag().
		WithDiscoveryBurst(300).WithDiscoveryQPS(50).WithWarningPrinter(s)
	// kubectl finds its plugins and its kuberc by the program's arguments.
	os.Args = args
	cmd := kubectl.NewDefaultKubectlCommandWithArgs(kubectl.KubectlOptions{
		PluginHandler: kubectl.NewDefaultPluginHandler(plugin.ValidPluginFilenamePrefixes),
		Arguments:     args,
		ConfigFlags:   flags,
		IOStreams:     s,
	})
	cmd.SetArgs(args[1:])
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	logs.InitLogs()
	defer logs.FlushLogs()
	if err := cmd.Execute(); err != nil {
		cmdutil.CheckErr(err)
		return 1
	}
	return 0
}
