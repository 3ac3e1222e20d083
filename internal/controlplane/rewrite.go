package controlplane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
)

// rewriter writes objects again as they are, so that the database has them encrypted by the key that writes now. An object that is
// so already is not written by the API server. It may be interrupted at any time, and begins again.
type rewriter struct {
	config *rest.Config
	clock  clock.PassiveClock

	mu      sync.Mutex
	running bool
	done    bool
	err     error
	failed  time.Time
	// written counts the objects of this run.
	written atomic.Int64
}

// rewrite begins to write objects of resources again, beside whoever calls it, and says whether that is done. It does not block. An
// error is told once; a call some time after that begins again.
func (w *rewriter) rewrite(ctx context.Context, resources []string) (done bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.running:
		return false, nil
	case w.done || w.err != nil:
		done, err = w.done, w.err
		w.done, w.err = false, nil
		return done, err
	case w.clock.Since(w.failed) < rewriteRetry:
		return false, nil
	}
	w.running = true
	w.written.Store(0)
	go func() {
		err := w.all(ctx, resources)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.running, w.done, w.err = false, err == nil, err
		if err != nil {
			w.failed = w.clock.Now()
		}
	}()
	return false, nil
}

// rewriteRetry is how long after it failed all of it is tried again.
const rewriteRetry = 30 * time.Second

func (w *rewriter) all(ctx context.Context, resources []string) error {
	client, err := dynamic.NewForConfig(w.config)
	if err != nil {
		return err
	}
	known, err := discovery.NewDiscoveryClientForConfig(w.config)
	if err != nil {
		return err
	}
	groups, err := restmapper.GetAPIGroupResources(known)
	if err != nil {
		return fmt.Errorf("asking which resources there are: %w", err)
	}
	var failures []error
	for _, name := range resources {
		gvr, served := find(groups, schema.ParseGroupResource(name))
		if !served {
			continue // nothing of it can be there
		}
		if err := w.each(ctx, client.Resource(gvr)); err != nil {
			failures = append(failures, fmt.Errorf("writing %s again: %w", name, err))
		}
	}
	return errors.Join(failures...)
}

// find is a resource in the version that its group prefers.
func find(groups []*restmapper.APIGroupResources, gr schema.GroupResource) (gvr schema.GroupVersionResource, served bool) {
	for _, g := range groups {
		version := g.Group.PreferredVersion.Version
		if g.Group.Name == gr.Group && slices.ContainsFunc(g.VersionedResources[version], func(r metav1.APIResource) bool { return r.Name == gr.Resource }) {
			return gr.WithVersion(version), true
		}
	}
	return gvr, false
}

// rewritePage is how many objects are listed at once.
const rewritePage = 100

// each writes all objects of a resource again. Those that are made meanwhile are written by the new key anyway.
func (w *rewriter) each(ctx context.Context, resource dynamic.NamespaceableResourceInterface) error {
	options := metav1.ListOptions{Limit: rewritePage}
	for {
		page, err := resource.List(ctx, options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" {
			options.Continue = "" // what was done costs a look only
			continue
		}
		if err != nil {
			return err
		}
		for i := range page.Items {
			if err := w.one(ctx, resource, &page.Items[i]); err != nil {
				return err
			}
			w.written.Add(1)
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

// one writes an object again as it is, or as somebody has made it meanwhile, unless that is gone.
func (w *rewriter) one(ctx context.Context, resource dynamic.NamespaceableResourceInterface, o *unstructured.Unstructured) error {
	in := resource.Namespace(o.GetNamespace())
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		_, err := in.Update(ctx, o, metav1.UpdateOptions{})
		if !apierrors.IsConflict(err) {
			return err
		}
		live, getErr := in.Get(ctx, o.GetName(), metav1.GetOptions{})
		if getErr != nil {
			return getErr
		}
		o = live
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s/%s: %w", o.GetNamespace(), o.GetName(), err)
	}
	return nil
}
