package capacity

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	helpers "k8s.io/component-helpers/resource"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// pod is what is kept of one.
type pod struct {
	uid   types.UID
	node  string // empty: none yet
	shape *shape
	// unschedulable is since when a scheduler has found no node for it.
	unschedulable time.Time
}

// shape is what pods of one workload have in common, by its identity.
type shape struct {
	id           string
	workload     string // as schedule.Workload.Key
	namespace    string
	labels       map[string]string
	antiAffinity []corev1.PodAffinityTerm
	priority     int32
	request      schedule.Resources
	pods         int // how many have it; guarded by the cluster's lock
}

// readPod is what matters of a pod; counts is false for one that uses nothing
// any more.
func readPod(p *corev1.Pod) (_ pod, counts bool) {
	if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return pod{}, false
	}
	out := pod{uid: p.UID, node: p.Spec.NodeName, shape: newShape(p)}
	if p.Spec.NodeName == "" {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
				out.unschedulable = c.LastTransitionTime.Time
			}
		}
	}
	return out, true
}

func newShape(p *corev1.Pod) *shape {
	s := &shape{
		workload: workloadOf(p), namespace: p.Namespace, labels: sharedLabels(p.Labels),
		request: schedule.NewResources(helpers.PodRequests(p, helpers.PodResourcesOptions{UseStatusResources: true})),
	}
	s.request.Pods = 1
	if p.Spec.Priority != nil {
		s.priority = *p.Spec.Priority
	}
	if a := p.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
		for _, t := range a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			if t.TopologyKey != corev1.LabelHostname { // which is the member's business
				s.antiAffinity = append(s.antiAffinity, t)
			}
		}
	}
	s.id = s.identity()
	return s
}

// identity is the same for shapes that are the same.
func (s *shape) identity() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%d %d %d", s.workload, s.namespace, s.priority, s.request.MilliCPU, s.request.Memory)
	for _, name := range slices.Sorted(maps.Keys(s.request.Extended)) {
		fmt.Fprintf(&b, " %s %d", name, s.request.Extended[name])
	}
	for _, key := range slices.Sorted(maps.Keys(s.labels)) {
		b.WriteString("\n" + key + "=" + s.labels[key])
	}
	if len(s.antiAffinity) > 0 {
		terms, err := json.Marshal(s.antiAffinity)
		if err != nil { // plain data: it cannot be
			terms = []byte(err.Error())
		}
		b.WriteString("\n")
		b.Write(terms)
	}
	return b.String()
}

// workloadOf is the key of what a pod belongs to, found by names alone: a
// ReplicaSet of a Deployment is called by the Deployment and the hash that its
// pods are labelled with. Empty: something that the hub does not divide.
func workloadOf(p *corev1.Pod) string {
	key := func(resource, name string) string { return resource + "/" + p.Namespace + "/" + name }
	owner := metav1.GetControllerOfNoCopy(p)
	if owner == nil {
		return key("pods", p.Name)
	}
	group, _, _ := strings.Cut(owner.APIVersion, "/")
	switch {
	case group == "apps" && owner.Kind == "ReplicaSet":
		if hash := p.Labels["pod-template-hash"]; hash != "" {
			if name, ok := strings.CutSuffix(owner.Name, "-"+hash); ok {
				return key("deployments.apps", name)
			}
		}
		return key("replicasets.apps", owner.Name)
	case group == "apps" && owner.Kind == "StatefulSet":
		return key("statefulsets.apps", owner.Name)
	case group == "apps" && owner.Kind == "DaemonSet":
		return key("daemonsets.apps", owner.Name)
	case group == "batch" && owner.Kind == "Job":
		return key("jobs.batch", owner.Name)
	case owner.APIVersion == "v1" && owner.Kind == "ReplicationController":
		return key("replicationcontrollers", owner.Name)
	}
	return ""
}

// sharedLabels leaves out what tells the pods of one workload apart.
func sharedLabels(labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels))
	for key, value := range labels {
		switch key {
		case "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "batch.kubernetes.io/job-completion-index":
		default:
			out[key] = value
		}
	}
	return out
}
