package admission

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// way are the fields of a Cluster that say where, and to whom, the hub shows its credential.
func way() []string {
	return []string{"endpoint", "caBundle", "tlsServerName", "credentialSecret", "uid"}
}

// cluster refuses another way to a member to whoever may not write the credential that is shown there. The credential itself
// says for which way it is, and the hub keeps to that; this tells those who try, before anything is cut off.
func (p *Plugin) cluster(ctx context.Context, a admission.Attributes, before, after *unstructured.Unstructured) error {
	if a.GetSubresource() != "" {
		return nil
	}
	// One Cluster that cannot be decoded would keep the hub from reading all of them.
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(after.Object, &v1alpha1.Cluster{}); err != nil {
		return fmt.Errorf("the hub would not understand it: %w", err)
	}
	var changed []string
	for _, field := range way() {
		if !sameField(before, after, "spec", field) {
			changed = append(changed, "spec."+field)
		}
	}
	if err := p.lets(ctx, a, before, after); err != nil {
		return err
	}
	if len(changed) == 0 {
		return nil
	}
	write := right{verb: "update", resource: schema.GroupResource{Resource: "secrets"}, namespace: v1alpha1.SystemNamespace}
	write.name, _, _ = unstructured.NestedString(after.Object, "spec", "credentialSecret")
	if before == nil {
		write.verb, write.name = "create", ""
	}
	return p.need(ctx, a, write, strings.Join(changed, ", ")+": where the hub's credential is shown changes with the credential, by hanse join NAME --kubeconfig FILE")
}
