package dns

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/trouble"
)

const (
	// pagePrefix begins the names of the ConfigMaps, in the hub's own namespace, that say which
	// names a namespace has. Whoever may write there may give names to anybody.
	pagePrefix = "dns-names."
	pageKey    = "names.json"
	// pageLabel selects them; its value is the namespace.
	pageLabel = "hanse.dev/dns-names"
	// pageRest is the least time between two rounds of writing, and before a try after one that failed.
	pageRest = time.Second
)

// bookkeeper keeps the book of names at the hub, so that who came first is known after a
// restart: a page for each namespace that has names, and none for others.
type bookkeeper struct {
	client dynamic.Interface
	clock  clock.Clock
	wake   chan struct{} // holds one

	mu     sync.Mutex
	wanted map[string][]byte // by namespace, what is to be written; nil: nothing is to be there
}

func newBookkeeper(client dynamic.Interface, c clock.Clock) *bookkeeper {
	return &bookkeeper{client: client, clock: c, wake: make(chan struct{}, 1), wanted: map[string][]byte{}}
}

func (k *bookkeeper) pages() dynamic.ResourceInterface {
	return k.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(v1alpha1.SystemNamespace)
}

// load reads the book into an empty one; it tries until it can be read, or ctx ends. A page
// that cannot be understood is left out, and said.
func (k *bookkeeper) load(ctx context.Context, into *grant.Book) bool {
	var troubles trouble.Log[string]
	for {
		list, err := k.pages().List(ctx, metav1.ListOptions{LabelSelector: pageLabel})
		if err == nil {
			for i := range list.Items {
				page, _, _ := unstructured.NestedString(list.Items[i].Object, "data", pageKey)
				namespace := strings.TrimPrefix(list.Items[i].GetName(), pagePrefix)
				if err := into.Load(namespace, []byte(page)); err != nil {
					klog.FromContext(ctx).Error(err, "Which names a namespace has is no longer known", "configMap", klog.KObj(&list.Items[i]))
				}
			}
			return true
		}
		if ctx.Err() == nil {
			troubles.Failed(klog.FromContext(ctx), "", err, "Which names namespaces have cannot be read; DNS waits for that")
		}
		if !pause(ctx, k.clock, pageRest) {
			return false
		}
	}
}

// keep has pages written; it does not block.
func (k *bookkeeper) keep(pages map[string][]byte) {
	if len(pages) == 0 {
		return
	}
	k.mu.Lock()
	maps.Copy(k.wanted, pages)
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run writes until ctx ends. What fails is tried again.
func (k *bookkeeper) run(ctx context.Context) {
	var troubles trouble.Log[string]
	for await(ctx, k.wake) {
		k.mu.Lock()
		pages := k.wanted
		k.wanted = map[string][]byte{}
		k.mu.Unlock()
		failed := map[string][]byte{}
		for namespace, page := range pages {
			err := k.write(ctx, namespace, page)
			if err == nil {
				troubles.Worked(klog.FromContext(ctx), namespace, "Which names a namespace has was noted")
				continue
			}
			failed[namespace] = page
			if ctx.Err() == nil {
				troubles.Failed(klog.FromContext(ctx), namespace, err, "Which names a namespace has cannot be noted: after a restart others may have them", "namespace", namespace)
			}
		}
		if !pause(ctx, k.clock, pageRest) {
			return
		}
		k.again(failed)
	}
}

// again keeps what could not be written, unless there is something newer.
func (k *bookkeeper) again(pages map[string][]byte) {
	k.mu.Lock()
	for namespace := range k.wanted {
		delete(pages, namespace)
	}
	k.mu.Unlock()
	k.keep(pages)
}

// write is idempotent.
func (k *bookkeeper) write(ctx context.Context, namespace string, page []byte) error {
	name := pagePrefix + namespace
	if page == nil {
		err := k.pages().Delete(ctx, name, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": v1alpha1.SystemNamespace, "labels": map[string]any{pageLabel: namespace}},
		"data":     map[string]any{pageKey: string(page)},
	}}
	patch, err := u.MarshalJSON()
	if err != nil {
		return fmt.Errorf("write the names of namespace %s: %w", namespace, err)
	}
	_, err = k.pages().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	if apierrors.IsNotFound(err) {
		_, err = k.pages().Create(ctx, u, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	}
	return err
}
