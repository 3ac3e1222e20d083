package localcluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/hanse-dev/hanse/internal/localcluster/nodes"
)

// Components says how much of a cluster runs.
type Components string

const (
	// All is an ordinary cluster.
	All Components = ""
	// APIServer is etcd and kube-apiserver alone: objects are kept and nothing happens to them. For measurements.
	APIServer Components = "apiserver"
)

// Spec is what a local cluster is. It never changes.
type Spec struct {
	Name       string     `json:"name"`
	Provider   string     `json:"provider"`
	Region     string     `json:"region"`
	Zones      []string   `json:"zones"`
	Nodes      int        `json:"nodes"`
	NodeCPU    string     `json:"nodeCPU"`    // a quantity
	NodeMemory string     `json:"nodeMemory"` // a quantity
	Port       int        `json:"port"`       // of the API server; 0: chosen at the first start and kept
	Components Components `json:"components,omitempty"`
	// EmulatedVersion is the version of Kubernetes that it behaves as, as 1.34; empty: its own.
	EmulatedVersion string `json:"emulatedVersion,omitempty"`
	// Audit: it keeps an audit log, as the hub does, in data/audit.
	Audit bool   `json:"audit,omitempty"`
	Dir   string `json:"-"` // the cluster's own directory
}

// hubName is the context of the hub in every kubeconfig: a cluster of that name could not be told from it.
const hubName = "federation"

// A name becomes part of the nodes' names, as long as GKE allows.
var validName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$`)

// An API server knows which of these it can be, and refuses others when it starts.
var validVersion = regexp.MustCompile(`^1\.[0-9]{1,3}$`)

// Complete fills in what the user left out and checks the rest. Its errors are for the user.
func (s Spec) Complete() (Spec, error) {
	switch {
	case !validName.MatchString(s.Name):
		return s, fmt.Errorf("%q cannot be the name of a cluster. Try: at most 40 lower case letters, digits and '-', a letter first", s.Name)
	case s.Name == hubName:
		return s, fmt.Errorf("a cluster cannot be called %q, which is the hub's context. Try: another name", hubName)
	case s.Port < 0 || s.Port > 65535:
		return s, fmt.Errorf("there is no port %d. Try: a number from 1024 to 65535, or 0 to have one chosen", s.Port)
	case s.EmulatedVersion != "" && !validVersion.MatchString(s.EmulatedVersion):
		return s, fmt.Errorf("%q is not a version of Kubernetes that a cluster can behave as. Try: --emulated-version 1.34", s.EmulatedVersion)
	case s.Components != All && s.Components != APIServer:
		return s, fmt.Errorf("unknown components %q. Try: --components=%s", s.Components, APIServer)
	}
	pool, err := s.Pool("").Complete()
	if err != nil {
		return s, err
	}
	s.Region, s.Zones, s.NodeCPU, s.NodeMemory = pool.Region, pool.Zones, pool.CPU, pool.Memory
	if s.Components == APIServer {
		s.Nodes = 0
	}
	return s, nil
}

// Pool is the cluster's nodes, with kubelets of the given version.
func (s Spec) Pool(version string) nodes.Pool {
	return nodes.Pool{
		Cluster: s.Name, Provider: s.Provider, Region: s.Region, Zones: s.Zones,
		Count: s.Nodes, CPU: s.NodeCPU, Memory: s.NodeMemory, Version: version,
	}
}

// The files in a cluster's directory.
func (s Spec) file(name string) string { return filepath.Join(s.Dir, name) }

func (s Spec) pidFile() string { return s.file("pid") }

// LogFile has what the cluster's process writes.
func (s Spec) LogFile() string { return s.file("log") }

// DataDir is the control plane's.
func (s Spec) DataDir() string { return s.file("data") }

// KubeconfigPath is the administrator's kubeconfig, its only context named after the cluster.
func (s Spec) KubeconfigPath() string { return filepath.Join(s.DataDir(), "admin.kubeconfig") }

// LoadSpec reads the Spec of the cluster in dir. The error wraps fs.ErrNotExist when none is there.
func LoadSpec(dir string) (Spec, error) {
	spec := Spec{}
	err := readJSON(filepath.Join(dir, "cluster.json"), &spec)
	spec.Dir = dir
	return spec, err
}

func (s Spec) save() error { return writeJSON(s.file("cluster.json"), s) }

// State is what the process of a cluster says about itself. It outlives the process: whether that is alive is the pid
// file's to say.
type State struct {
	PID     int    `json:"pid"`               // of the process that wrote it
	Ready   bool   `json:"ready"`             // it has been ready; false with an Error: it never was
	Error   string `json:"error,omitempty"`   // why it ended, for the user
	Version string `json:"version,omitempty"` // of Kubernetes
	Server  string `json:"server,omitempty"`  // the API server's URL
	Network string `json:"network,omitempty"` // where the addresses of its load balancers come from
}

// LoadState is empty when the process has not said anything yet.
func (s Spec) LoadState() (State, error) {
	state := State{}
	err := readJSON(s.file("state.json"), &state)
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	return state, err
}

// SaveState replaces the state in one step.
func (s Spec) SaveState(state State) error { return writeJSON(s.file("state.json"), state) }

func readJSON(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s is damaged: %w", path, err)
	}
	return nil
}

// writeJSON never shows half a file to a reader.
func writeJSON(path string, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, append(content, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
