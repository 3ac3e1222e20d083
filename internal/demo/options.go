package demo

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// HubContext is the name of the hub's context in the demo's kubeconfig.
const HubContext = "federation"

// Options say what the demo shall be.
type Options struct {
	// Dir holds everything that belongs to the demo.
	Dir string
	// Clusters are the names of the members.
	Clusters []string
	// Nodes is how many nodes each member has.
	Nodes int
	// Port is the hub's on 127.0.0.1; 0 means any free one.
	Port int
	// Bare leaves the application out.
	Bare bool
	// Executable is the hanse binary that the processes run.
	Executable string
}

// Cluster is a member to be.
type Cluster struct {
	Name, Provider, Region string
	Nodes                  int
}

// validate says what is wrong with o in one sentence.
func (o Options) validate() error {
	if len(o.Clusters) == 0 {
		return errors.New("a demo needs a cluster. Try: --clusters aws,azure,google")
	}
	label := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	for i, name := range o.Clusters {
		switch {
		case !label.MatchString(name):
			return fmt.Errorf("%q cannot be the name of a cluster. Try: letters a-z, digits and dashes, at most 63", name)
		case name == HubContext:
			return fmt.Errorf("%q is what the hub is called. Try: another name for the cluster", name)
		case slices.Contains(o.Clusters[:i], name):
			return fmt.Errorf("the cluster %q is named twice. Try: --clusters %s", name, strings.Join(slices.Compact(slices.Sorted(slices.Values(o.Clusters))), ","))
		}
	}
	if o.Nodes < 1 {
		return fmt.Errorf("a cluster needs a node, not %d. Try: --nodes 3", o.Nodes)
	}
	if o.Port < 0 || o.Port > 65535 {
		return fmt.Errorf("%d is no port. Try: --port 6443, or 0 for any free one", o.Port)
	}
	return nil
}

// members are the clusters of o, each in the cloud that its name stands for:
// where FinSolutions has customers.
func (o Options) members() []Cluster {
	members := make([]Cluster, 0, len(o.Clusters))
	for _, name := range o.Clusters {
		c := Cluster{Name: name, Provider: "generic", Nodes: o.Nodes}
		switch name {
		case "aws":
			c.Provider, c.Region = "aws", "us-east-1"
		case "azure":
			c.Provider, c.Region = "azure", "westeurope"
		case "google":
			c.Provider, c.Region = "google", "asia-southeast1"
		}
		members = append(members, c)
	}
	return members
}
