package template

import (
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/quota"
)

// Quotas is the resource of ResourceQuotas.
func Quotas() schema.GroupResource { return schema.GroupResource{Resource: "resourcequotas"} }

// Quota is what a template that is a ResourceQuota has besides, if there is anything to divide.
type Quota struct {
	// Totals are those of the whole.
	Totals map[string]quota.Amount
	// Parts by cluster, as recorded at the hub; nil: not divided yet.
	Parts map[string]quota.Part
}

// readQuota reads what is to be divided, and how it was. What makes no sense is divided again.
func (t *Template) readQuota(annotations map[string]string) error {
	if t.Key.GR != Quotas() {
		return nil
	}
	if value, says := annotations[v1alpha1.AnnotationQuota]; value == v1alpha1.QuotaEach {
		return nil
	} else if says {
		t.Mistake = fmt.Sprintf("annotation %s: %q is not known, the only value is %q", v1alpha1.AnnotationQuota, value, v1alpha1.QuotaEach)
	}
	spec, _ := t.Content.Object["spec"].(map[string]any)
	hard, _ := spec["hard"].(map[string]any)
	totals := quota.Read(hard)
	if len(totals) == 0 {
		return nil
	}
	t.Quota = &Quota{Totals: totals}
	value, recorded := annotations[v1alpha1.AnnotationBounds]
	if !recorded {
		return nil
	}
	parts, err := quota.Parse(value)
	if err == nil {
		t.Quota.Parts = parts
	}
	return err
}

func sameQuota(a, b *Quota) bool {
	if a == nil || b == nil {
		return a == b
	}
	return maps.Equal(a.Totals, b.Totals) && quota.Same(a.Parts, b.Parts)
}
