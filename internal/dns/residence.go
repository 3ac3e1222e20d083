package dns

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/dns/residence"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/watch"
)

// residencySink keeps the Residencies.
func (c *Controller) residencySink(listed func()) watch.Sink[*unstructured.Unstructured] {
	change := func(do func(r *residence.Residencies) bool) {
		c.caches.change(func(d *dirty) {
			if do(&c.caches.residencies) {
				d.everything, d.services = true, true
			}
		})
	}
	return watch.Sink[*unstructured.Unstructured]{
		Replace: func(all []*unstructured.Unstructured) {
			change(func(r *residence.Residencies) bool { return r.Replace(all) })
			listed()
		},
		Apply: func(u *unstructured.Unstructured) {
			change(func(r *residence.Residencies) bool { return r.Write([]*unstructured.Unstructured{u}, nil) })
		},
		Remove: func(u *unstructured.Unstructured) {
			change(func(r *residence.Residencies) bool { return r.Write(nil, []types.UID{u.GetUID()}) })
		},
	}
}

// Residence is part of route.World.
func (c *caches) Residence(namespace string) *route.Residence {
	c.mu.Lock()
	defer c.mu.Unlock()
	of, read := c.namespaces[namespace]
	return c.residencies.Of(namespace, of, read, c.clusters)
}
