// Package census asks members what they have in namespaces that a Residency restricts, and compares that with where it may be. It
// goes by nothing that the hub remembers of a member: what is found is what the member's own API server lists.
package census

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/lineage"
)

// Member is a way to one.
type Member struct {
	Name   string
	Client rest.Interface
	// Served is what it serves.
	Served discovery.DiscoveryInterface
	// Hub is the UID of the hub whose marks count.
	Hub types.UID
	// Propagated says whether the hub writes a resource in members, so that a right to list it that is missing is a gap.
	Propagated func(schema.GroupResource) bool
}

// Found is an object in a member.
type Found struct {
	Kind      string `json:"kind"`
	Resource  string `json:"resource"` // RESOURCE.GROUP
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Marked: it has the hub's mark. Other objects in a Namespace that the hub made follow from those that have one.
	Marked bool `json:"marked,omitempty"`
	// Created is when it was made there.
	Created time.Time `json:"created"`
}

const (
	// page is how many objects are asked for at once, mostFound how many of a namespace in a member are looked at.
	page, mostFound = 500, 100_000
	// largestPage bounds an answer, in bytes: metadata alone is asked for.
	largestPage = 16 << 20
)

// partial asks for metadata alone: nobody needs to read what is in Secrets to say where they are.
const partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

// Listing is what a member has in a namespace.
type Listing struct {
	// Found are the Namespace, first, and what is in it; none: there is none.
	Found []Found
	// Ours: the hub made the Namespace there, or has taken it over.
	Ours bool
	// Unlisted are resources that only the member's own make, and that the hub's account there may not list.
	Unlisted []string
}

// List asks a member. It blocks for as long as the member takes to answer. The error says what could not be listed: nobody knows
// then.
func (m *Member) List(ctx context.Context, namespace string) (l Listing, err error) {
	made, err := m.namespace(ctx, namespace)
	if err != nil || made == nil {
		return l, err
	}
	l.Found, l.Ours = append(l.Found, *made), made.Marked
	resources, err := m.resources()
	if err != nil {
		return l, err
	}
	for _, r := range resources {
		some, err := m.list(ctx, r, namespace)
		switch gr := r.GroupResource(); {
		case apierrors.IsForbidden(err) && !m.Propagated(gr):
			l.Unlisted = append(l.Unlisted, gr.String())
			continue
		case err != nil:
			return l, fmt.Errorf("%s cannot be listed there: %w", gr, err)
		}
		if l.Found = append(l.Found, some...); len(l.Found) > mostFound {
			return l, fmt.Errorf("there are more than %d objects in namespace %s there", mostFound, namespace)
		}
	}
	return l, nil
}

// namespace is a Namespace there, nil if there is none.
func (m *Member) namespace(ctx context.Context, name string) (*Found, error) {
	list, err := m.get(ctx, "/api/v1/namespaces", map[string]string{"fieldSelector": "metadata.name=" + name})
	if err != nil {
		return nil, fmt.Errorf("namespaces cannot be listed there: %w", err)
	}
	namespaces := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	for i := range list.Items {
		if f := m.found(list.Items[i].Metadata, namespaces, "Namespace"); f.Name == name {
			return &f, nil
		}
	}
	return nil, nil
}

// resource is one that a member serves.
type resource struct {
	schema.GroupVersionResource
	kind string
}

// resources are all that are in namespaces and can be listed, but events: these tell what happens, and are not the objects.
func (m *Member) resources() (all []resource, err error) {
	lists, err := m.Served.ServerPreferredNamespacedResources()
	if err != nil {
		return nil, fmt.Errorf("what it serves cannot all be found out: %w", err)
	}
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if r.Name != "events" && !strings.Contains(r.Name, "/") && slices.Contains(r.Verbs, "list") {
				all = append(all, resource{gv.WithResource(r.Name), r.Kind})
			}
		}
	}
	return all, nil
}

func (m *Member) list(ctx context.Context, r resource, namespace string) (found []Found, err error) {
	at := path.Join("/apis", r.Group, r.Version)
	if r.Group == "" {
		at = "/api/" + r.Version
	}
	query := map[string]string{"limit": fmt.Sprint(page)}
	for {
		list, err := m.get(ctx, path.Join(at, "namespaces", namespace, r.Resource), query)
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			if f := m.found(list.Items[i].Metadata, r.GroupVersionResource, r.kind); !everywhere(r.Resource, f.Name) {
				found = append(found, f)
			}
		}
		if list.Metadata.Continue == "" || len(found) > mostFound {
			return found, nil
		}
		query["continue"] = list.Metadata.Continue
	}
}

// everywhere says whether Kubernetes itself makes an object of that name in every namespace.
func everywhere(resource, name string) bool {
	return resource == "configmaps" && name == "kube-root-ca.crt" || resource == "serviceaccounts" && name == metav1.NamespaceDefault
}

func (m *Member) get(ctx context.Context, at string, query map[string]string) (*answer, error) {
	request := m.Client.Get().AbsPath(at).SetHeader("Accept", partial)
	for name, value := range query {
		request = request.Param(name, value)
	}
	body, err := request.Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, largestPage+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > largestPage:
		return nil, errors.New("the answer is too large")
	}
	list := &answer{}
	return list, json.Unmarshal(data, list)
}

// answer is a list of a member.
type answer struct {
	Metadata struct{ Continue string }
	Items    []struct{ Metadata map[string]any }
}

// found is an object that was listed.
func (m *Member) found(metadata map[string]any, gvr schema.GroupVersionResource, kind string) Found {
	u := unstructured.Unstructured{Object: map[string]any{"metadata": metadata}}
	gr := gvr.GroupResource()
	mark, marked := lineage.ReadMark(lineage.Object{Resource: gr, Namespace: u.GetNamespace(), Name: u.GetName()}, metadata)
	return Found{
		Kind: kind, Resource: gr.String(), Namespace: u.GetNamespace(), Name: u.GetName(),
		Marked: marked && mark.Origin.Hub == m.Hub, Created: u.GetCreationTimestamp().UTC(),
	}
}
