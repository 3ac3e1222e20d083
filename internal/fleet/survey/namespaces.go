package survey

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/lineage"
)

// Namespace is one that a cluster has, and how much of what matters is in it.
type Namespace struct {
	Name string
	// Hub is the UID of the hub that made it or has taken it over, empty: none has.
	Hub string
	// Workloads are Deployments, StatefulSets, DaemonSets and CronJobs; Accounts are service accounts but the one that every
	// namespace has. They are lower bounds where Partial.
	Workloads, Accounts, Secrets int
	// Partial: not all was counted, because it is too much or may not be listed.
	Partial bool
}

// maxPages bounds how much of one resource is counted.
const maxPages = 40

// Namespaces looks at the namespaces of a cluster, by name, and at nothing but names of what is in them. The error is about the namespaces
// themselves.
func Namespaces(ctx context.Context, client kubernetes.Interface) ([]Namespace, error) {
	at := map[string]*Namespace{}
	whole, err := each(ctx, client, "/api/v1/namespaces", func(o *metav1.PartialObjectMetadata) {
		at[o.Name] = &Namespace{Name: o.Name, Hub: hubOf(o)}
	})
	if err != nil {
		return nil, err
	}
	all := !whole
	for path, count := range counted() {
		whole, err := each(ctx, client, path, func(o *metav1.PartialObjectMetadata) {
			if ns := at[o.Namespace]; ns != nil {
				count(ns, o.Name)
			}
		})
		all = all || !whole || err != nil
	}
	out := make([]Namespace, 0, len(at))
	for _, ns := range at {
		ns.Partial = all
		out = append(out, *ns)
	}
	slices.SortFunc(out, func(a, b Namespace) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// counted is what is counted of a namespace, by the path of the resource.
func counted() map[string]func(ns *Namespace, name string) {
	workload := func(ns *Namespace, _ string) { ns.Workloads++ }
	return map[string]func(ns *Namespace, name string){
		"/apis/apps/v1/deployments": workload, "/apis/apps/v1/statefulsets": workload, "/apis/apps/v1/daemonsets": workload, "/apis/batch/v1/cronjobs": workload,
		"/api/v1/secrets": func(ns *Namespace, _ string) { ns.Secrets++ },
		"/api/v1/serviceaccounts": func(ns *Namespace, name string) {
			if name != "default" {
				ns.Accounts++
			}
		},
	}
}

// hubOf is the hub whose mark a Namespace has.
func hubOf(o *metav1.PartialObjectMetadata) string {
	origin, err := lineage.ParseOrigin(o.Annotations[v1alpha1.AnnotationOrigin])
	if err != nil {
		return ""
	}
	return string(origin.Hub)
}

// each goes through the metadata of a resource's objects, page by page; whole is false if there are more than are looked at.
func each(ctx context.Context, client kubernetes.Interface, path string, do func(*metav1.PartialObjectMetadata)) (whole bool, err error) {
	next := ""
	for range maxPages {
		body, err := client.Discovery().RESTClient().Get().AbsPath(path).Param("limit", fmt.Sprint(pageSize)).Param("continue", next).
			SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").DoRaw(ctx)
		if err != nil {
			return false, err
		}
		var page metav1.PartialObjectMetadataList
		if err := json.Unmarshal(body, &page); err != nil {
			return false, fmt.Errorf("%s answers something else: %s", path, access.OneLine(err.Error()))
		}
		for i := range page.Items {
			do(&page.Items[i])
		}
		if next = page.Continue; next == "" {
			return true, nil
		}
	}
	return false, nil
}
