package dns

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// readRoute reads a GlobalRoute. One whose spec cannot be understood, which admission lets
// nobody write, has the last one that could: that of before, the same route as it was known,
// or that of its status. why is what is wrong with it; empty: nothing. It is nil if nothing
// of it can be read.
func readRoute(u *unstructured.Unstructured, before *v1alpha1.GlobalRoute) (r *v1alpha1.GlobalRoute, why string) {
	r = &v1alpha1.GlobalRoute{}
	err := decode(u, r)
	if err == nil {
		err = route.Validate(&r.Spec)
	}
	if err == nil {
		return r, ""
	}
	r = &v1alpha1.GlobalRoute{}
	if decode(withoutSpec(u), r) != nil {
		return nil, ""
	}
	var last v1alpha1.GlobalRouteSpec
	switch {
	case before != nil && before.UID == r.UID:
		r.Spec = before.Spec
	case recorded(r.Status.LastValid, &last) && route.Validate(&last) == nil:
		r.Spec = last
	}
	return r, unreadable(u, err)
}

// readZone is readRoute for a DNSZone.
func readZone(u *unstructured.Unstructured, before *v1alpha1.DNSZone) (z *v1alpha1.DNSZone, why string) {
	z = &v1alpha1.DNSZone{}
	err := decode(u, z)
	if err == nil {
		_, err = grant.Selects(z)
	}
	if err == nil {
		return z, ""
	}
	z = &v1alpha1.DNSZone{}
	if decode(withoutSpec(u), z) != nil {
		return nil, ""
	}
	var last v1alpha1.DNSZoneSpec
	switch {
	case before != nil && before.UID == z.UID:
		z.Spec = before.Spec
	case recorded(z.Status.LastValid, &last):
		z.Spec = last
	default:
		return nil, "" // not even its domain is known
	}
	return z, unreadable(u, err)
}

func unreadable(u *unstructured.Unstructured, err error) string {
	klog.Background().Error(err, "A spec cannot be understood; the last that could is in effect", "kind", u.GetKind(), "object", klog.KObj(u))
	return fmt.Sprintf("its spec cannot be understood (%s): what was understood last is in effect. Try: kubectl edit", brief(err.Error()))
}

// withoutSpec is the rest of an object.
func withoutSpec(u *unstructured.Unstructured) *unstructured.Unstructured {
	rest := make(map[string]any, len(u.Object))
	for k, v := range u.Object {
		if k != "spec" {
			rest[k] = v
		}
	}
	return &unstructured.Unstructured{Object: rest}
}

// recorded reads a spec that was noted.
func recorded(raw *runtime.RawExtension, into any) bool {
	return raw != nil && len(raw.Raw) > 0 && json.Unmarshal(raw.Raw, into) == nil
}
