package nodes

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MaxCount is how many nodes a pool may have: every node has a /24 of its own out of a /16.
const MaxCount = 200

// Pool describes the nodes of one cluster. Two pools with the same fields have the same nodes.
type Pool struct {
	Cluster  string   // the cluster's name
	Provider string   // one of Providers
	Region   string   // empty: the provider's usual one
	Zones    []string // names ("us-east-1a") or their endings ("a"); empty: the region's first three
	Count    int      // 0 to MaxCount; the zones take turns
	CPU      string   // a node's CPU as a quantity; empty: 4
	Memory   string   // a node's memory as a quantity; empty: 4Gi for each CPU
	Version  string   // the kubelet's version
}

// Providers lists the clouds whose nodes are known.
func Providers() []string { return slices.Sorted(maps.Keys(clouds())) }

var region = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$`)

// Complete fills in what was left out and checks the rest. Its errors are for the user.
func (p Pool) Complete() (Pool, error) {
	cloud, ok := clouds()[p.Provider]
	if !ok {
		return p, fmt.Errorf("unknown provider %q. Try: --provider %s", p.Provider, strings.Join(Providers(), ", or "))
	}
	if p.Region == "" {
		p.Region = cloud.region
	}
	if !region.MatchString(p.Region) {
		return p, fmt.Errorf("region %q is not a name of lower case letters, digits and '-'. Try: --region %s", p.Region, cloud.region)
	}
	if p.Count < 0 || p.Count > MaxCount {
		return p, fmt.Errorf("a local cluster cannot have %d nodes. Try: a number from 0 to %d", p.Count, MaxCount)
	}
	if err := p.completeZones(cloud); err != nil {
		return p, err
	}
	return p, p.completeSize()
}

func (p *Pool) completeZones(cloud cloud) error {
	endings := p.Zones
	if len(endings) == 0 {
		endings = cloud.zones(p.Region)
	}
	zones := make([]string, 0, len(endings))
	for _, ending := range endings {
		zone := ending
		if !strings.HasPrefix(zone, p.Region) {
			zone = p.Region + cloud.zoneSeparator + ending
		}
		if !region.MatchString(zone) || zone == p.Region {
			return fmt.Errorf("zone %q is not one of region %s. Try: --zones %s", ending, p.Region, strings.Join(cloud.zones(p.Region), ","))
		}
		if slices.Contains(zones, zone) {
			return fmt.Errorf("zone %q is named twice. Try: --zones %s", ending, strings.Join(cloud.zones(p.Region), ","))
		}
		zones = append(zones, zone)
	}
	p.Zones = zones
	return nil
}

func (p *Pool) completeSize() error {
	if p.CPU == "" {
		p.CPU = "4"
	}
	cpu, err := resource.ParseQuantity(p.CPU)
	if err != nil || cpu.MilliValue() < 100 {
		return fmt.Errorf("%q is not the CPU of a node. Try: --node-cpu 4", p.CPU)
	}
	if p.Memory == "" {
		p.Memory = fmt.Sprintf("%dGi", 4*max(cpu.Value(), 1))
	}
	memory, err := resource.ParseQuantity(p.Memory)
	if err != nil || memory.Value() < 64<<20 {
		return fmt.Errorf("%q is not the memory of a node. Try: --node-memory 16Gi", p.Memory)
	}
	return nil
}

// Nodes are the pool's nodes as their kubelets and the cloud's controllers would have made them: ready and without a
// taint, and have been so since a moment. The pool must be Complete.
func (p Pool) Nodes(since time.Time) ([]*corev1.Node, error) {
	cloud, ok := clouds()[p.Provider]
	if !ok {
		return nil, fmt.Errorf("unknown provider %q", p.Provider)
	}
	cpu, err := resource.ParseQuantity(p.CPU)
	if err != nil {
		return nil, fmt.Errorf("CPU %q of a node: %w", p.CPU, err)
	}
	memory, err := resource.ParseQuantity(p.Memory)
	if err != nil {
		return nil, fmt.Errorf("memory %q of a node: %w", p.Memory, err)
	}
	size := size{milliCPU: cpu.MilliValue(), memory: memory.Value()}
	result := make([]*corev1.Node, 0, p.Count)
	for i := range p.Count {
		node := p.node(cloud, size, i, since)
		cloud.shape(node, p.place(i))
		node.Labels[corev1.LabelHostname] = node.Name
		result = append(result, node)
	}
	return result, nil
}

// place is where one node of a pool is, in the terms of which clouds make names.
type place struct {
	Pool
	index     int    // of the node in the pool
	zone      string // its name
	zoneIndex int    // of the zone in the pool
	inZone    int    // of the node in its zone
}

func (p Pool) place(i int) place {
	zone := i % len(p.Zones)
	return place{Pool: p, index: i, zone: p.Zones[zone], zoneIndex: zone, inZone: i / len(p.Zones)}
}

// id is hexadecimal digits, at most 64, that look random and are always the same for the same pool, purpose and index.
func (p place) id(purpose string, index, digits int) string {
	sum := p.hash(purpose, index)
	return hex.EncodeToString(sum[:])[:digits]
}

// number is eight decimal digits of the same kind.
func (p place) number(purpose string) string {
	sum := p.hash(purpose, 0)
	return fmt.Sprintf("%08d", binary.BigEndian.Uint64(sum[:8])%100_000_000)
}

func (p place) hash(purpose string, index int) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%s/%d", p.Cluster, p.Provider, p.Region, purpose, index))
}

// node is what the clouds' nodes have in common.
func (p Pool) node(cloud cloud, size size, i int, since time.Time) *corev1.Node {
	place := p.place(i)
	machine := cloud.machineFor(size)
	podCIDR := fmt.Sprintf("%s.%d.0/24", cloud.podNetwork, i)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{
				corev1.LabelArchStable:              "amd64",
				"beta.kubernetes.io/arch":           "amd64",
				corev1.LabelOSStable:                "linux",
				"beta.kubernetes.io/os":             "linux",
				corev1.LabelInstanceTypeStable:      machine,
				corev1.LabelInstanceType:            machine,
				corev1.LabelTopologyRegion:          p.Region,
				corev1.LabelFailureDomainBetaRegion: p.Region,
				corev1.LabelTopologyZone:            place.zone,
				corev1.LabelFailureDomainBetaZone:   place.zone,
			},
			Annotations: map[string]string{},
		},
		Spec: corev1.NodeSpec{PodCIDR: podCIDR, PodCIDRs: []string{podCIDR}},
		Status: corev1.NodeStatus{
			Capacity:    size.resources(cloud),
			Allocatable: size.allocatable(cloud),
			Conditions:  conditions(since),
			NodeInfo: corev1.NodeSystemInfo{
				MachineID:               place.id("machine", i, 32),
				SystemUUID:              place.id("system", i, 32),
				BootID:                  place.id("boot", i, 32),
				KernelVersion:           cloud.kernel,
				OSImage:                 cloud.osImage,
				ContainerRuntimeVersion: cloud.runtime,
				KubeletVersion:          p.Version,
				OperatingSystem:         "linux",
				Architecture:            "amd64",
			},
		},
	}
}

// conditions are those of a healthy kubelet. The node lifecycle controller goes by the node's lease from then on.
func conditions(since time.Time) []corev1.NodeCondition {
	now := metav1.NewTime(since)
	healthy := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return []corev1.NodeCondition{
		healthy(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		healthy(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		healthy(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		healthy(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
	}
}
