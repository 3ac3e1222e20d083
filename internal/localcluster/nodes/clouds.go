package nodes

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// cloud is what makes one cloud's nodes different from another's.
type cloud struct {
	region                   string                       // the usual one
	zones                    func(region string) []string // the endings of a region's zone names
	zoneSeparator            string                       // between region and ending
	podNetwork               string                       // the first two bytes of the pods' addresses
	machines                 []machine                    // by size
	disk                     int64                        // bytes of a node's disk
	reserved                 func(size) size              // what the cloud keeps of a node, without the eviction threshold
	shape                    func(*corev1.Node, place)    // sets name, provider ID, addresses and the cloud's own labels
	kernel, osImage, runtime string
}

func clouds() map[string]cloud {
	return map[string]cloud{"aws": aws(), "azure": azure(), "google": google()}
}

func fixed(endings ...string) func(string) []string { return func(string) []string { return endings } }

// machines names the sizes with four GiB for each core that every cloud has.
func machines(format string, names ...string) []machine {
	result := make([]machine, len(names))
	for i, name := range names {
		cores := int64(2) << i
		result[i] = machine{fmt.Sprintf(format, name), size{cores * 1000, cores * 4 * gibibyte}}
	}
	return result
}

// aws is EKS with a managed node group.
func aws() cloud {
	return cloud{
		region: "us-east-1", zones: fixed("a", "b", "c"), podNetwork: "10.1",
		machines: machines("m5.%s", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge"),
		disk:     80 * gibibyte,
		reserved: func(s size) size {
			return size{reservedCPU(s.milliCPU), 255*mebibyte + podsPerNode*11*mebibyte}
		},
		kernel: "6.12.53-69.119.amzn2023.x86_64", osImage: "Amazon Linux 2023.9.20251027", runtime: "containerd://2.1.4",
		shape: func(n *corev1.Node, p place) {
			ip := fmt.Sprintf("10.0.%d.%d", p.zoneIndex+1, 23+p.inZone)
			domain := p.Region + ".compute.internal"
			if p.Region == "us-east-1" {
				domain = "ec2.internal"
			}
			n.Name = "ip-" + strings.ReplaceAll(ip, ".", "-") + "." + domain
			n.Spec.ProviderID = "aws:///" + p.zone + "/i-" + p.id("instance", p.index, 17)
			n.Status.Addresses = []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: ip},
				{Type: corev1.NodeInternalDNS, Address: n.Name},
				{Type: corev1.NodeHostName, Address: n.Name},
			}
			n.Labels["eks.amazonaws.com/nodegroup"] = p.Cluster
			n.Labels["eks.amazonaws.com/capacityType"] = "ON_DEMAND"
			n.Labels["topology.ebs.csi.aws.com/zone"] = p.zone
		},
	}
}

// azure is AKS with a virtual machine scale set.
func azure() cloud {
	return cloud{
		region: "westeurope", zones: fixed("1", "2", "3"), zoneSeparator: "-", podNetwork: "10.244",
		machines: machines("Standard_D%ss_v5", "2", "4", "8", "16", "32", "64"),
		disk:     128 * gibibyte,
		reserved: func(s size) size {
			return size{azureReservedCPU(s.milliCPU), min(50*mebibyte+podsPerNode*20*mebibyte, s.memory/4)}
		},
		kernel: "6.8.0-1041-azure", osImage: "Ubuntu 24.04.3 LTS", runtime: "containerd://2.1.5-1",
		shape: func(n *corev1.Node, p place) {
			pool := "aks-nodepool1-" + p.number("pool") + "-vmss"
			n.Name = pool + base36(p.index)
			group := strings.ToLower(fmt.Sprintf("mc_%s_%s_%s", p.Cluster, p.Cluster, p.Region))
			n.Spec.ProviderID = fmt.Sprintf("azure:///subscriptions/%s/resourceGroups/%s/providers/Microsoft.Compute/virtualMachineScaleSets/%s/virtualMachines/%d",
				guid(p.id("subscription", 0, 32)), group, pool, p.index)
			n.Status.Addresses = []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.224.0.%d", 4+p.index)},
				{Type: corev1.NodeHostName, Address: n.Name},
			}
			n.Labels["agentpool"] = "nodepool1"
			n.Labels["kubernetes.azure.com/agentpool"] = "nodepool1"
			n.Labels["kubernetes.azure.com/cluster"] = strings.TrimRight(group[:min(len(group), 63)], "-_") // a label ends in a letter or digit
			n.Labels["kubernetes.azure.com/mode"] = "system"
			n.Labels["kubernetes.azure.com/role"] = "agent"
			n.Labels["topology.disk.csi.azure.com/zone"] = p.zone
		},
	}
}

// google is GKE with one node pool.
func google() cloud {
	return cloud{
		region: "asia-southeast1", zones: googleZones, zoneSeparator: "-", podNetwork: "10.4",
		machines: machines("e2-standard-%s", "2", "4", "8", "16", "32"),
		disk:     100 * gibibyte,
		reserved: func(s size) size {
			return size{reservedCPU(s.milliCPU), progressive(s.memory,
				[]step{{4 * gibibyte, 250}, {4 * gibibyte, 200}, {8 * gibibyte, 100}, {112 * gibibyte, 60}, {math.MaxInt64, 20}})}
		},
		kernel: "6.12.46+", osImage: "Container-Optimized OS from Google", runtime: "containerd://2.1.4",
		shape: func(n *corev1.Node, p place) {
			// A regional cluster has an instance group for each zone.
			n.Name = fmt.Sprintf("gke-%s-default-pool-%s-%s%02x", googleName(p.Cluster), p.id("group", p.zoneIndex, 8), p.id("instance", p.index, 2), p.index)
			n.Spec.ProviderID = fmt.Sprintf("gce://hanse-local/%s/%s", p.zone, n.Name)
			n.Status.Addresses = []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("10.148.0.%d", 2+p.index)},
				{Type: corev1.NodeHostName, Address: n.Name},
			}
			n.Labels["cloud.google.com/gke-nodepool"] = "default-pool"
			n.Labels["cloud.google.com/gke-container-runtime"] = "containerd"
			n.Labels["cloud.google.com/gke-os-distribution"] = "cos"
			n.Labels["cloud.google.com/machine-family"] = "e2"
			n.Labels["topology.gke.io/zone"] = p.zone
		},
	}
}

// googleZones knows the regions that have no zone a.
func googleZones(region string) []string {
	if slices.Contains([]string{"us-east1", "europe-west1"}, region) {
		return []string{"b", "c", "d"}
	}
	return []string{"a", "b", "c"}
}

// azureReservedCPU is AKS's table, millicores for cores.
func azureReservedCPU(milli int64) int64 {
	for _, row := range []struct{ cores, reserved int64 }{{1, 60}, {2, 100}, {4, 140}, {8, 180}, {16, 260}, {32, 420}} {
		if milli <= row.cores*1000 {
			return row.reserved
		}
	}
	return 740
}

// base36 is how a scale set numbers its machines in their names.
func base36(n int) string {
	digits := strconv.FormatInt(int64(n), 36)
	return strings.Repeat("0", 6-len(digits)) + digits
}

func guid(hex string) string {
	return strings.Join([]string{hex[:8], hex[8:12], hex[12:16], hex[16:20], hex[20:32]}, "-")
}

// googleName shortens a cluster's name as GKE does, so that a node's name fits a label.
func googleName(cluster string) string {
	return strings.TrimRight(cluster[:min(len(cluster), 30)], "-")
}
