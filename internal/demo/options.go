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
	label := regexp.MustCompile(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`) // as hanse local wants them
	for i, name := range o.Clusters {
		switch {
		case !label.MatchString(name):
			return fmt.Errorf("%q cannot be the name of a cluster. Try: at most 40 lower case letters, digits and dashes, a letter first", name)
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
		return fmt.Errorf("%d is not a port. Try: --port 6443, or 0 for any free one", o.Port)
	}
	return nil
}

// members are the clusters of o, each in the cloud that its name stands for, where
// FinSolutions has customers; other names take the three clouds in turn.
func (o Options) members() []Cluster {
	clouds := []Cluster{
		{Name: "aws", Provider: "aws", Region: "us-east-1"},
		{Name: "azure", Provider: "azure", Region: "westeurope"},
		{Name: "google", Provider: "google", Region: "asia-southeast1"},
	}
	members := make([]Cluster, 0, len(o.Clusters))
	for i, name := range o.Clusters {
		cloud := clouds[i%len(clouds)]
		if known := slices.IndexFunc(clouds, func(c Cluster) bool { return c.Name == name }); known >= 0 {
			cloud = clouds[known]
		}
		members = append(members, Cluster{Name: name, Provider: cloud.Provider, Region: cloud.Region, Nodes: o.Nodes})
	}
	return members
}
