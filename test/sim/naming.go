package sim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
)

// Deployments name ConfigMaps here, and Namespaces and policies say that these follow them, or stay at the hub.

// naming is what the monitor remembers about that.
type naming struct {
	changed time.Time          // when somebody said last how ConfigMaps propagate
	left    map[pair]time.Time // when one was gone in a member
}

// gone notes that something is gone in a member, by whose doing ever.
func (n *naming) gone(at *member, r ref) {
	if r.gr != configMaps {
		return
	}
	if n.left == nil {
		n.left = map[pair]time.Time{}
	}
	n.left[pair{r, at.name}] = time.Now()
}

// names draws which ConfigMaps pods name.
func (f *federation) names() []any {
	var all []any
	for _, name := range []string{"one", "two"} {
		if f.random.IntN(3) == 0 {
			all = append(all, object{"configMapRef": object{"name": name, "optional": true}})
		}
	}
	return all
}

// propagation says how an object propagates: the narrowest of what its Namespace and its policy say.
func (f *federation) propagation(r ref) string {
	template := f.hub.get(r)
	if r.gr != configMaps || template == nil {
		return "Everywhere"
	}
	namespace := text(f.hub.get(ref{gr: namespaces, name: r.namespace}), "metadata", "labels", "hanse.dev/propagation")
	policy := text(f.policyOf(r.namespace, text(template, "metadata", "labels", "grp")), "spec", "propagation")
	for _, how := range []string{"None", "Needed"} {
		if namespace == how || policy == how {
			return how
		}
	}
	return "Everywhere"
}

// namesOf says whether the pods of a Deployment name a ConfigMap.
func namesOf(deployment object, name string) bool {
	containers, _ := at(deployment, "spec", "template", "spec", "containers").([]any)
	return slices.ContainsFunc(containers, func(c any) bool {
		container, _ := c.(object)
		all, _ := container["envFrom"].([]any)
		return slices.ContainsFunc(all, func(one any) bool {
			from, _ := one.(object)
			return text(from, "configMapRef", "name") == name
		})
	})
}

// named says whether something runs in a member, or is to, that names a ConfigMap; wanted: the hub has put it there, and does not
// hold it. mu is held.
func (f *federation) named(m *member, r ref) (named, wanted bool) {
	for _, o := range m.all(deployments) {
		of := ref{deployments, text(o.obj, "metadata", "namespace"), text(o.obj, "metadata", "name")}
		template := f.hub.get(of)
		if of.namespace != r.namespace {
			continue
		}
		running := number(o.obj, "spec", "replicas") > 0 || len(m.pods[of]) > 0
		ours := template != nil && text(template, "metadata", "uid") == origin(o.obj) && f.watch.puts[text(o.obj, "metadata", "uid")]
		here := running && namesOf(o.obj, r.name)
		wanted = wanted || here && ours
		named = named || here || !ours && template != nil && namesOf(template, r.name) // the hub has it go there, and somebody's is in the way
	}
	return named, wanted
}

// nameOthers has every Deployment name other ConfigMaps, which follow: they come before its pods, and those that it named go.
// mu is not held.
func (f *federation) nameOthers() error {
	f.mu.Lock()
	var all []ref
	for _, o := range f.hub.all(deployments) {
		all = append(all, ref{deployments, text(o.obj, "metadata", "namespace"), text(o.obj, "metadata", "name")})
	}
	labelled := f.hub.get(ref{gr: namespaces, name: "shop"}) != nil
	f.mu.Unlock()
	if labelled {
		f.upsert("/api/v1/namespaces", "shop", object{"metadata": object{"labels": object{"hanse.dev/propagation": "Needed"}}})
	}
	time.Sleep(20 * time.Second)
	for _, r := range all {
		f.mu.Lock()
		old := f.hub.get(r)
		spec, _ := runtime.DeepCopyJSONValue(at(old, "spec", "template")).(object)
		f.mu.Unlock()
		containers, _ := at(spec, "spec", "containers").([]any)
		if len(containers) == 0 {
			continue
		}
		container := containers[0].(object)
		var from []any
		for _, name := range []string{"one", "two"} {
			if !namesOf(old, name) {
				from = append(from, object{"configMapRef": object{"name": name, "optional": true}})
			}
		}
		container["envFrom"] = from
		f.as("kubectl", f.hub, http.MethodPatch, "/apis/apps/v1/namespaces/"+r.namespace+"/deployments/"+r.name, object{"spec": object{"template": spec}})
	}
	time.Sleep(40 * time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, what := range f.missing() {
		if strings.HasPrefix(what, "configmaps/") {
			return fmt.Errorf("40s after all Deployments name others: %s", what)
		}
	}
	return nil
}

// settled says whether nothing was wrong with a member, or with the hub, for long enough that the hub knows of both. mu is held.
func (m *monitor) settled(at *member) bool {
	now := time.Now()
	return at.faults == (faults{}) && now.Sub(at.disturbed) > 5*patience && now.After(m.shaken) && m.f.hubWay == (faults{}) && now.Sub(m.f.run.began) > 5*patience &&
		now.Sub(m.naming.changed) > patience
}

// lacks checks that what a Deployment names is there before its pods are to run. It may have been taken away there a moment ago.
func (m *monitor) lacks(at *member, c *call, after object) {
	if number(after, "spec", "replicas") == 0 || !m.settled(at) {
		return
	}
	for _, name := range []string{"one", "two"} {
		r := ref{configMaps, c.ref.namespace, name}
		template := m.f.hub.get(r)
		made, err := time.Parse(time.RFC3339, text(template, "metadata", "creationTimestamp"))
		if template == nil || err != nil || time.Since(made) < 2*patience || !namesOf(after, name) || m.f.propagation(r) != "Needed" || at.get(r) != nil {
			continue
		}
		since, known := m.since[pair{r, at.name}]
		ns := m.f.hub.get(ref{gr: namespaces, name: r.namespace})
		if !m.f.allows(r, at.name) || !known || time.Since(since) < patience || time.Since(m.naming.left[pair{r, at.name}]) < 5*patience || text(ns, "metadata", "deletionTimestamp") != "" {
			continue
		}
		m.fail("%s in %s is to run %d pods, and %s, which they need, is not there", c.ref, at.name, number(after, "spec", "replicas"), r)
	}
}

// leftEarly checks that a ConfigMap which is needed left after what names it.
func (m *monitor) leftEarly(at *member, c *call) {
	if _, wanted := m.f.named(at, c.ref); wanted && m.f.allows(c.ref, at.name) && m.settled(at) {
		m.fail("%s in %s was deleted, and something runs there that names it", c.ref, at.name)
	}
}
