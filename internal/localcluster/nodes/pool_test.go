package nodes

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files")

func complete(t interface{ Fatal(...any) }, p Pool) Pool {
	p.Version = "v1.37.1"
	p, err := p.Complete()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What makes a node one of its cloud's is kept in testdata, to be read beside the output of a real cluster.
func TestNodesOfEachCloud(t *testing.T) {
	for _, provider := range Providers() {
		t.Run(provider, func(t *testing.T) {
			nodes, err := complete(t, Pool{Cluster: "demo", Provider: provider, Count: 4}).Nodes(time.Now())
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", provider+".txt")
			got := describe(nodes)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s (go test -update writes it again):\n%s", golden, got)
			}
		})
	}
}

func describe(nodes []*corev1.Node) string {
	var b strings.Builder
	for i, n := range nodes {
		fmt.Fprintf(&b, "%s\n  providerID %s\n  podCIDR %s\n", n.Name, n.Spec.ProviderID, n.Spec.PodCIDR)
		for _, a := range n.Status.Addresses {
			fmt.Fprintf(&b, "  %s %s\n", a.Type, a.Address)
		}
		if i > 0 { // the rest is the same but for the zone
			fmt.Fprintf(&b, "  zone %s\n", n.Labels[corev1.LabelTopologyZone])
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(n.Labels)) {
			fmt.Fprintf(&b, "  label %s=%s\n", key, n.Labels[key])
		}
		for _, key := range slices.Sorted(maps.Keys(n.Status.Capacity)) {
			capacity, allocatable := n.Status.Capacity[key], n.Status.Allocatable[key]
			fmt.Fprintf(&b, "  %s %s, allocatable %s\n", key, capacity.String(), allocatable.String())
		}
		fmt.Fprintf(&b, "  %s, %s, %s, kubelet %s\n", n.Status.NodeInfo.OSImage, n.Status.NodeInfo.KernelVersion,
			n.Status.NodeInfo.ContainerRuntimeVersion, n.Status.NodeInfo.KubeletVersion)
	}
	return b.String()
}

// TestLabelsEndInALetter: a label that is cut to what fits does not end where it may not.
func TestLabelsEndInALetter(t *testing.T) {
	for n := range 32 {
		p := complete(t, Pool{Cluster: "a" + strings.Repeat("-", n) + "0", Provider: "azure", Count: 1})
		nodes, err := p.Nodes(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range nodes[0].Labels {
			if problems := validation.IsValidLabelValue(value); problems != nil {
				t.Errorf("%s=%s: %v", key, value, problems)
			}
		}
	}
}

func TestNodesAreValidAndDistinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := complete(t, Pool{
			Cluster:  rapid.StringMatching(`[a-z]([-a-z0-9]{0,30}[a-z0-9])?`).Draw(t, "cluster"),
			Provider: rapid.SampledFrom(Providers()).Draw(t, "provider"),
			Region:   rapid.SampledFrom([]string{"", "us-east1", "eu-central-1", "germanywestcentral"}).Draw(t, "region"),
			Count:    rapid.IntRange(0, MaxCount).Draw(t, "count"),
			CPU:      rapid.SampledFrom([]string{"", "100m", "1", "3", "4", "7500m", "500"}).Draw(t, "cpu"),
			Memory:   rapid.SampledFrom([]string{"", "64Mi", "1G", "16Gi", "4Ti"}).Draw(t, "memory"),
		})
		nodes, err := p.Nodes(time.Now())
		if err != nil || len(nodes) != p.Count {
			t.Fatalf("%d nodes, %v", len(nodes), err)
		}
		again, err := p.Nodes(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i, n := range nodes {
			if n.Name != again[i].Name || n.Spec.ProviderID != again[i].Spec.ProviderID {
				t.Fatalf("node %d is another one the second time", i)
			}
			for _, unique := range []string{n.Name, n.Spec.ProviderID, n.Spec.PodCIDR, n.Status.Addresses[0].Address, n.Status.NodeInfo.MachineID} {
				if seen[unique] {
					t.Fatalf("%s twice", unique)
				}
				seen[unique] = true
			}
			if problems := validation.IsDNS1123Subdomain(n.Name); problems != nil {
				t.Fatalf("%s: %v", n.Name, problems)
			}
			for key, value := range n.Labels {
				if problems := slices.Concat(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)); problems != nil {
					t.Fatalf("%s=%s: %v", key, value, problems)
				}
			}
			for name, capacity := range n.Status.Capacity {
				allocatable := n.Status.Allocatable[name]
				if allocatable.Cmp(capacity) > 0 || allocatable.Sign() < 0 || (name == corev1.ResourceCPU && allocatable.IsZero()) {
					t.Fatalf("%s: %s of %s allocatable", name, allocatable.String(), capacity.String())
				}
			}
		}
	})
}

func TestMachineFitsTheSize(t *testing.T) {
	for _, test := range []struct{ provider, cpu, memory, want string }{
		{"aws", "", "", "m5.xlarge"},
		{"aws", "2", "", "m5.large"},
		{"aws", "2", "32Gi", "m5.2xlarge"},
		{"azure", "8", "", "Standard_D8s_v5"},
		{"google", "16", "", "e2-standard-16"},
		{"google", "500", "", "e2-standard-32"},
	} {
		nodes, err := complete(t, Pool{Cluster: "c", Provider: test.provider, CPU: test.cpu, Memory: test.memory, Count: 1}).Nodes(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := nodes[0].Labels[corev1.LabelInstanceTypeStable]; got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestZones(t *testing.T) {
	for _, test := range []struct {
		provider, region string
		zones, want      []string
	}{
		{"aws", "", nil, []string{"us-east-1a", "us-east-1b", "us-east-1c"}},
		{"aws", "eu-west-2", []string{"b", "eu-west-2d"}, []string{"eu-west-2b", "eu-west-2d"}},
		{"azure", "", []string{"2"}, []string{"westeurope-2"}},
		{"google", "europe-west1", nil, []string{"europe-west1-b", "europe-west1-c", "europe-west1-d"}},
	} {
		p := complete(t, Pool{Provider: test.provider, Region: test.region, Zones: test.zones})
		if !slices.Equal(p.Zones, test.want) {
			t.Errorf("%+v: %v", test, p.Zones)
		}
	}
}

func TestCompleteSaysWhatToTry(t *testing.T) {
	for _, test := range []struct {
		pool Pool
		want string
	}{
		{Pool{Provider: "oracle"}, `unknown provider "oracle". Try: --provider aws, or azure, or google`},
		{Pool{Provider: "aws", Region: "US East"}, "Try: --region us-east-1"},
		{Pool{Provider: "aws", Zones: []string{"a", "us-east-1a"}}, "named twice. Try: --zones a,b,c"},
		{Pool{Provider: "aws", Zones: []string{""}}, "Try: --zones a,b,c"},
		{Pool{Provider: "azure", Count: -1}, "Try: a number from 0 to 200"},
		{Pool{Provider: "azure", Count: 201}, "Try: a number from 0 to 200"},
		{Pool{Provider: "google", CPU: "lots"}, "Try: --node-cpu 4"},
		{Pool{Provider: "google", CPU: "0"}, "Try: --node-cpu 4"},
		{Pool{Provider: "google", Memory: "-1Gi"}, "Try: --node-memory 16Gi"},
	} {
		if _, err := test.pool.Complete(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.pool, err, test.want)
		}
	}
}

func TestUsable(t *testing.T) {
	nodes, err := complete(t, Pool{Cluster: "c", Provider: "aws", Count: 1}).Nodes(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !usable(nodes[0]) {
		t.Error("a new node is not usable")
	}
	nodes[0].Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}}
	if usable(nodes[0]) {
		t.Error("a tainted node is usable")
	}
	if usable(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "silent"}}) {
		t.Error("a node without a status is usable")
	}
}
